"""Versions, show, diff of versions and rollback, on the embedded emulator."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.sampling import sampled

TYPE = "user.attempted.start_session"


@pytest.fixture
def local(project: Path) -> Path:
    """The project, with the emulator as its default target."""
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("default_target: remote", "default_target: local"))
    return project


def script(word: str) -> str:
    return f"async function handleEvent(event: any) {{\n  return '{word}';\n}}\n"


def deployed(ckfunc: Callable[..., Any], root: Path, *words: str) -> None:
    for word in words:
        (root / "handlers/start.ts").write_text(script(word))
        assert ckfunc("-C", root, "deploy").code == 0


def git(root: Path, *arguments: str, day: int = 1) -> str:
    when = f"2024-05-{day:02d}T12:00:00+00:00"
    environ = {
        **os.environ,
        "GIT_AUTHOR_DATE": when,
        "GIT_COMMITTER_DATE": when,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    identity = ["-c", "user.name=Jane", "-c", "user.email=jane@example.com", "-c", "core.autocrlf=false"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=root, env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_versions_are_listed_newest_first_with_deployed_and_local_ones_marked(
    ckfunc: Callable[..., Any], local: Path
) -> None:
    deployed(ckfunc, local, "one", "two")
    (local / "handlers/start.ts").write_text(script("one"))
    listed = ckfunc("-C", local, "versions", TYPE)
    assert listed.code == 0
    header, newest, oldest = listed.out.splitlines()
    assert header.split() == ["VERSION", "DEPLOYED", "SCRIPT", "LINES", "STATE"]
    for line in (newest, oldest):
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d  [0-9a-f]{12} ", line[header.index("DEPLOYED") :])
    assert newest.startswith("v2") and newest.endswith("deployed")
    assert oldest.startswith("v1") and oldest.endswith("local")
    found = json.loads(ckfunc("-C", local, "versions", TYPE, "--json").out)
    assert [(version["version"], version["deployed"], version["matches_local"]) for version in found] == [
        (2, True, False),
        (1, False, True),
    ]
    assert len(ckfunc("-C", local, "versions", TYPE, "-n", "1").out.splitlines()) == 2
    assert "older versions are not shown: use -n 5" in ckfunc("-C", local, "versions", TYPE, "-n", "1").err
    assert [version["deployed_time"] for version in found] == sorted(
        (version["deployed_time"] for version in found), reverse=True
    )


def test_a_version_deployed_elsewhere_shows_its_first_invocation_time(ckfunc: Callable[..., Any], local: Path) -> None:
    deployed(ckfunc, local, "one", "two")
    for journal in (local / ".ckfunc/journal").glob("*.jsonl"):
        journal.unlink()
    listed = ckfunc("-C", local, "versions", TYPE).out.splitlines()
    assert listed[0].split() == ["VERSION", "SCRIPT", "LINES", "STATE"]
    assert ckfunc("-C", local, "trigger", TYPE, "--data", '{"username": "jane"}').code == 0
    header, newest, oldest = ckfunc("-C", local, "versions", TYPE).out.splitlines()
    assert re.match(r"by \d{4}-\d\d-\d\d \d\d:\d\d ", newest[header.index("DEPLOYED") :])
    assert oldest[header.index("DEPLOYED") : header.index("SCRIPT")].isspace()


def test_a_version_is_printed_as_it_was_deployed(ckfunc: Callable[..., Any], local: Path) -> None:
    deployed(ckfunc, local, "one", "two")
    assert ckfunc("-C", local, "show", TYPE).out == script("two")
    assert ckfunc("-C", local, "show", f"{TYPE}@1").out == script("one")
    assert json.loads(ckfunc("-C", local, "show", f"{TYPE}@v1", "--json").out)["script"] == script("one")


def test_old_versions_are_requested_if_they_are_not_cached(ckfunc: Callable[..., Any], local: Path) -> None:
    deployed(ckfunc, local, "one", "two", "three")
    for kept in (local / ".ckfunc/cache/versions").glob("*/*.ts"):
        kept.unlink()
    assert ckfunc("-C", local, "show", f"{TYPE}@1").out == script("one")
    assert ckfunc("-C", local, "show", f"{TYPE}@3").out == script("three")


@pytest.mark.parametrize(
    ("line", "code", "said"),
    sampled(
        [
            (["show", f"{TYPE}@9"], 1, "has no version 9"),
            (["show", "call.ended"], 1, "no function of type 'call.ended'"),
            (["show", f"{TYPE}@0"], 2, "neither TYPE nor TYPE@NUMBER"),
            (["show", f"{TYPE}@latest"], 2, "neither TYPE nor TYPE@NUMBER"),
            (["versions", "call.ended"], 1, TYPE),
            (["rollback", f"{TYPE}@1", "--yes"], 2, "--to NUMBER"),
            (["rollback", TYPE, "--yes"], 1, "no earlier version with a different script"),
            (["rollback", TYPE, "--to", "7", "--yes"], 1, "has no version 7"),
            (["diff", f"{TYPE}@1", f"{TYPE}@1", f"{TYPE}@1"], 2, "at most two"),
            (["versions", TYPE, "--blame"], 1, "git"),
        ]
    ),
)
def test_missing_functions_and_versions_are_reported_with_a_hint(
    ckfunc: Callable[..., Any], local: Path, line: list[str], code: int, said: str
) -> None:
    deployed(ckfunc, local, "one")
    ran = ckfunc("-C", local, *line)
    assert ran.code == code, ran.err
    assert said in ran.err
    assert "hint: " in ran.err
    assert ran.out == ""


def test_versions_can_be_compared_with_each_other_and_the_working_copy(ckfunc: Callable[..., Any], local: Path) -> None:
    deployed(ckfunc, local, "one", "two")
    (local / "handlers/start.ts").write_text(script("three"))
    both = ckfunc("-C", local, "diff", f"{TYPE}@1", f"{TYPE}@2")
    assert both.code == 0
    assert f"--- {TYPE}@1\n+++ {TYPE}@2\n" in both.out
    assert "-  return 'one';\n+  return 'two';\n" in both.out
    here = ckfunc("-C", local, "diff", f"{TYPE}@1", "--exit-code")
    assert here.code == 3
    assert "+++ handlers/start.ts\n" in here.out
    assert "+  return 'three';\n" in here.out
    assert "-  return 'two';" in ckfunc("-C", local, "diff", TYPE).out
    same = ckfunc("-C", local, "diff", f"{TYPE}@2", TYPE, "--exit-code")
    assert (same.code, same.out) == (0, "")
    assert json.loads(ckfunc("-C", local, "diff", TYPE, "--json").out)["equal"] is False


def test_a_rollback_shows_a_diff_and_deploys_the_old_script_as_a_new_version(
    ckfunc: Callable[..., Any], local: Path
) -> None:
    deployed(ckfunc, local, "one", "two", "three")
    refused = ckfunc("-C", local, "rollback", TYPE, "--to", "1")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert "+  return 'one';" in refused.err
    assert ckfunc("-C", local, "show", TYPE).out == script("three")
    done = ckfunc("-C", local, "rollback", TYPE, "--to", "1", "--yes")
    assert done.code == 0
    assert "v3 → v4" in done.out
    assert "handlers/start.ts differs from the deployed version" in done.err
    assert ckfunc("-C", local, "show", TYPE).out == script("one")
    again = ckfunc("-C", local, "rollback", TYPE, "--to", "1", "--yes", "--json")
    assert json.loads(again.out)["result"] == "unchanged"
    back = json.loads(ckfunc("-C", local, "rollback", TYPE, "--yes", "--json").out)
    assert (back["to"], back["version"], back["result"]) == (3, 5, "updated")


def test_blame_finds_commits_across_renames_and_line_ending_changes(ckfunc: Callable[..., Any], local: Path) -> None:
    git(local, "init", "-q")
    ids = []
    for day, word in enumerate(("one", "two", "three"), 1):
        deployed(ckfunc, local, word)
        if word == "two":  # as a checkout on Windows would commit it
            (local / "handlers/start.ts").write_bytes(script(word).replace("\n", "\r\n").encode())
        git(local, "add", "handlers", "functions.yaml")
        git(local, "commit", "-q", "-m", f"Say {word}", day=day)
        ids.append(git(local, "rev-parse", "HEAD"))
    deployed(ckfunc, local, "never committed")
    (local / "handlers/start.ts").write_text(script("three"))
    git(local, "mv", "handlers/start.ts", "handlers/begin.ts")
    manifest = local / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("start.ts", "begin.ts"))
    git(local, "commit", "-q", "-a", "-m", "Rename", day=9)
    found = json.loads(ckfunc("-C", local, "versions", TYPE, "--blame", "--json").out)
    assert [version.get("commit", {}).get("id") for version in found] == [None, *reversed(ids)]
    assert found[-1]["commit"]["author"] == "Jane"
    shown = ckfunc("-C", local, "versions", TYPE, "--blame").out
    assert "Jane: Say two" in shown
    assert "not found in git" in shown


def committed(directory: Path, file: Path, *words: str) -> list[str]:
    """Commit `file` with each script in turn; return the commits' ids."""
    ids = []
    for day, word in enumerate(words, 1):
        file.write_text(script(word))
        git(directory, "add", "handlers", "functions.yaml")
        git(directory, "commit", "-q", "-m", f"Say {word}", day=day)
        ids.append(git(directory, "rev-parse", "HEAD"))
    return ids


