"""`ckfunc cache info` and `ckfunc cache clean`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from ckfunc.runtime.install import write_marker


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """A cache with an installation that was last used ten days ago, and a bundle."""
    cache = tmp_path / "cache"
    directory = cache / "runtimes" / ("a" * 32)
    (directory / "node_modules" / "tiny").mkdir(parents=True)
    (directory / "package.json").write_text('{"dependencies": {"tiny": "1.2.3"}}')
    (directory / "node_modules" / "tiny" / "index.js").write_text("x" * 20_000)
    write_marker(directory, ())
    when = time.time() - 10 * 24 * 3600
    os.utime(directory / ".ckfunc-installed", (when, when))
    (cache / "bundles").mkdir()
    (cache / "bundles" / "one.json").write_text("{}")
    monkeypatch.setenv("CKFUNC_CACHE_DIR", str(cache))
    return cache


def test_info_lists_sizes_by_kind_and_each_installation(ckfunc, cache):
    ran = ckfunc("cache", "info")
    assert ran.code == 0
    assert ran.out.startswith(f"{cache}\n")
    assert "kB  packages  (1)" in ran.out
    assert "bundles  (1)" in ran.out
    assert "total" in ran.out
    assert "tiny@1.2.3  (last used " in ran.out


def test_packages_of_a_project_are_named_before_those_of_the_platform(ckfunc, cache):
    file = cache / "runtimes" / ("a" * 32) / "package.json"
    file.write_text('{"dependencies": {"axios": "^0.26.1", "chatkitty-platform-sdk": "1.4.0", "tiny": "1.2.3"}}')
    lines = ckfunc("cache", "info").out.splitlines()[1:]
    assert "  tiny@1.2.3, axios@^0.26.1, " in lines[-1]
    assert all(len(line) <= 80 for line in lines)


def test_info_as_json_contains_every_entry(ckfunc, cache):
    document = json.loads(ckfunc("cache", "info", "--json").out)
    assert document["directory"] == str(cache)
    assert {entry["kind"] for entry in document["entries"]} == {"packages", "bundles"}
    assert document["bytes"] == sum(entry["bytes"] for entry in document["entries"])
    assert all(entry["lastUsed"].endswith("Z") and not entry["inUse"] for entry in document["entries"])


def test_clean_removes_entries_unused_for_the_given_time(ckfunc, cache):
    ran = ckfunc("cache", "clean", "--older-than", "7d")
    assert ran.code == 0
    assert "tiny@1.2.3" in ran.out
    assert "removed 20" in ran.err
    assert not (cache / "runtimes" / ("a" * 32)).exists()
    assert (cache / "bundles" / "one.json").exists()


def test_a_dry_run_lists_entries_and_removes_nothing(ckfunc, cache):
    ran = ckfunc("cache", "clean", "--dry-run")
    assert "would remove" in ran.err
    assert (cache / "runtimes" / ("a" * 32)).exists()
    document = json.loads(ckfunc("cache", "clean", "--dry-run", "--json").out)
    assert document["dryRun"] is True
    assert len(document["removed"]) == 2
    assert document["inUse"] == []


def test_an_empty_or_missing_cache_is_not_an_error(ckfunc, tmp_path, monkeypatch):
    monkeypatch.setenv("CKFUNC_CACHE_DIR", str(tmp_path / "absent"))
    assert ckfunc("cache", "info").code == 0
    assert ckfunc("cache", "clean").code == 0
    assert not (tmp_path / "absent").exists()


def test_an_invalid_age_is_a_usage_error_with_examples(ckfunc, cache):
    ran = ckfunc("cache", "clean", "--older-than", "soon")
    assert ran.code == 2
    assert "invalid --older-than value 'soon'" in ran.err
    assert "hint: examples: 12h, 30d, 8w" in ran.err
    assert (cache / "bundles" / "one.json").exists()
