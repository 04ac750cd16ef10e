"""`ckfunc deploy --watch-for`, on the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.conftest import Ckfunc, written
from faults.failing_runs import add_runs, failing_once_deployed
from faults.processes import finish, start
from faults.world import World, world

SENT = "user.sent.message"
MANIFEST = """\
version: 1
functions:
  user.sent.message: {handler: handlers/sent.ts}
targets:
  remote: {TARGET}
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("watched")) as made:
        yield made


@pytest.fixture
def project(shared: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ckfunc: Ckfunc) -> Path:
    """A project whose function is deployed as v1."""
    shared.reset()
    for name, value in shared.environ(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CKFUNC_NODE")  # only the emulator runs without Node
    root = edited(tmp_path / "project", "old")
    assert ckfunc("-C", root, "deploy").code == 0
    return root


def edited(root: Path, word: str, target: str = "") -> Path:
    script = f"async function handleEvent() {{ return '{word}'; }}\n"
    return written(root, {"functions.yaml": MANIFEST.replace("TARGET", target), "handlers/sent.ts": script})


def versions(world: World) -> list[str]:
    return [script.split("'")[1] for script in world.holds().scripts[SENT]]


def test_a_failing_version_is_reverted_and_its_first_failures_are_shown(
    ckfunc: Ckfunc, shared: World, project: Path
) -> None:
    edited(project, "new")
    with failing_once_deployed(shared, SENT, 2, count=3):
        ran = ckfunc("-C", project, "deploy", "--watch-for", "1m", "--min-runs", "3")
    assert ran.code == 1
    assert "Deployed to remote" in ran.out
    assert f"✗ {SENT} v2: 3 of 3 runs failed, 1 allowed (2%; 0 of 0 earlier runs failed)" in ran.out
    assert ran.out.count("TypeError: broken") == 3
    assert "\x1b" not in ran.out
    assert "v2 → v3" in ran.out
    assert ran.out.endswith("Too many runs failed: the deploy was reverted.\n")
    assert f"watching {SENT} v2 for 1m; Ctrl-C leaves the deploy as it is" in ran.err
    assert versions(shared) == ["old", "new", "old"]
    again = ckfunc("-C", project, "deploy", "--resume")
    assert (again.code, "nothing to resume" in again.err) == (1, True)


def test_scripts_and_hooks_get_the_result_as_json(ckfunc: Ckfunc, shared: World, project: Path) -> None:
    edited(project, "new")
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text() + "hooks: {after_deploy: cat > after.json}\n")
    with failing_once_deployed(shared, SENT, 2, count=3):
        ran = ckfunc("-C", project, "deploy", "--watch-for", "1m", "--min-runs", "3", "--json")
    found = json.loads(ran.out)
    assert (ran.code, found["ok"], found["watch"]["ending"]) == (1, False, "reverted")
    (function,) = found["watch"]["functions"]
    assert (function["type"], function["version"], function["former_version"]) == (SENT, 2, 1)
    assert (function["verdict"], function["runs"], function["failed"], function["allowed"]) == (
        "too_many_failures",
        3,
        3,
        1,
    )
    assert [run["error"]["name"] for run in function["first_failed"]] == ["TypeError"] * 3
    assert found["watch"]["undone"][0]["new_version"] == 3
    assert json.loads((project / "after.json").read_text()) == found


def test_watch_settings_of_a_target_can_be_overridden_by_options(ckfunc: Ckfunc, shared: World, project: Path) -> None:
    edited(project, "new", "watch_for: 1s, max_failures: 0.5%, min_runs: 7")
    found = json.loads(ckfunc("-C", project, "deploy", "--json").out)["watch"]
    assert (found["ending"], found["watch_for_s"], found["max_failures"], found["min_runs"]) == (
        "not_enough_runs",
        1.0,
        "0.5%",
        7,
    )
    edited(project, "newer", "watch_for: 1h, min_runs: 7")
    ran = ckfunc("-C", project, "deploy", "--watch-for", "1s")
    assert (ran.code, ran.out.splitlines()[-2:]) == (
        0,
        [
            f"  ○ {SENT} v3: 0 runs, 0 failed; too few to judge, 7 needed",
            "Watched for 1s: too few runs to judge, so the deploy is kept.",
        ],
    )
    edited(project, "newest", "watch_for: 1h")
    ran = ckfunc("-C", project, "deploy", "--watch-for", "none")
    assert (ran.code, "watching" in ran.err) == (0, False)
    # Nothing changes, so nothing is watched.
    ran = ckfunc("-C", project, "deploy")
    assert (ran.code, "watching" in ran.err) == (0, False)


