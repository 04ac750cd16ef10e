"""Arbitrary manifests: either read, or refused with positions."""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from manifest.projects import EXAMPLE, HANDLER, project

from ckfunc.base.errors import CkfuncError, InvalidManifest
from ckfunc.manifest.definition import json_schema
from ckfunc.manifest.edit import with_function
from ckfunc.manifest.project import load, targets, watched_files
from ckfunc.manifest.targets import TargetNeeded
from ckfunc.manifest.tree import retyped_as

_WORDS = st.sampled_from(
    [
        "version",
        "functions",
        "runtime",
        "environment",
        "targets",
        "handler",
        "default_target",
        "dependencies",
        "emulator",
        "application",
        "user.sent.message",
        "a.ts",
        "../a.ts",
        "${A}",
        "${",
        "$$",
        "<<",
        "local",
        "yes",
        "0042",
        "~",
    ]
)
_TREES = st.recursive(
    _WORDS | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS | st.integers(), inner, max_size=5),
    max_leaves=20,
)
_SNIPPETS = st.lists(
    st.sampled_from([*"\n\t :-{}[]'\"|>&*!%@#,?", "\n  ", ": ", "a", "1", "é", "*a", "&a ", "---\n", "\r\n"])
)


def check(manifest: str | bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = project(Path(directory), manifest)
        try:
            load(root, None, {"A": "x"})
        except InvalidManifest as error:
            assert error.problems
            assert all(len(str(problem)) < 1000 and "\n" not in str(problem) for problem in error.problems)
        except TargetNeeded:
            assert len(targets(root)) > 1
        assert root.resolve() / "functions.yaml" in watched_files(root, None)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    check(text.encode("utf-8", "replace"))


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    check(data)


@given(_SNIPPETS.map("".join))
def test_any_snippets_of_yaml_are_read_or_refused(text: str) -> None:
    check(text)


@given(_TREES)
def test_any_tree_is_read_or_refused(tree: object) -> None:
    check(yaml.safe_dump(tree, allow_unicode=True))


@given(st.integers(0, len(EXAMPLE)), st.integers(0, 30), st.text(max_size=5))
def test_any_change_of_a_valid_manifest_is_read_or_refused(start: int, length: int, text: str) -> None:
    changed = EXAMPLE[:start] + text + EXAMPLE[start + length :]
    check(changed.encode("utf-8", "replace"))


@given(_SNIPPETS.map("".join) | _TREES.map(lambda tree: str(yaml.safe_dump(tree))))
def test_adding_to_any_text_adds_or_is_refused(text: str) -> None:
    try:
        added = with_function(text, "call.ended", "b.ts")
    except CkfuncError:
        return
    assert "call.ended" in added


@given(_TREES)
def test_documents_that_the_editor_schema_accepts_have_no_format_errors(tree: object) -> None:
    text = yaml.safe_dump({"version": 1, "functions": {"call.ended": {"handler": "a.ts"}}, "targets": {"a": tree}})
    if not Draft7Validator(json_schema()).is_valid(yaml.safe_load(text)):
        return
    with tempfile.TemporaryDirectory() as directory:
        root = project(Path(directory), text, {"a.ts": HANDLER})
        try:
            load(root, None, {"A": "42"})
        except InvalidManifest as error:
            assert all("emulator" in str(problem) or "has no value" in str(problem) for problem in error.problems)


@given(st.text("0123456789abefox+-._:TZ eEinyYsnNOo~", max_size=12))
def test_values_that_yaml_would_retype_must_be_quoted(text: str) -> None:
    try:
        read = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return
    if isinstance(read, bool | int | float) or read is None or type(read).__module__ == "datetime":
        assert retyped_as(text.strip()) is not None
