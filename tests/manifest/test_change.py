"""Single changes of a manifest, which leave the rest unchanged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckfunc.manifest.edit import CannotChange, ManifestChange, with_changes
from ckfunc.manifest.tree import Mapping, Scalar, parse, scalar

BLOCK = """\
# the head
version: 1   # one
runtime:
  dependencies:
    ms: ^2.1.3   # milliseconds
    zod: "3"

  environment: {A: "1"}
functions:
  call.ended:
    handler: handlers/a.ts

targets:
  local: {emulator: true}
settings: {guest_users: true}   # for now
# the end
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ("runtime/dependencies/ms", "^3.0.0", "ms: ^2.1.3   #", "ms: ^3.0.0   #"),
        ("runtime/dependencies/zod", ">=1 <2", 'zod: "3"\n', 'zod: ">=1 <2"\n'),
        ("runtime/dependencies/new", "1.x", 'zod: "3"\n', 'zod: "3"\n    new: 1.x\n'),
        ("runtime/dependencies/ms", None, "    ms: ^2.1.3   # milliseconds\n", ""),
        ("runtime/environment/B", "${B}", '{A: "1"}', '{B: "${B}", A: "1"}'),
        ("runtime/environment/A", None, '{A: "1"}', "{}"),
        (
            "functions/call.active",
            {"handler": "handlers/b.ts", "name": "A: b"},
            "    handler: handlers/a.ts\n",
            '    handler: handlers/a.ts\n  call.active:\n    handler: handlers/b.ts\n    name: "A: b"\n',
        ),
        ("settings/guest_users", False, "guest_users: true}", "guest_users: false}"),
        ("settings/user_created_channels", True, "{guest_users", "{user_created_channels: true, guest_users"),
        ("targets/local/environment/A", "${A}", "{emulator: true}", '{environment: {A: "${A}"}, emulator: true}'),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_single_change_leaves_the_rest_unchanged(path: str, value: object, old: str, new: str, newline: str) -> None:
    changed = with_changes(BLOCK.replace("\n", newline), [ManifestChange(tuple(path.split("/")), value)])  # type: ignore[arg-type]  # as given
    assert changed == BLOCK.replace(old, new, 1).replace("\n", newline)


def test_a_missing_section_is_added_and_removing_the_last_entry_leaves_braces() -> None:
    text = "version: 1\nruntime:\n  dependencies:\n    ms: '1'\n  initialization_script: init.ts\n"
    assert with_changes(text, [ManifestChange(("runtime", "dependencies", "ms"), None)]) == (
        "version: 1\nruntime:\n  dependencies: {}\n  initialization_script: init.ts\n"
    )
    added = with_changes("version: 1\n", [ManifestChange(("runtime", "environment", "A"), "${A}")])
    assert added == "version: 1\nruntime:\n  environment:\n    A: ${A}\n"


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nruntime:\n  dependencies: &d\n    ms: '1'\nx:\n  y: *d\n",
        "version: 1\nruntime: &r\n  dependencies: {ms: '1'}\n",
    ],
)
def test_a_value_with_an_anchor_can_be_changed(text: str) -> None:
    change = ManifestChange(("runtime", "dependencies", "ms"), "2")
    try:
        assert "'1'" not in with_changes(text, [change])
    except CannotChange as problem:
        assert "by hand" in (problem.hint or "")


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("a: &x {ms: '1'}\nruntime:\n  dependencies: *x\n", "runtime/dependencies/ms", "2"),
        ("runtime:\n  dependencies:\n    ms: |\n      1\n", "runtime/dependencies/ms", "2"),
        ("runtime: text\n", "runtime/dependencies/ms", "2"),
        ("- list\n", "runtime/dependencies/ms", "2"),
        ("version: 1\n", "runtime/dependencies/ms", None),
        ("version: 1\nruntime: {}\n", "runtime/dependencies", {"handler": "x.ts"}),
    ],
)
def test_unsupported_changes_are_reported_with_manual_steps(text: str, path: str, value: object) -> None:
    try:
        changed = with_changes(text, [ManifestChange(tuple(path.split("/")), value)])  # type: ignore[arg-type]  # as given
    except CannotChange as problem:
        assert "by hand" in (problem.hint or "")
    else:
        assert parse(changed, "functions.yaml") is not None


@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_any_text_is_written_so_that_yaml_reads_the_same_text(text: str, flow: bool) -> None:
    written = scalar(text, flow=flow)
    tree = parse(f"{{key: {written}}}\n" if flow else f"key: {written}\n", "functions.yaml")
    assert isinstance(tree, Mapping)
    ((_, value),) = tree.entries
    assert isinstance(value, Scalar)
    assert value.text == text


def test_a_lone_surrogate_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        scalar("\ud800")
