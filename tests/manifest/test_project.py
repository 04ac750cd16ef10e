"""Loading a valid manifest."""

from __future__ import annotations

from pathlib import Path

import pytest
from manifest.projects import EXAMPLE, HANDLER, MINIMAL, project

from ckfunc.base.errors import InvalidManifest, NoProject
from ckfunc.base.secrets import revealed
from ckfunc.manifest.project import find_root, load, targets, watched_files
from ckfunc.manifest.targets import NoSuchTarget, TargetNeeded
from ckfunc.model.project import ManifestFunction, Script, Target


@pytest.fixture
def example(tmp_path: Path) -> Path:
    files = {"init.ts": "export const answer = 42;\n", "handlers/start-session.ts": HANDLER}
    return project(tmp_path, EXAMPLE, files)


def test_the_example_in_the_documentation_is_read(example: Path) -> None:
    read = load(example, None, {"OPENAI_API_KEY": "sk-1"})
    assert read.root == example.resolve()
    assert read.target == Target("local", emulator=True)
    assert read.runtime.dependencies == {"firebase": "^9.8.2"}
    assert revealed(read.runtime.environment) == {"SUPPORT_CHANNEL": "702", "OPENAI_API_KEY": "sk-1"}
    assert read.runtime.initialization_script == Script("init.ts", "export const answer = 42;\n")
    assert read.functions == (
        ManifestFunction(
            "user.attempted.start_session",
            Script("handlers/start-session.ts", HANDLER),
            "User Attempted Start Session",
            "Lets known users in",
        ),
    )
    assert read.warnings == ()


def test_a_target_overrides_the_environment_and_binds_the_application(example: Path) -> None:
    read = load(example, "production", {"OPENAI_API_KEY": "sk-1"})
    assert read.target == Target("production", application="42", protected=True)
    assert revealed(read.runtime.environment) == {"SUPPORT_CHANNEL": "9", "OPENAI_API_KEY": "sk-1"}
    key = "19b458d0-2b50-491c-8f13-65ec12f3978e"
    assert load(example, "staging", {"OPENAI_API_KEY": "x"}).target == Target("staging", application=key)


def test_absent_sections_are_unmanaged(tmp_path: Path) -> None:
    read = load(project(tmp_path), None, {})
    assert (read.runtime.dependencies, read.runtime.environment, read.runtime.initialization_script) == (None,) * 3
    only_runtime = project(tmp_path, "version: 1\nruntime: {environment: {}}\n")
    assert load(only_runtime, None, {}).functions is None
    assert revealed(load(only_runtime, None, {}).runtime.environment) == {}


def test_a_function_is_named_after_its_trigger_type_by_default(tmp_path: Path) -> None:
    functions = load(project(tmp_path), None, {}).functions
    assert functions is not None
    assert functions[0].name == "User Sent Message"
    assert (functions[0].description, functions[0].initialize_asynchronously) == (None, False)


def test_an_override_without_a_base_manages_only_the_override(tmp_path: Path) -> None:
    root = project(tmp_path, MINIMAL + "targets: {a: {environment: {X: y}}, b: {}}\n")
    assert revealed(load(root, "a", {}).runtime.environment) == {"X": "y"}
    assert load(root, "b", {}).runtime.environment is None


def test_without_targets_there_is_a_remote_default_and_the_local_emulator(tmp_path: Path) -> None:
    root = project(tmp_path)
    assert targets(root) == ("default", "local")
    assert load(root, None, {}).target == Target("default")
    assert load(root, "local", {}).target == Target("local", emulator=True)


def test_the_only_target_is_the_default_and_local_still_exists(tmp_path: Path) -> None:
    root = project(tmp_path, MINIMAL + "targets: {staging: {protected: true}}\n")
    assert targets(root) == ("staging", "local")
    assert load(root, None, {}).target == Target("staging", protected=True)
    assert load(root, "local", {}).target.emulator
    with pytest.raises(NoSuchTarget, match="'default'"):
        load(root, "default", {})


def test_a_manifest_may_redefine_local(tmp_path: Path) -> None:
    root = project(tmp_path, MINIMAL + "targets: {local: {application: 7}}\n")
    assert load(root, None, {}).target == Target("local", application="7")


def test_with_several_targets_and_no_default_a_target_must_be_selected(tmp_path: Path) -> None:
    root = project(tmp_path, MINIMAL + "targets: {a: {}, b: {}}\n")
    with pytest.raises(TargetNeeded) as caught:
        load(root, None, {})
    assert "a, b" in (caught.value.hint or "")
    assert caught.value.exit_code == 1


def test_an_unknown_target_is_an_error_that_lists_the_known_targets(example: Path) -> None:
    with pytest.raises(NoSuchTarget) as caught:
        load(example, "prodution", {"OPENAI_API_KEY": ""})
    assert caught.value.hint == "did you mean production? (targets: local, staging, production)"


def test_errors_in_the_manifest_are_reported_before_an_unknown_target(tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest):
        load(project(tmp_path, MINIMAL + "extra: 1\n"), "nowhere", {})


