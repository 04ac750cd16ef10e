"""Deploys on the command line: options that permit risks, saved plans, and undo."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Ckfunc
from deploy.application import RemoteApplication
from support.commands import Command
from support.loopback import serve

START, SENT = "user.attempted.start_session", "user.sent.message"
CANARY = "canary-8c2e"
MANIFEST = """\
version: 1
runtime:
  dependencies: {{ms: ^2.1.3{package}}}
  environment: {{GREETING: {greeting}}}
functions:
  user.attempted.start_session:
    handler: handlers/start.ts
  user.sent.message:
    handler: handlers/sent.ts
targets:
  remote: {{{target}}}
"""


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The application that the shell's variables point to, behind a real server."""
    found = RemoteApplication()
    with serve(found.answer) as server:
        monkeypatch.setenv("CHATKITTY_API_URL", server.url)
        monkeypatch.setenv("CHATKITTY_AUTHORIZATION_URL", f"{server.url}/oauth/token")
        monkeypatch.setenv("CHATKITTY_CLIENT_ID", "id")
        monkeypatch.setenv("CHATKITTY_CLIENT_SECRET", "client-secret")
        found.server = server  # type: ignore[attr-defined]  # the received requests
        yield found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "handlers").mkdir()
    write(tmp_path, "one")
    return tmp_path


def write(root: Path, word: str, package: str = "", greeting: str = CANARY, target: str = "") -> None:
    (root / "functions.yaml").write_text(MANIFEST.format(package=package, greeting=greeting, target=target))
    for name in ("start", "sent"):
        (root / f"handlers/{name}.ts").write_text(f"async function handleEvent() {{ return '{name} {word}'; }}\n")


def writes(application: Any) -> list[str]:
    return [call for call in application.server.calls() if not call.startswith("GET") and "oauth" not in call]


def test_a_dry_run_checks_everything_and_writes_nothing(ckfunc: Ckfunc, project: Path, application: Any) -> None:
    ran = ckfunc("-C", project, "deploy", "--dry-run")
    assert ran.code == 0 and "Plan: 4 to create" in ran.out and "dry run: nothing was written" in ran.err
    assert writes(application) == [] and not (project / ".ckfunc/journal").exists()
    told = json.loads(ckfunc("-C", project, "deploy", "--dry-run", "--json").out)
    assert told["summary"]["create"] == 4 and writes(application) == []
    (project / "handlers/sent.ts").write_text("async function handleEvent( {")
    assert ckfunc("-C", project, "deploy", "--dry-run").code == 1


def test_a_dry_run_reports_refusals(ckfunc: Ckfunc, project: Path, application: RemoteApplication) -> None:
    application.environment = {"OLD": CANARY}
    ran = ckfunc("-C", project, "deploy", "--dry-run")
    assert ran.code == 1 and "variable OLD" in ran.err and "--allow-removals" in ran.err and CANARY not in ran.err
    assert ckfunc("-C", project, "deploy", "--dry-run", "--allow-removals").code == 0
    assert writes(application) == []
    assert ckfunc("-C", project, "deploy").code == 1 and application.environment == {"OLD": CANARY}
    assert ckfunc("-C", project, "deploy", "--allow-removals").code == 0
    assert application.environment == {"GREETING": CANARY}


def test_only_selected_functions_and_sections_are_deployed(
    ckfunc: Ckfunc, project: Path, application: RemoteApplication
) -> None:
    ran = ckfunc("-C", project, "deploy", "--only", SENT, "--concurrency", "1")
    assert ran.code == 0 and application.history() == {SENT: 1} and application.environment == {}
    assert "Plan: 2 to create" in ckfunc("-C", project, "diff", "--only", "runtime").out
    assert ckfunc("-C", project, "deploy", "--only", "runtime").code == 0 and application.history() == {SENT: 1}
    wrong = ckfunc("-C", project, "deploy", "--only", "user.sent.mesage")
    assert wrong.code == 2 and "did you mean user.sent.message?" in wrong.err


def test_only_the_saved_plan_is_deployed(ckfunc: Ckfunc, project: Path, application: RemoteApplication) -> None:
    plan = project / "plan.json"
    saved = ckfunc("-C", project, "diff", "--out", "plan.json")
    assert saved.code == 0 and "saved plan.json" in saved.err and CANARY not in plan.read_text()
    write(project, "two")
    stale = ckfunc("-C", project, "deploy", "--plan", plan)
    assert stale.code == 1 and "stale: the sources have changed" in stale.err and "--allow-stale" in stale.err
    assert writes(application) == []
    write(project, "one")
    assert ckfunc("-C", project, "deploy", "--plan", plan).code == 0
    assert application.deployed()[SENT] == "async function handleEvent() { return 'sent one'; }\n"
    assert ckfunc("-C", project, "deploy", "--plan", plan).code == 1
    assert ckfunc("-C", project, "deploy", "--plan", plan, "--allow-stale").code == 0


