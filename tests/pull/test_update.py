"""Applications as manifests, and their changes in an existing project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckfunc.base.secrets import revealed, secret_values
from ckfunc.manifest.tree import Mapping, Scalar, parse
from ckfunc.manifest.variables import expand
from ckfunc.model.application import PLATFORM_RANGES, Dependency, Function, FunctionVersion, Runtime
from ckfunc.model.lock import PackageLock
from ckfunc.model.project import ManifestFunction, ManifestRuntime, Project, Script, Target
from ckfunc.pull.merge import Base
from ckfunc.pull.project import fresh_project
from ckfunc.pull.remote import described, file_text, handler_paths
from ckfunc.pull.update import ManifestSections, update


def test_every_type_has_its_own_file_on_any_file_system() -> None:
    types = ["call.ended", "call_ended", "Call.Ended", "con", "x" * 200, "x" * 201, "user.sent.message"]
    scripts = {trigger_type: "typed" if trigger_type == "con" else "" for trigger_type in types}
    paths = handler_paths(scripts, {"handlers/USER-sent-message.ts"}, lambda script: not script)
    assert len({path.casefold() for path in paths.values()}) == len(types)
    assert paths["con"] == "handlers/con-handler.ts"
    assert paths["user.sent.message"] == "handlers/user-sent-message-2.js"
    assert all(len(path) < 150 for path in paths.values())


NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def application(**parts: object) -> Runtime:
    return Runtime(1, "v1", **parts)  # type: ignore[arg-type]  # what a test gives


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,12}[A-Za-z0-9]", fullmatch=True).filter(lambda path: ".." not in path),
        st.tuples(TEXTS, TEXTS, TEXTS),
        max_size=4,
    ),
    st.dictionaries(NAMES, VALUES, max_size=3),
)
def test_any_application_becomes_an_equivalent_manifest(
    functions: dict[str, tuple[str, str, str]], environment: dict[str, str]
) -> None:
    listed = [
        Function(number, kind, name, True, 1, description or None)
        for number, (kind, (name, description, _)) in enumerate(functions.items())
    ]
    versions = {kind: FunctionVersion(1, 1, script) for kind, (_, _, script) in functions.items()}
    remote = described(application(environment=secret_values(environment)), listed, versions)
    made = fresh_project(remote, "production", 1, {}, is_javascript=javascript)
    tree = parse(made.files["functions.yaml"], "functions.yaml")
    assert isinstance(tree, Mapping)
    sections = {key.text: value for key, value in tree.entries if isinstance(key, Scalar)}
    for function in remote.functions:
        entry = texts(texts_of(sections["functions"])[function.type])
        assert entry.get("name") == function.name
        assert entry.get("description") == function.description
        assert made.files[entry["handler"]] == file_text(function.script)
    if remote.environment:
        said = texts(texts_of(texts_of(sections["runtime"])["environment"]))
        assert {name: expand(text, revealed(made.values)) for name, text in said.items()} == revealed(
            remote.environment
        )


def texts_of(node: object) -> dict[str, object]:
    assert isinstance(node, Mapping)
    return {key.text: value for key, value in node.entries if isinstance(key, Scalar)}


def texts(node: object) -> dict[str, str]:
    assert isinstance(node, (Mapping, dict))
    found = texts_of(node) if isinstance(node, Mapping) else node
    return {name: value.text for name, value in found.items() if isinstance(value, Scalar)}


def project(root: Path, *functions: ManifestFunction, runtime: ManifestRuntime | None = None) -> Project:
    return Project(root, Target("staging"), runtime or ManifestRuntime(), functions or None)


def javascript(script: str) -> bool:
    return True


def never(trigger_type: str, script: str) -> bool:
    return False


def test_sections_that_the_manifest_omits_are_not_added(tmp_path: Path) -> None:
    runtime = application(
        dependencies=(Dependency("ms", "1"),),
        environment=secret_values({"A": "1"}),
        initialization_script="export const x = 1;",
    )
    remote = described(runtime, [Function(1, "call.ended", "x", True, 1)], {"call.ended": FunctionVersion(1, 1, "x")})
    found = update(project(tmp_path), ManifestSections(), remote, Base(), never, {}, is_javascript=javascript)
    assert found.is_empty
    assert found.conflicts == 0
    assert len([note for note in found.notes if "not managed" in note]) == 4


@pytest.mark.parametrize(
    ("deployed", "base", "changed"),
    [
        ("1.2.7", None, None),
        ("1.2.7", "1.2.7", None),
        ("^1.2.0", None, None),
        ("1.2.7", "^1.2.0", None),
        ("1.2.6", "1.2.6", None),  # the upgraded lock is not deployed yet
        ("1.2.9", "1.2.7", "1.2.9"),
    ],
)
def test_version_ranges_are_unchanged_if_the_application_has_the_locked_versions(
    tmp_path: Path, deployed: str, base: str | None, changed: str | None
) -> None:
    versions = {**dict.fromkeys(PLATFORM_RANGES, "1.0.0"), "ms": "1.2.7"}
    entries = {f"node_modules/{name}": {"version": v, "integrity": "sha512-AAAA"} for name, v in versions.items()}
    lock = PackageLock.of_entries({**PLATFORM_RANGES, "ms": "^1.2.0"}, entries)
    here = project(tmp_path, runtime=ManifestRuntime(dependencies={"ms": "^1.2.0"}, lock=lock))
    remote = described(application(dependencies=(Dependency("ms", deployed),)), [], {})
    known = Base(dependencies=None if base is None else {"ms": base})
    found = update(here, ManifestSections(), remote, known, never, {}, is_javascript=javascript)
    assert [change.value for change in found.manifest] == ([] if changed is None else [changed])
    assert found.conflicts == 0
    assert [note for note in found.notes if "ckfunc lock" in note] == (
        [] if changed is None else ["functions.lock does not fit the new dependencies: run `ckfunc lock`"]
    )


def test_different_scripts_of_functions_that_share_a_file_are_a_conflict(tmp_path: Path) -> None:
    script = Script("handlers/both.ts", "mine")
    functions = [ManifestFunction(kind, script, kind) for kind in ("call.ended", "call.active")]
    listed = [Function(n, function.type, function.type, True, 1) for n, function in enumerate(functions)]
    versions = {function.type: FunctionVersion(1, 1, f"// {function.type}") for function in functions}
    remote = described(application(), listed, versions)
    found = update(
        project(tmp_path, *functions), ManifestSections(), remote, Base(), never, {}, is_javascript=javascript
    )
    assert found.files == ()
    assert "handlers/both.ts" in found.unmarked_conflicts[0]


def test_new_variables_are_added_to_the_target_and_literals_are_unchanged(tmp_path: Path) -> None:
    runtime = ManifestRuntime(environment=secret_values({"A": "1", "B": "literal"}))
    said = ManifestSections(None, {"A": "${A}", "B": "literal"})
    remote = described(application(environment=secret_values({"A": "2", "B": "other", "C": "3"})), [], {})
    found = update(project(tmp_path, runtime=runtime), said, remote, Base(), never, {}, is_javascript=javascript)
    assert [(edit.name, edit.value) for edit in found.manifest] == [("targets.staging.environment.C", "${C}")]
    assert revealed(found.values) == {"A": "2", "C": "3"}
    assert any(
        note.startswith("B has a different value") and "other" not in note.replace("another", "")
        for note in found.notes
    )


def test_a_variable_removed_from_the_application_is_removed_from_the_manifest(tmp_path: Path) -> None:
    runtime = ManifestRuntime(environment=secret_values({"A": "1", "B": "2", "NEW": "3"}))
    said = ManifestSections({"A": "${A}", "NEW": "${NEW}"}, {"B": "2"})
    found = update(
        project(tmp_path, runtime=runtime),
        said,
        described(application(), [], {}),
        Base(variables=("A", "B")),
        never,
        {},
        is_javascript=javascript,
    )
    assert [(edit.name, edit.value) for edit in found.manifest] == [("runtime.environment.A", None)]
    assert any("B was removed" in note for note in found.notes)


def test_a_byte_order_mark_at_the_start_of_a_script_is_preserved() -> None:
    assert file_text("\ufeffx").removeprefix("\ufeff") == "\ufeffx"
    assert file_text("x") == "x"


BUNDLE = "// Bundled by ckfunc from the files named below: change those, not this.\nfunction handleEvent() {}\n"


def test_a_bundle_is_written_to_its_own_file_instead_of_a_typescript_file(tmp_path: Path) -> None:
    script = Script("handlers/both.ts", "let a: number;")
    functions = [ManifestFunction(kind, script, kind) for kind in ("call.ended", "call.active")]
    listed = [Function(n, function.type, function.type, True, 2) for n, function in enumerate(functions)]
    remote = described(application(), listed, {function.type: FunctionVersion(1, 2, BUNDLE) for function in functions})
    base = Base(scripts={"call.ended": script.text, "call.active": script.text})
    found = update(project(tmp_path, *functions), ManifestSections(), remote, base, never, {}, is_javascript=javascript)
    assert [(file.path, file.before, file.after) for file in found.files] == [("handlers/call-ended.js", None, BUNDLE)]
    assert sorted((edit.name, edit.value) for edit in found.manifest) == [
        ("functions.call.active.handler", "handlers/call-ended.js"),
        ("functions.call.ended.handler", "handlers/call-ended.js"),
    ]
    assert any(note.startswith("handlers/both.ts is no longer used") for note in found.notes)
    edited = replace(base, scripts={**base.scripts, "call.ended": "let a: string;"})
    kept = update(
        project(tmp_path, *functions), ManifestSections(), remote, edited, never, {}, is_javascript=javascript
    )
    assert kept.files == ()
    assert "cannot be merged into handlers/both.ts" in kept.unmarked_conflicts[0]
