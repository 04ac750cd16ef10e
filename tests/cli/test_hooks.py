"""Hooks of a deploy: commands of functions.yaml that run before and after it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ckfunc = Callable[..., Any]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the commands are for POSIX shells")


def with_hooks(project: Path, **hooks: str) -> Path:
    manifest = project / "functions.yaml"
    lines = [f"  {name}: {json.dumps(command)}" for name, command in hooks.items()]
    manifest.write_text("\n".join([manifest.read_text().rstrip(), "hooks:", *lines, ""]))
    return project


def test_hooks_receive_the_plan_and_the_report_and_print_to_stderr(ckfunc: Ckfunc, project: Path) -> None:
    with_hooks(project, before_deploy="cat > before.json; echo from before", after_deploy="tee after.json; pwd > where")
    ran = ckfunc("-C", project, "--target", "local", "deploy", "--json")
    assert ran.code == 0, ran.err
    plan, report = (json.loads((project / f"{name}.json").read_text()) for name in ("before", "after"))
    assert [change["name"] for change in plan["changes"]] == ["user.attempted.start_session"]
    assert report == json.loads(ran.out)
    assert report["ok"] is True
    assert Path((project / "where").read_text().strip()).resolve() == project.resolve()


def test_a_failing_hook_before_a_deploy_stops_it(ckfunc: Ckfunc, project: Path) -> None:
    with_hooks(project, before_deploy="exit 3", after_deploy="touch after")
    ran = ckfunc("-C", project, "--target", "local", "deploy")
    assert (ran.code, ran.out) == (1, "")
    assert "error: the hook before_deploy (`exit 3`) failed with exit code 3; nothing was written" in ran.err
    assert not (project / "after").exists()
    assert "1 to create" in ckfunc("-C", project, "--target", "local", "diff").out


def test_a_failing_hook_after_a_deploy_is_reported(ckfunc: Ckfunc, project: Path) -> None:
    with_hooks(project, after_deploy="no-such-command-at-all")
    ran = ckfunc("-C", project, "--target", "local", "deploy")
    assert ran.code == 1
    assert "1 created" in ran.out
    assert "failed with exit code 127; the deploy is complete" in ran.err
    assert "hint: the command was not found" in ran.err
    assert "No changes" in ckfunc("-C", project, "--target", "local", "diff").out


def test_hooks_run_only_when_a_deploy_writes(ckfunc: Ckfunc, project: Path) -> None:
    with_hooks(project, before_deploy="echo x >> count", after_deploy="echo y >> count")
    assert ckfunc("-C", project, "--target", "local", "deploy", "--dry-run").code == 0
    assert not (project / "count").exists()
    for _ in range(2):
        assert ckfunc("-C", project, "--target", "local", "deploy").code == 0
    assert (project / "count").read_text() == "x\ny\n"


def test_a_hook_may_ignore_its_input_and_gets_no_secrets(ckfunc: Ckfunc, project: Path) -> None:
    (project / "functions.yaml").write_text(
        "version: 1\nruntime:\n  environment: {KEY: 'x${SECRET_PART}'}\nfunctions:\n"
        "  user.attempted.start_session: {handler: handlers/start.ts}\ntargets: {local: {emulator: true}}\n"
    )
    (project / ".env").write_text("SECRET_PART=swordfish\n")
    with_hooks(project, before_deploy="cat > before.json", after_deploy="exec <&-")
    ran = ckfunc("-C", project, "--target", "local", "deploy")
    assert ran.code == 0, ran.err
    assert "swordfish" not in (project / "before.json").read_text()


def test_mistakes_in_hooks_are_reported_with_a_location(ckfunc: Ckfunc, project: Path) -> None:
    with_hooks(project, before_deplyo="true")
    ran = ckfunc("-C", project, "--target", "local", "diff")
    assert ran.code == 1
    assert "did you mean before_deploy?" in ran.err