def test_a_saved_plan_for_another_target_is_refused(ckfunc: Ckfunc, project: Path, application: Any) -> None:
    write(project, "one", target="}\n  other: {")
    assert ckfunc("-C", project, "--target", "remote", "diff", "--out", "plan.json").code == 0
    refused = ckfunc("-C", project, "--target", "other", "deploy", "--plan", "plan.json", "--allow-stale", "--yes")
    assert refused.code == 2 and "was saved for target 'remote', not for 'other'" in refused.err
    assert writes(application) == []
    assert ckfunc("-C", project, "deploy", "--plan", "plan.json").code == 0


@pytest.mark.parametrize("what", [".ckfunc", ".ckfunc/journal", "plan.json/x", "x" * 300])
def test_an_obstructed_file_path_is_reported_with_a_hint(
    ckfunc: Ckfunc, project: Path, application: Any, what: str
) -> None:
    way = project / what.partition("/x")[0]
    if not what.startswith("x"):
        way.parent.mkdir(exist_ok=True)
        way.write_text("")
    command = ("deploy",) if what.startswith(".") else ("diff", "--out", what)
    refused = ckfunc("-C", project, *command)
    assert refused.code == 1 and refused.err.startswith("error: ") and "bug" not in refused.err
    assert "hint: " in refused.err and writes(application) == []


def test_mutually_exclusive_deploy_options_are_refused(ckfunc: Ckfunc, project: Path, application: Any) -> None:
    assert ckfunc("-C", project, "deploy", "--plan", "p.json", "--only", SENT).code == 2
    assert ckfunc("-C", project, "deploy", "--resume", "--only", SENT).code == 2
    assert ckfunc("-C", project, "deploy", "--plan", "missing.json").code == 2
    assert ckfunc("-C", project, "diff", f"{SENT}@1", "--out", "p.json").code == 2
    assert ckfunc("-C", project, "deploy", "--concurrency", "17").code == 2
    assert application.server.calls() == []


def test_another_application_needs_an_explicit_flag(
    ckfunc: Ckfunc, project: Path, application: RemoteApplication
) -> None:
    write(project, "one", target="application: 7")
    refused = ckfunc("-C", project, "deploy")
    assert refused.code == 1 and "bound to application 7" in refused.err
    assert "--allow-other-application" in refused.err
    assert ckfunc("-C", project, "deploy", "--allow-other-application").code == 0