def test_quiet_prints_nothing_about_a_successful_watch(ckfunc: Ckfunc, project: Path) -> None:
    edited(project, "new")
    ran = ckfunc("-q", "-C", project, "deploy", "--watch-for", "1s")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


@pytest.mark.parametrize(
    ("options", "error", "hint"),
    [
        (["--watch-for", "ten"], "invalid --watch-for value 'ten'", "examples: 10m, 90s, 1h30m, none"),
        (["--watch-for", "0m"], "invalid --watch-for value '0m'", "examples: 10m"),
        (["--watch-for", "1m", "--max-failures", "2"], "invalid --max-failures value '2'", "examples: 2%"),
        (["--max-failures", "1%"], "--max-failures needs --watch-for", "`ckfunc deploy --watch-for 10m`"),
        (["--min-runs", "5", "--watch-for", "none"], "--min-runs needs --watch-for", "--watch-for 10m"),
        (["--resume", "--watch-for", "1m"], "--resume can't be used with watch options", "original options"),
    ],
)
def test_invalid_watch_options_are_explained(
    ckfunc: Ckfunc, project: Path, options: list[str], error: str, hint: str
) -> None:
    ran = ckfunc("-C", project, "deploy", *options)
    assert (ran.code, ran.out) == (2, "")
    assert f"error: {error}" in ran.err
    assert hint in ran.err


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("watch_for: 10", "watch_for"),
        ("watch_for: soon", "watch_for is not a duration (such as 10m, 90s or 1h30m)"),
        ("max_failures: 2", "max_failures"),
        ("max_failures: 200%", "max_failures is not a percentage (such as 2% or 0.5%)"),
        ("min_runs: 0", "min_runs must be a whole number"),
    ],
)
def test_mistakes_in_watch_settings_are_reported_with_a_location(
    ckfunc: Ckfunc, project: Path, key: str, error: str
) -> None:
    ran = ckfunc("-C", edited(project, "new", key), "deploy")
    assert ran.code == 1
    assert "functions.yaml:5:" in ran.err
    assert error in ran.err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_an_interrupt_does_not_revert_and_resume_continues_the_watch(
    ckfunc: Ckfunc, shared: World, project: Path
) -> None:
    edited(project, "new")
    process = watching(project, dict(os.environ))
    process.send_signal(signal.SIGINT)
    ran = finish(process)
    assert (ran.code, ran.out.splitlines()[-1]) == (
        130,
        "Interrupted: the deploy stays as it is, and is no longer watched.",
    )
    assert "hint: `ckfunc deploy --resume` continues" in ran.err
    assert versions(shared) == ["old", "new"]
    plain = ckfunc("-C", project, "deploy", "--watch-for", "1m")
    assert (plain.code, "`ckfunc deploy --resume` continues it" in plain.err) == (0, True)
    dry = ckfunc("-C", project, "deploy", "--resume", "--dry-run")
    assert (dry.code, dry.err.startswith("dry run: the watch of the deploy")) == (0, True)
    data = ckfunc("-C", project, "deploy", "--resume", "--dry-run", "--json")
    assert (data.code, json.loads(data.out)["watch"]["ending"]) == (0, "not_watched")
    add_runs(shared.database, SENT, 2, *[True] * 20)
    resumed = ckfunc("-C", project, "deploy", "--resume")
    assert resumed.code == 1
    assert "resuming the watch of the deploy" in resumed.err
    assert resumed.out.endswith("the deploy was reverted.\n")
    assert versions(shared) == ["old", "new", "old"]


def watching(project: Path, environ: dict[str, str]) -> subprocess.Popen[str]:
    """Start a watched deploy, and return as soon as it watches."""
    process = start(project, environ, "deploy", "--watch-for", "10m")
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("watching "), line
    journal = project / ".ckfunc/journal"
    while not any(b'"watching"' in path.read_bytes() for path in journal.glob("*.jsonl")):
        assert process.poll() is None
        time.sleep(0.02)
    return process