def blamed(ckfunc: Callable[..., Any], directory: Path) -> list[str | None]:
    ran = ckfunc("-C", directory, "versions", TYPE, "--blame", "--json")
    assert ran.code == 0, ran.err
    return [version.get("commit", {}).get("id") for version in json.loads(ran.out)]


def test_blame_in_a_shallow_clone_omits_commits_before_its_boundary(
    ckfunc: Callable[..., Any], local: Path, tmp_path: Path
) -> None:
    deployed(ckfunc, local, "one", "two", "three")
    git(local, "init", "-q")
    ids = committed(local, local / "handlers/start.ts", "one", "two")
    (local / "README").write_text("unrelated")
    git(local, "add", "README")
    git(local, "commit", "-q", "-m", "Only the readme", day=3)
    ids += committed(local, local / "handlers/start.ts", "three")
    for depth, expected in ((1, [None] * 3), (2, [ids[2], None, None]), (4, list(reversed(ids)))):
        shallow = tmp_path / f"depth-{depth}"
        git(tmp_path, "clone", "-q", "--depth", str(depth), local.resolve().as_uri(), str(shallow))
        shutil.copytree(local / ".ckfunc/emulator", shallow / ".ckfunc/emulator")
        assert blamed(ckfunc, shallow) == expected
        told = ckfunc("-C", shallow, "versions", TYPE, "--blame").err
        assert ("git fetch --unshallow" in told) == (None in expected)