def test_scripts_are_the_same_in_every_checkout(tmp_path: Path) -> None:
    root = project(tmp_path, files={"a.ts": b"\xef\xbb\xbfone\r\ntwo\rthree\n"})
    functions = load(root, None, {}).functions
    assert functions is not None
    assert functions[0].handler.text == "one\ntwo\nthree\n"


def test_two_functions_may_use_one_handler(tmp_path: Path) -> None:
    text = "version: 1\nfunctions:\n  call.active: {handler: ./a.ts}\n  call.ended: {handler: x/../a.ts}\n"
    functions = load(project(tmp_path, text, {"x/b.ts": ""}), None, {}).functions
    assert functions is not None
    assert [function.handler.text for function in functions] == [HANDLER, HANDLER]
    assert functions[0].handler.path == "a.ts"


def test_an_empty_init_script_is_a_script(tmp_path: Path) -> None:
    root = project(tmp_path, "version: 1\nruntime: {initialization_script: init.mjs}\n", {"init.mjs": ""})
    assert load(root, None, {}).runtime.initialization_script == Script("init.mjs", "")


def test_aliases_are_expanded(tmp_path: Path) -> None:
    text = "version: 1\nfunctions:\n  call.active: &same {handler: a.ts, name: '007'}\n  call.ended: *same\n"
    functions = load(project(tmp_path, text), None, {}).functions
    assert functions is not None
    assert [function.name for function in functions] == ["007", "007"]


@pytest.mark.parametrize("written", ["'0042'", '"0042"', "!!str 0042", "|-\n      0042", "! 0042"])
def test_a_text_keeps_its_characters_in_every_style(tmp_path: Path, written: str) -> None:
    text = f"version: 1\nruntime:\n  environment:\n    PIN: {written}\n"
    assert revealed(load(project(tmp_path, text), None, {}).runtime.environment) == {"PIN": "0042"}


def test_crlf_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode()
    assert load(project(tmp_path, data), None, {}).functions is not None


def test_an_unknown_trigger_type_is_a_warning(tmp_path: Path) -> None:
    text = "version: 1\nfunctions:\n  user.send.message: {handler: a.ts}\n  zzz: {handler: a.ts}\n"
    read = load(project(tmp_path, text), None, {})
    assert tuple(map(str, read.warnings)) == (
        "functions.yaml:3:3: unknown trigger type 'user.send.message' (did you mean user.sent.message?)",
        "functions.yaml:4:3: unknown trigger type 'zzz' (ckfunc does not know this type, but the platform may)",
    )


def test_values_of_the_environment_are_not_in_the_repr_of_a_project(example: Path) -> None:
    assert "sk-1" not in repr(load(example, None, {"OPENAI_API_KEY": "sk-1"}))


def test_the_root_is_the_nearest_directory_with_a_manifest(tmp_path: Path) -> None:
    root = project(tmp_path / "project")
    (root / "deep" / "er").mkdir(parents=True)
    assert find_root(root / "deep" / "er") == root.resolve()
    assert find_root(root) == root.resolve()


def test_a_missing_manifest_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(NoProject) as caught:
        find_root(tmp_path)
    assert "ckfunc init" in (caught.value.hint or "")
    (tmp_path / "functions.yml").write_text(MINIMAL)
    with pytest.raises(NoProject) as caught:
        find_root(tmp_path)
    assert "rename" in (caught.value.hint or "")
    with pytest.raises(NoProject):
        load(tmp_path, None, {})
    with pytest.raises(NoProject):
        targets(tmp_path)


def test_watched_files_are_all_files_that_the_project_depends_on(example: Path) -> None:
    root = example.resolve()
    names = ["functions.yaml", "functions.lock", "handlers/start-session.ts", "init.ts", ".env.staging", ".env"]
    expected = tuple(root / name for name in names)
    assert watched_files(example, "staging") == expected
    assert load(example, "staging", {"OPENAI_API_KEY": "x"}).watched == expected


def test_the_target_of_a_linked_handler_is_watched(tmp_path: Path) -> None:
    root = project(tmp_path, files={"real/b.ts": HANDLER})
    (root / "a.ts").unlink()
    (root / "a.ts").symlink_to("real/b.ts")
    watched = watched_files(root, None)
    assert root.resolve() / "a.ts" in watched
    assert root.resolve() / "real" / "b.ts" in watched


def test_an_invalid_manifest_has_watched_files(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    always = (root / "functions.yaml", root / "functions.lock")
    assert watched_files(root, "staging") == (*always, root / ".env.staging", root / ".env")
    project(root, "{")
    assert watched_files(root, None) == (*always, root / ".env")
    project(root, "")
    assert watched_files(root, "../x") == (*always, root / ".env")
    project(root, MINIMAL + "targets: {a: {}, b: {}}\nnonsense: 1\n")
    assert watched_files(root, None) == (*always, root / "a.ts", root / ".env")
    assert root / ".env.b" in watched_files(root, "b")


def test_targets_are_known_if_other_parts_are_invalid(tmp_path: Path) -> None:
    assert targets(project(tmp_path, "targets: {a: , b: {emulator: 3}}\n")) == ("a", "b", "local")
    with pytest.raises(InvalidManifest):
        targets(project(tmp_path, "targets: {"))
    with pytest.raises(InvalidManifest):
        targets(project(tmp_path, "# nothing\n"))
