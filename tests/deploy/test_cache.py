"""The cache of application state between runs, including damaged entries."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from deploy.application import KEY
from deploy.world import World

from ckfunc.deploy.cache import VersionCache
from ckfunc.model.application import FunctionVersion

VERSION = FunctionVersion(id=13515, version_number=34, handler_script="a\r\nb\n\ud800 ünï\n")
WHERE = "https://api.chatkitty.com#1"


def files(root: Path) -> list[Path]:
    return sorted(path for path in (root / ".ckfunc").rglob("*") if path.is_file() and path.name != ".gitignore")


def test_a_cached_version_is_returned_unchanged(tmp_path: Path) -> None:
    cache = VersionCache(tmp_path)
    cache.store_version(WHERE, 7, VERSION)
    assert VersionCache(tmp_path).version(WHERE, 7, 34) == VERSION
    assert [file.name for file in files(tmp_path)] == ["7-34.ts"]


def test_each_function_version_and_application_has_its_own_entry(tmp_path: Path) -> None:
    cache = VersionCache(tmp_path)
    cache.store_version(WHERE, 7, VERSION)
    assert cache.version(WHERE, 8, 34) is None
    assert cache.version(WHERE, 7, 33) is None
    assert cache.version(f"{WHERE}#e7b1", 7, 34) is None


def test_nothing_is_cached_for_an_application_without_a_name(tmp_path: Path) -> None:
    cache = VersionCache(tmp_path)
    cache.store_version(None, 7, VERSION)
    cache.store_application_key(None, KEY)
    assert cache.version(None, 7, 34) is None and cache.application_key(None) is None
    assert not (tmp_path / ".ckfunc").exists()


@pytest.mark.parametrize("damage", [b"", b"// ckfunc-version", b"\xff\xfe", b"// ckfunc-version 13515 00\na\n", None])
def test_a_damaged_entry_is_ignored_and_replaced(tmp_path: Path, damage: bytes | None) -> None:
    cache = VersionCache(tmp_path)
    cache.store_version(WHERE, 7, VERSION)
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    assert cache.version(WHERE, 7, 34) is None
    cache.store_version(WHERE, 7, VERSION)
    assert cache.version(WHERE, 7, 34) == VERSION


def test_a_truncated_entry_is_ignored(tmp_path: Path) -> None:
    cache = VersionCache(tmp_path)
    cache.store_version(WHERE, 7, FunctionVersion(1, 2, "short\n"))
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert cache.version(WHERE, 7, 2) is None


def test_the_oldest_versions_and_applications_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckfunc.deploy.cache.MOST_VERSIONS", 10)
    monkeypatch.setattr("ckfunc.deploy.cache.MOST_APPLICATIONS", 5)
    cache = VersionCache(tmp_path)
    for number in range(1, 30):
        cache.store_version("http://a", 7, FunctionVersion(number, number, "x"))
        os.utime(next((tmp_path / ".ckfunc/cache/versions").glob(f"*/7-{number}.ts")), (number, number))
    cached = [number for number in range(1, 30) if cache.version("http://a", 7, number)]
    assert cached == list(range(30 - len(cached), 30)) and 8 <= len(cached) <= 11
    for number in range(30):
        cache.store_application_key(f"http://{number}", "k")
    assert cache.application_key("http://29") == "k"
    assert len(list((tmp_path / ".ckfunc/cache/versions").iterdir())) <= 6


def test_a_damaged_application_key_is_ignored(tmp_path: Path) -> None:
    cache = VersionCache(tmp_path)
    cache.store_application_key(WHERE, KEY)
    assert cache.application_key(WHERE) == KEY
    (path,) = files(tmp_path)
    path.write_text(f"{KEY[:-1]}0 {path.read_text().split()[1]}\n")
    assert cache.application_key(WHERE) is None


def test_an_unwritable_cache_is_not_an_error(tmp_path: Path) -> None:
    (tmp_path / ".ckfunc").write_text("a file where the directory should be")
    cache = VersionCache(tmp_path)
    cache.store_version(WHERE, 7, VERSION)
    assert cache.version(WHERE, 7, 34) is None


def test_a_corrupted_cache_costs_one_request_and_does_not_change_the_plan(here: World) -> None:
    here.application.add("call.ended", "a\n")
    project = here.project({"call.ended": "a\n"})
    assert here.plan(project).is_empty
    for path in files(here.root):
        path.write_bytes(b"// ckfunc-version 1001 0123\nanother script\n")
    assert here.plan(project).is_empty
    assert here.calls().count("GET /functions/1/current-version") == 2


def test_environment_values_are_never_written_to_disk(here: World) -> None:
    here.application.environment = {"THEIRS": "canary-one"}
    here.deploy(here.project({"call.ended": "a\n"}, environment={"OURS": "canary-two"}))
    found = b"".join(path.read_bytes() for path in here.root.rglob("*") if path.is_file())
    assert b"canary" not in found and b"client-secret" not in found
    assert (here.root / ".ckfunc" / "cache" / ".gitignore").read_text() == "*\n"
    assert not any(name.endswith(".tmp") for _, _, names in os.walk(here.root) for name in names)