def test_git_settings_and_variables_do_not_change_blame(
    ckfunc: Callable[..., Any], local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(ckfunc, local, "one", "two")
    git(local, "init", "-q")
    ids = committed(local, local / "handlers/start.ts", "one", "two")
    for name, value in {
        "log.showRoot": "false",
        "log.showSignature": "true",
        "log.diffMerges": "off",
        "log.date": "relative",
        "format.pretty": "oneline",
        "color.ui": "always",
        "diff.external": "false",
        "diff.renames": "false",
        "diff.noprefix": "true",
        "core.pager": "false",
        "core.fsmonitor": "false",
    }.items():
        git(local, "config", name, value)
    assert blamed(ckfunc, local) == list(reversed(ids))
    # A git hook or a shell may point git to another repository.
    monkeypatch.setenv("GIT_DIR", str(local / "nowhere"))
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert blamed(ckfunc, local) == list(reversed(ids))
    monkeypatch.delenv("GIT_DIR")
    # Replace refs exist on one machine only.
    git(local, "replace", ids[0], ids[1])
    assert blamed(ckfunc, local) == list(reversed(ids))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a checkout away")
def test_a_checkout_owned_by_another_user_is_reported(
    ckfunc: Callable[..., Any], local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    deployed(ckfunc, local, "one")
    git(local, "init", "-q")
    committed(local, local / "handlers/start.ts", "one")
    (local / ".env").write_text("A=b\n")
    for path in (local / ".git", local):
        os.chown(path, 65534, 65534)
    ran = ckfunc("-C", local, "versions", TYPE, "--blame")
    assert ran.code == 1
    assert "belongs to another user" in ran.err and f"safe.directory '{local.resolve()}'" in ran.err
    assert "safe.directory" in ckfunc("-C", local, "doctor").out
