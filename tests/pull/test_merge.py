"""Three-way merging, on examples and on arbitrary texts, and the stored base."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckfunc.pull.merge import Base, Merged, merge, read_base, store_base

LINES = st.lists(st.sampled_from(["a", "b", "c", "d", ""]), max_size=12).map("\n".join)


def merged(base: str | None, local: str, remote: str) -> Merged:
    return merge(base, local, remote, local_name="here", remote_name="there")


@pytest.mark.parametrize(
    ("base", "local", "remote", "wanted"),
    [
        ("a\nb\nc\n", "a\nb\nc\n", "a\nB\nc\n", "a\nB\nc\n"),
        ("a\nb\nc\n", "A\nb\nc\n", "a\nb\nc\n", "A\nb\nc\n"),
        ("a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\n", "A\nb\nc\nD\n"),
        ("a\nb\n", "a\nx\nb\n", "a\nx\nb\n", "a\nx\nb\n"),
        ("a\nb\nc\nd\ne\n", "b\nc\nd\ne\n", "a\nb\nc\nd\n", "b\nc\nd\n"),
        ("a\nb\nc", "a\nb\nc\n", "A\nb\nc", "A\nb\nc\n"),
    ],
)
def test_changes_in_different_places_are_merged(base: str, local: str, remote: str, wanted: str) -> None:
    assert merged(base, local, remote) == Merged(wanted)


def test_conflicts_are_marked_without_their_common_lines() -> None:
    found = merged("a\nb\nc\n", "a\nsame\nours\nc\n", "a\nsame\ntheirs\nc\n")
    assert found == Merged("a\nsame\n<<<<<<< here\nours\n=======\ntheirs\n>>>>>>> there\nc\n", 1)


def test_without_a_base_every_difference_is_a_conflict() -> None:
    assert merged(None, "a\nb\nc\n", "a\nB\nc\n") == Merged("a\n<<<<<<< here\nb\n=======\nB\n>>>>>>> there\nc\n", 1)
    assert merged(None, "same\n", "same\n") == Merged("same\n")


@given(LINES, LINES, LINES)
def test_an_unchanged_side_yields_and_equal_sides_do_not_conflict(base: str, ours: str, theirs: str) -> None:
    assert merged(base, base, ours) == Merged(ours)
    assert merged(base, ours, base) == Merged(ours)
    assert merged(base, ours, ours) == Merged(ours)
    assert merged(None, ours, ours) == Merged(ours)
    found = merged(base, ours, theirs)
    assert found.text.count("<<<<<<< here") == found.text.count(">>>>>>> there") == found.conflicts


@given(LINES, LINES, LINES)
def test_new_lines_of_either_side_are_never_lost(base: str, ours: str, theirs: str) -> None:
    text = merged(base, f"{ours}\nours-1", f"{theirs}\ntheirs-1").text
    assert "ours-1" in text.split("\n")
    assert "theirs-1" in text.split("\n")


def test_the_result_is_the_same_as_that_of_git(tmp_path: Path) -> None:
    base = "\n".join(f"line {n}" for n in range(30)) + "\n"
    local = base.replace("line 3\n", "ours\n").replace("line 20\n", "").replace("line 25\n", "both ours\n")
    remote = base.replace("line 10\n", "line 10\nadded\n").replace("line 25\n", "both theirs\n")
    for name, text in {"here": local, "base": base, "there": remote}.items():
        (tmp_path / name).write_text(text)
    command = ["git", "merge-file", "-p", "-q", "here", "base", "there"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == merged(base, local, remote).text
    assert done.returncode == merged(base, local, remote).conflicts == 1


def test_the_base_belongs_to_one_application_and_a_damaged_base_is_ignored(tmp_path: Path) -> None:
    base = Base({"call.ended": "x\n"}, "", {"ms": "1"}, ("A",))
    store_base(tmp_path, "staging", "here#1", base)
    assert read_base(tmp_path, "staging", "here#1") == base
    assert read_base(tmp_path, "staging", "here#2") == read_base(tmp_path, "staging", None) == Base()
    store_base(tmp_path, "staging", "here#1", Base({"call.active": "y"}, None, None, ("B",)))
    assert read_base(tmp_path, "staging", "here#1") == Base(
        {"call.ended": "x\n", "call.active": "y"}, "", {"ms": "1"}, ("B",)
    )
    file = tmp_path / ".ckfunc/base/staging.json"
    for damage in ("", "[]", '{"identity": "here#1"}', file.read_text().replace('"x\\n"', "7")):
        file.write_text(damage)
        assert read_base(tmp_path, "staging", "here#1") == Base()
