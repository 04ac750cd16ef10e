"""Watched deploys killed after any write of the deploy or its undo: `--resume` reverts them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from faults.failing_runs import failing_once_deployed
from faults.processes import Killer, run, start
from faults.world import World

TYPES = ("user.read.message", "user.sent.message")
WATCH = ("--watch-for", "1m", "--min-runs", "5")
WRITES = 4
"""Two new versions, and two reverted scripts."""


def project(root: Path, word: str) -> Path:
    (root / "handlers").mkdir(parents=True, exist_ok=True)
    lines = [f"  {name}: {{handler: handlers/{name}.ts}}" for name in TYPES]
    text = "\n".join(["version: 1", "targets: {remote: {}}", "functions:", *lines, ""])
    (root / "functions.yaml").write_text(text, encoding="utf-8")
    for name in TYPES:
        script = f"async function handleEvent() {{ return '{word}'; }}\n"
        (root / f"handlers/{name}.ts").write_text(script, encoding="utf-8")
    return root


def words(world: World) -> dict[str, list[str]]:
    return {name: [script.split("'")[1] for script in scripts] for name, scripts in world.holds().scripts.items()}


@pytest.mark.parametrize("unanswered", [False, True], ids=["after the response", "before the response"])
@pytest.mark.slow
def test_a_watched_deploy_killed_after_any_write_is_reverted_by_resume(
    shared: World, unanswered: bool, record_property: Callable[[str, object], None]
) -> None:
    wrong, killed = [], 0
    for number in range(1, WRITES + 1):
        shared.reset()
        root, environ = project(shared.directory / f"watched-{number}-{unanswered}", "old"), shared.environ()
        assert run(root, environ, "deploy").code == 0
        project(root, "new")
        with failing_once_deployed(shared, TYPES[-1], 2, count=10):
            killer = Killer(shared.proxy, number, unanswered=unanswered)
            killed += killer.kill(start(root, environ, "deploy", *WATCH))
            shared.proxy.forget()
            ran = run(root, environ, "deploy", "--resume")
        if ran.code != 1 or "Too many runs failed: the deploy was reverted." not in ran.out:
            wrong.append(f"write {number}: exit {ran.code}: {ran.err}{ran.out}")
        if words(shared) != {name: ["old", "new", "old"] for name in TYPES}:
            wrong.append(f"write {number}: {words(shared)}")
        again = run(root, environ, "deploy", "--resume")
        if again.code != 1 or "nothing to resume" not in again.err:
            wrong.append(f"write {number}: resumed twice: {again.err}{again.out}")
        shared.remove(root)
    record_property("watched deploys killed", killed)
    assert wrong == []
    assert killed == WRITES
