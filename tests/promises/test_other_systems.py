"""Properties of Windows and macOS that can be tested anywhere: line endings and file names."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from cli.conftest import Ckfunc
from support.emulators import cold_emulator

from ckfunc.base.files import cache_dir

TYPE = "user.attempted.start_session"
RESERVED = re.compile(r"(?i:con|prn|aux|nul|com\d|lpt\d)(\..*)?")
"""Names that Windows takes for devices. Source: https://learn.microsoft.com/windows/win32/fileio/naming-a-file"""
LONGEST = 180
"""Windows limits paths to 260 characters; the rest is for the directory of the project or of the cache."""


def own_files(root: Path) -> list[Path]:
    """Return the files and directories below `root` that ckfunc named, without those of npm packages."""
    found = []
    for path in root.iterdir():
        found.append(path)
        if path.is_dir() and not path.is_symlink() and path.name != "node_modules":
            found += own_files(path)
    return found


def wrong_names(root: Path) -> list[str]:
    """Return names that Windows refuses, and names that differ only in case."""
    names = [path.relative_to(root) for path in own_files(root)]
    wrong = [
        name.as_posix()
        for name in names
        if re.search(r'[<>:"\\|?*\x00-\x1f]|[. ]$', name.name)
        or RESERVED.fullmatch(name.name)
        or len(name.as_posix()) > LONGEST
    ]
    counts = Counter(name.as_posix().casefold() for name in names)
    return wrong + [name for name, count in counts.items() if count > 1]


def test_invalid_file_names_on_other_systems_are_found(tmp_path: Path) -> None:
    for name in ("a:b", "a.", "Aux.ts", "B.ts", "b.ts", "fine.ts"):
        (tmp_path / name).write_text("")
    assert sorted(wrong_names(tmp_path)) == ["Aux.ts", "a.", "a:b", "b.ts"]


def test_all_files_in_a_project_and_the_cache_have_portable_names(ckfunc: Ckfunc, tmp_path: Path) -> None:
    root = tmp_path / "project"
    assert ckfunc("init", root).code == 0
    with cold_emulator(root / ".ckfunc/emulator"):
        for arguments in (
            ["new", "user.sent.message"],
            ["types", "--no-install"],
            ["check"],
            ["diff", "--out", "plan.json"],
            ["deploy", "--plan", "plan.json"],
            ["trigger", TYPE, "--data", '{"username": "jane"}'],
            ["test", "add", "--invocation", "1", "--yes"],
            ["emulator", "snapshots", "save", "first"],
            ["undo", "--yes"],
            ["init", "--ci", "github"],
        ):
            ran = ckfunc("-C", root, *arguments)
            assert ran.code == 0, (arguments, ran)
    assert len(own_files(root)) > 30
    assert wrong_names(root) == []
    assert wrong_names(cache_dir()) == []


def test_a_checkout_with_crlf_works_like_a_checkout_with_lf(ckfunc: Ckfunc, tmp_path: Path) -> None:
    assert ckfunc("init", tmp_path).code == 0
    with cold_emulator(tmp_path / ".ckfunc/emulator"):
        assert ckfunc("-C", tmp_path, "deploy").code == 0
        files = [path for path in own_files(tmp_path) if path.is_file() and ".ckfunc" not in path.parts]
        for path in files:
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        assert len(files) > 4
        for arguments in (
            ["check"],
            ["types", "--check"],
            ["diff", "--exit-code"],
            ["test"],
            ["pull", "--yes"],
            ["init"],
        ):
            ran = ckfunc("-C", tmp_path, *arguments)
            assert ran.code == 0, (arguments, ran)
        assert "unchanged" in ckfunc("-C", tmp_path, "init", "--json").out
        assert ckfunc("-C", tmp_path, "new", "user.sent.message").code == 0
        assert ckfunc("-C", tmp_path, "deploy").out.count("created") == 2  # the item and the summary
    manifest = (tmp_path / "functions.yaml").read_bytes()
    assert b"user.sent.message" in manifest
    assert manifest.count(b"\n") == manifest.count(b"\r\n")