def test_an_undo_shows_its_changes_and_applies_them(
    ckfunc: Ckfunc, project: Path, application: RemoteApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ckfunc("-C", project, "undo").code == 1  # nothing was deployed from this checkout
    monkeypatch.setenv("GREETING", CANARY)
    write(project, "one", greeting="'${GREETING}'")
    assert ckfunc("-C", project, "deploy").code == 0
    monkeypatch.setenv("GREETING", f"{CANARY}-new")
    write(project, "two", package=", left-pad: 1.3.0", greeting="'${GREETING}'")
    assert ckfunc("-C", project, "deploy").code == 0
    needed = ckfunc("-C", project, "undo", "--yes")
    assert needed.code == 1 and "previous values of GREETING" in needed.err and "--env-file" in needed.err
    (project / "old.env").write_text(f"GREETING={CANARY}\n")
    shown = ckfunc("-C", project, "undo", "--dry-run", "--env-file", "old.env")
    assert shown.code == 0 and "'sent one'" in shown.out and "left-pad" in shown.out and CANARY not in shown.out
    nobody = ckfunc("-C", project, "undo", "--env-file", "old.env")
    assert nobody.code == 2 and "--yes" in nobody.err
    before = len(writes(application))
    undone = ckfunc("-C", project, "undo", "--yes", "--env-file", "old.env")
    assert undone.code == 0 and re.search(rf"{SENT}\s+v2 → v3", undone.out)
    assert len(writes(application)) > before
    assert application.environment == {"GREETING": CANARY} and application.dependencies == {"ms": "^2.1.3"}
    assert "'sent one'" in str(application.deployed()[SENT])


def test_an_undo_reports_changes_that_cannot_be_reverted_and_no_other_functions(
    ckfunc: Ckfunc, project: Path, application: RemoteApplication
) -> None:
    none = ckfunc("-C", project, "undo", "--yes")
    assert (
        none.code == 1 and "this checkout has no record of a deploy to target 'remote' of this application" in none.err
    )
    assert ckfunc("-C", project, "deploy", "--only", SENT).code == 0
    done = ckfunc("-C", project, "undo", "--yes")
    assert done.code == 0 and f"{SENT} was new; the API cannot remove functions" in done.err
    assert "Nothing to revert on remote: it is as it was before the deploy " in done.out
    assert "unmanaged" not in done.out
    assert json.loads(ckfunc("-C", project, "undo", "--yes", "--json").out)["ok"]
    assert ckfunc("-C", project, "deploy").code == 0
    write(project, "two")
    assert ckfunc("-C", project, "deploy", "--only", SENT).code == 0
    done = ckfunc("-C", project, "undo", "--yes")
    assert "v2 → v3" in done.out and START not in done.out


def test_an_invalid_file_of_previous_values_is_reported_without_its_values(
    ckfunc: Ckfunc, project: Path, application: Any
) -> None:
    assert ckfunc("-C", project, "deploy").code == 0
    written = len(writes(application))
    for content in (f"GREETING={CANARY}\n= {CANARY}\n".encode(), b"GREETING=\xff\n"):
        (project / "old.env").write_bytes(content)
        refused = ckfunc("-C", project, "undo", "--yes", "--env-file", "old.env")
        assert refused.code == 1 and "the former values cannot be read" in refused.err and "old.env:" in refused.err
        assert CANARY not in refused.err
    assert len(writes(application)) == written


def test_an_undo_can_leave_the_environment_unchanged(
    ckfunc: Ckfunc, project: Path, application: RemoteApplication
) -> None:
    assert ckfunc("-C", project, "deploy").code == 0
    write(project, "two", greeting=f"{CANARY}-new")
    assert ckfunc("-C", project, "deploy").code == 0
    assert ckfunc("-C", project, "undo", "--yes", "--keep-environment").code == 0
    assert application.environment == {"GREETING": f"{CANARY}-new"}
    assert "'sent one'" in str(application.deployed()[SENT])
    # The working copy is unchanged, so the reverted changes are differences again.
    assert f"~ {SENT}" in ckfunc("-C", project, "diff").out


def test_a_complete_deploy_cannot_be_resumed(ckfunc: Ckfunc, project: Path, application: RemoteApplication) -> None:
    assert ckfunc("-C", project, "deploy", "--resume").code == 1
    assert ckfunc("-C", project, "deploy").code == 0
    ran = ckfunc("-C", project, "deploy", "--resume")
    assert ran.code == 1 and "nothing to resume: the last deploy to" in ran.err


def test_a_failed_deploy_can_be_resumed(ckfunc: Ckfunc, project: Path, application: RemoteApplication) -> None:
    from support.loopback import Reply, Request

    def refuse(request: Request) -> Reply | None:
        return Reply(400, {"message": "no room"}) if b"start one" in request.body else None

    application.before = refuse
    assert ckfunc("-C", project, "deploy").code == 1
    application.before = None
    ran = ckfunc("-C", project, "deploy", "--resume")
    assert ran.code == 0 and re.search(r"resuming the deploy [^\n]+ \(\d\d:\d\d\)\n", ran.err)
    assert application.history() == {START: 1, SENT: 1}


def test_an_undo_is_refused_after_a_deploy_by_someone_else(
    ckfunc: Ckfunc, project: Path, application: RemoteApplication
) -> None:
    assert ckfunc("-C", project, "deploy").code == 0
    write(project, "two")
    assert ckfunc("-C", project, "deploy").code == 0
    application.publish(
        next(function.id for function in application.functions.values() if function.type == SENT), "theirs"
    )
    refused = ckfunc("-C", project, "undo", "--yes")
    assert refused.code == 1 and f"someone else has deployed v3 of {SENT} since" in refused.err
    assert f"ckfunc rollback {SENT} --to 1" in refused.err


def test_a_watch_reports_replacing_a_version_from_someone_else(project: Path, application: RemoteApplication) -> None:
    with Command("-C", project, "watch", "--no-logs") as watch:
        watch.until("Deployed to remote")
        theirs = next(function.id for function in application.functions.values() if function.type == SENT)
        application.publish(theirs, "theirs\n")
        (project / "handlers/start.ts").write_text("async function handleEvent() { return 'saved'; }\n")
        watch.until(f"warning: {SENT} was v1 after the last deploy and is v2 now: replacing someone else's version")
        watch.until("Deployed to remote")
        assert f"{START} was left" not in "".join(watch.said)
        assert watch.interrupt() == 130
    assert application.history()[SENT] == 3
