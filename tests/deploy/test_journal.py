"""The journal: resuming an interrupted deploy, and undoing a deploy."""

from __future__ import annotations

import json
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deploy.world import REMOVING, Hurried, World, by_name, results
from support.loopback import Reply, Request

from ckfunc.base.clock import ago
from ckfunc.base.errors import SystemRefusal
from ckfunc.base.secrets import secret_values
from ckfunc.deploy import run
from ckfunc.deploy.apply import journal, recovery
from ckfunc.deploy.apply.recovery import NotResumable, unfinished
from ckfunc.deploy.apply.report import DeployReport
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.plan.checks import NeedsFlag
from ckfunc.deploy.plan.plan import make
from ckfunc.deploy.plan.snapshot import overview, with_versions
from ckfunc.deploy.run import DeployContext, carry_out
from ckfunc.model.project import Project

SENT, READ, NEW = "user.sent.message", "user.read.message", "user.started.chat_session"
SECRET = "canary-5f1c"


def publish(here: World, trigger_type: str, script: str) -> None:
    here.application.publish(
        next(function.id for function in here.application.functions.values() if function.type == trigger_type), script
    )


class Killed(BaseException):
    """Simulates the end of the process."""


def journals(here: World) -> list[Path]:
    return sorted((here.root / ".ckfunc" / "journal").glob("*.jsonl"))


def lines(here: World, number: int = -1) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journals(here)[number].read_bytes().splitlines() if line]


def cut_off(here: World, project: Project, at: int) -> None:
    """Deploy, and stop as by `kill -9` when step number `at` begins."""
    steps: list[object] = []

    def count(step: object) -> None:
        steps.append(step)
        if len(steps) > at:
            raise Killed

    with pytest.raises(Killed):
        here.deploy(project, on_step=count)


def resume(here: World, project: Project) -> DeployReport:
    with here.new_client() as client:
        client.runtime()
        record = unfinished(here.root, "staging", client.identity)
    return here.deploy(project, options=run.DeployOptions(allow_removals=True, resume=record))


def take_back(
    here: World, supplied: dict[str, str] | None = None, *, keep: bool = False
) -> tuple[DeployReport, recovery.PreviousState]:
    with here.new_client() as client:
        cache, seen = VersionCache(here.root), overview(client)
        record, begun = journal.deploy_to_undo(here.root, "staging", client.identity)
        assert record is not None
        former = recovery.previous_state(
            record,
            here.root,
            here.project().target,
            seen,
            client,
            cache,
            supplied=secret_values(supplied or {}),
            keep_environment=keep,
        )
        types = [function.type for function in former.project.functions or ()]
        plan = make(former.project, with_versions(seen, types, client, cache))
        means = DeployContext(here.root, cache, clock=Hurried(), command="undo", undoes=record)
        return carry_out(plan, client, means, begun), former


def before_and_after(here: World) -> tuple[Project, Project]:
    """Deploy one project, and return it together with a changed one."""
    first = here.project(
        {SENT: "one\n", READ: "one\n"},
        dependencies={"kept": "1", "gone": "1"},
        environment={"KEPT": SECRET, "CHANGED": f"{SECRET}-old", "GONE": f"{SECRET}-gone"},
        script="export const a = 1;\n",
    )
    second = here.project(
        {SENT: "two\n", READ: "one\n", NEW: "new\n"},
        dependencies={"kept": "2", "new": "1"},
        environment={"KEPT": SECRET, "CHANGED": f"{SECRET}-new", "NEW": f"{SECRET}-added"},
        script="export const a = 2;\n",
    )
    assert here.deploy(first).ok
    return first, second


def test_a_deploy_writes_a_journal_of_every_step_without_secrets(here: World) -> None:
    _, second = before_and_after(here)
    assert here.deploy(second).ok
    told = lines(here)
    head = told[0]
    assert (head["event"], head["command"], head["target"], head["application"]) == ("begin", "deploy", "staging", 42)
    assert head["before"]["kinds"]["dependencies"] == {"gone": "1", "kept": "1"}
    assert head["before"]["functions"][SENT][0] == 1 and head["before"]["functions"][NEW] is None
    assert set(head["before"]["kinds"]["environment"]) == {"KEPT", "CHANGED", "GONE"}
    started = [entry["step"] for entry in told if entry["event"] == "start"]
    assert started == ["put"] * 3 + ["create_function"] + ["create_version"] * 2 + ["put"] * 2
    assert told[-1] == {"event": "end", "ok": True, "ending": "complete"}
    kept = b"".join(path.read_bytes() for path in (here.root / ".ckfunc").rglob("*") if path.is_file())
    assert b"canary" not in kept and b"client-secret" not in kept
    if sys.platform != "win32":
        assert stat.S_IMODE(journals(here)[0].stat().st_mode) == 0o600


def test_a_deploy_without_changes_writes_no_journal(here: World) -> None:
    project = here.project({SENT: "one\n"})
    here.deploy(project)
    here.deploy(project)
    assert len(journals(here)) == 1


def test_additions_come_first_and_removals_last(here: World) -> None:
    _, second = before_and_after(here)
    here.forget_calls()
    here.deploy(second)
    puts = [label.rpartition("/")[2] for label in here.writes()]
    assert puts == [
        "dependencies",
        "environment-variables",
        "initialization-script",
        "functions",
        "versions",
        "versions",
        "dependencies",
        "environment-variables",
    ]
    bodies = [json.loads(request.body) for request in here.server.requests if request.method == "PUT"]
    assert set(bodies[1]) == {"KEPT", "CHANGED", "NEW", "GONE"} and set(bodies[4]) == {"KEPT", "CHANGED", "NEW"}
    assert bodies[1]["GONE"] == f"{SECRET}-gone"


def test_nothing_is_removed_if_a_function_that_may_need_it_was_not_deployed(here: World) -> None:
    _, second = before_and_after(here)

    def refuse(request: Request) -> Reply | None:
        mine = request.method == "POST" and b"two" in request.body
        return Reply(400, {"message": "no"}) if mine else None

    here.application.before = refuse
    report = here.deploy(second)
    found = by_name(report)
    assert found[SENT].result == "failed" and found[NEW].result == "created"
    assert found["gone"].result == "skipped" and found["GONE"].result == "skipped"
    assert found["gone"].note == "not attempted: a function that may depend on it was not deployed"
    assert "gone" in here.application.dependencies and "GONE" in here.application.environment
    here.application.before = None
    assert here.deploy(second).ok
    assert "gone" not in here.application.dependencies


@pytest.mark.parametrize(
    ("again", "at"),
    [
        pytest.param(again, at, marks=() if at % 4 == number else pytest.mark.slow)
        for number, again in enumerate(("resume", "deploy"), 1)
        for at in range(1, 12)
    ],
)
def test_the_next_deploy_completes_an_interrupted_deploy(here: World, at: int, again: str) -> None:
    _, second = before_and_after(here)
    cut_off(here, second, at)
    report = resume(here, second) if again == "resume" else here.deploy(second)
    assert report.ok
    assert here.application.deployed() == {SENT: "two\n", READ: "one\n", NEW: "new\n"}
    assert here.application.history() == {SENT: 2, READ: 1, NEW: 1}
    assert here.plan(second).is_empty
    # The undo restores the state before the interrupted deploy.
    undone, _ = take_back(here, {"CHANGED": f"{SECRET}-old", "GONE": f"{SECRET}-gone"})
    assert undone.ok
    assert here.application.environment["CHANGED"] == f"{SECRET}-old"
    assert here.application.dependencies == {"kept": "1", "gone": "1"}
    assert here.application.script == "export const a = 1;\n"
    assert here.application.deployed()[SENT] == "one\n"


def test_an_undo_also_reverts_an_interrupted_deploy_of_other_sources(here: World) -> None:
    first = here.project({SENT: "one\n", READ: "one\n"}, dependencies={"a": "1"})
    here.deploy(first)
    cut_off(here, here.project({SENT: "two\n", READ: "two\n"}, dependencies={"a": "2"}), 4)
    assert here.application.history() == {SENT: 1, READ: 2} and here.application.dependencies == {"a": "2"}
    third = here.project({SENT: "two\n", READ: "three\n"}, dependencies={"a": "2", "b": "1"})
    cut_off(here, third, 1)
    assert resume(here, third).ok and here.plan(third).is_empty
    report, _ = take_back(here)
    assert report.ok and here.plan(first).changes == here.plan(first).removals == ()


def test_a_resume_continues_after_two_interrupted_deploys(here: World) -> None:
    here.deploy(here.project(environment={"A": "1"}))
    cut_off(here, here.project({SENT: "two\n"}, environment={"A": "2"}), 2)
    third = here.project({SENT: "two\n"}, environment={"A": "3"})
    cut_off(here, third, 0)
    assert resume(here, third).ok and here.application.environment == {"A": "3"}


def test_a_failed_undo_can_be_continued_and_then_undone_completely(here: World) -> None:
    here.deploy(here.project({SENT: "one, sent\n", READ: "one\n"}, dependencies={"a": "1"}))
    second = here.project({SENT: "two\n", READ: "two\n"}, dependencies={"b": "1"})
    here.deploy(second)

    def refuse(request: Request) -> Reply | None:
        mine = request.method == "POST" and b"one, sent" in request.body
        return Reply(400, {"message": "no"}) if mine else None

    for _ in range(2):
        here.application.before = refuse
        assert not take_back(here)[0].ok
        assert here.application.deployed() == {SENT: "two\n", READ: "one\n"}
    with pytest.raises(NotResumable, match=r"is not a deploy, but the undo of"):
        resume(here, second)
    here.application.before = None
    assert take_back(here)[0].ok
    assert here.application.deployed() == {SENT: "one, sent\n", READ: "one\n"}
    assert here.application.dependencies == {"a": "1"}
    assert take_back(here)[0].ok and here.plan(second).is_empty


def test_an_undo_of_a_rollback_does_not_revert_the_deploy_before_it(here: World) -> None:
    here.deploy(here.project({SENT: "one\n"}))
    cut_off(here, here.project({SENT: "one\n", READ: "new\n"}, dependencies={"a": "1"}), 2)
    with here.new_client() as client:
        back = here.project({SENT: "older\n"})
        plan = make(back, with_versions(overview(client), [SENT], client, VersionCache(here.root)))
        carry_out(plan, client, DeployContext(here.root, VersionCache(here.root), clock=Hurried(), command="rollback"))
    assert take_back(here)[0].ok
    assert here.application.deployed()[SENT] == "one\n" and here.application.dependencies == {"a": "1"}


def test_a_resume_without_an_interrupted_deploy_is_refused(here: World) -> None:
    with pytest.raises(NotResumable, match="nothing to resume: this checkout has no record"):
        resume(here, here.project({SENT: "one\n"}))
    here.deploy(here.project({SENT: "one\n"}))
    with pytest.raises(NotResumable, match="is complete"):
        resume(here, here.project({SENT: "one\n"}))


def test_a_resume_with_other_sources_is_refused(here: World) -> None:
    _, second = before_and_after(here)
    cut_off(here, second, 3)
    here.forget_calls()
    other = here.project({SENT: "three\n", READ: "one\n", NEW: "new\n"})
    with pytest.raises(NotResumable, match=r"the sources have changed since that deploy \(dependencies, environ"):
        resume(here, other)
    assert here.writes() == []


def test_a_resume_over_a_version_from_someone_else_is_refused(here: World) -> None:
    _, second = before_and_after(here)
    cut_off(here, second, 3)
    publish(here, SENT, "theirs\n")
    here.forget_calls()
    with pytest.raises(NotResumable, match=f"someone else has deployed v2 of {SENT} since"):
        resume(here, second)
    assert here.writes() == []


def test_a_resume_over_other_changes_from_someone_else_is_refused(here: World) -> None:
    _, second = before_and_after(here)
    cut_off(here, second, 3)
    publish(here, READ, "theirs\n")
    with pytest.raises(NotResumable, match=f"someone else has deployed v2 of {READ} since"):
        resume(here, second)
    here.deploy(second)
    cut_off(here, here.project({SENT: "three\n", NEW: "new\n"}, dependencies={"kept": "3", "new": "1"}), 1)
    here.application.dependencies = {"theirs": "1"}
    with pytest.raises(NotResumable, match=r"someone else has changed the dependencies since .*\(kept, new, theirs\)"):
        resume(here, here.project({SENT: "three\n", NEW: "new\n"}, dependencies={"kept": "3", "new": "1"}))


def test_an_undo_restores_scripts_packages_variables_and_the_init_script(here: World) -> None:
    _, second = before_and_after(here)
    assert here.deploy(second).ok
    report, former = take_back(here, {"CHANGED": f"{SECRET}-old", "GONE": f"{SECRET}-gone"})
    assert report.ok
    assert here.application.deployed() == {SENT: "one\n", READ: "one\n", NEW: "new\n"}
    assert here.application.history() == {SENT: 3, READ: 1, NEW: 1}
    assert here.application.dependencies == {"kept": "1", "gone": "1"}
    assert here.application.script == "export const a = 1;\n"
    assert here.application.environment == {
        "KEPT": SECRET,
        "CHANGED": f"{SECRET}-old",
        "GONE": f"{SECRET}-gone",
    }
    assert former.notes == (f"{NEW} was new; the API cannot remove functions, so it stays at v1",)


def test_an_undo_can_be_undone(here: World) -> None:
    here.deploy(here.project({SENT: "one\n"}, dependencies={"a": "1"}))
    second = here.project({SENT: "two\n"}, dependencies={"b": "1"})
    here.deploy(second)
    take_back(here)
    assert here.application.deployed() == {SENT: "one\n"} and here.application.dependencies == {"a": "1"}
    take_back(here)
    assert here.plan(second).is_empty


def test_an_undo_lists_the_variables_whose_values_it_needs(here: World) -> None:
    _, second = before_and_after(here)
    here.deploy(second)
    here.forget_calls()
    with pytest.raises(recovery.ValuesNeeded) as needed:
        take_back(here)
    assert needed.value.message == ("the previous values of CHANGED, GONE are not recorded and must be supplied")
    with pytest.raises(recovery.ValuesNeeded, match="the supplied values of GONE are not those from before") as wrong:
        take_back(here, {"CHANGED": f"{SECRET}-old", "GONE": "something else"})
    assert "something else" not in str(wrong.value) and here.writes() == []
    report, _ = take_back(here, keep=True)
    assert report.ok and here.application.environment["CHANGED"] == f"{SECRET}-new"
    assert here.application.deployed()[SENT] == "one\n"


def test_an_undo_after_a_deploy_by_someone_else_is_refused(here: World) -> None:
    _, second = before_and_after(here)
    here.deploy(second)
    publish(here, SENT, "theirs\n")
    with pytest.raises(
        recovery.NothingToUndo, match=f"someone else has deployed v3 of {SENT} since that deploy, which left v2"
    ):
        take_back(here, keep=True)
    here.application.functions.clear()
    here.application.dependencies = {"theirs": "1"}
    with pytest.raises(recovery.NothingToUndo, match="someone else has changed the dependencies since"):
        take_back(here, keep=True)


def test_a_deploy_that_cannot_write_its_journal_changes_nothing(here: World) -> None:
    (here.root / ".ckfunc").mkdir()
    (here.root / ".ckfunc" / "journal").write_text("a file is in the way")
    with pytest.raises(OSError):
        here.deploy(here.project({SENT: "one\n"}))
    assert here.writes() == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_a_step_that_cannot_be_recorded_is_not_executed(tmp_path: Path, here: World) -> None:
    project = here.project({SENT: "one\n"})
    plan = here.plan(project)
    with journal.Journal(tmp_path / "journal.jsonl", {}) as kept, Path("/dev/full").open("wb", buffering=0) as full:
        kept._file.close()
        kept._file = full
        with pytest.raises(SystemRefusal, match="No space left"):
            kept.start(plan.steps[0])
        kept.created(SENT, here.application.add(SENT))  # a full disk does not hide completed work


def test_damaged_journals_are_ignored_and_only_the_newest_fifty_are_retained(here: World) -> None:
    for number in range(3):
        here.deploy(here.project({SENT: f"{number}\n"}))
    first, second, third = journals(here)
    first.write_bytes(b"{")
    second.write_bytes(b'{"event":"begin","format":99}\n')
    third.write_bytes(third.read_bytes() + b'{"event":"sta')
    found = list(journal.records(here.root, "staging"))
    assert [record.path for record in found] == [third] and found[0].ok
    for number in range(60):
        (third.parent / f"20200101T0000{number:02}.0-staging.jsonl").write_bytes(b"")
    here.deploy(here.project({SENT: "more\n"}))
    assert len(journals(here)) == 50


def test_journals_of_a_target_with_the_same_name_ending_are_not_counted(here: World) -> None:
    here.deploy(here.project({SENT: "one\n"}))
    kept = journals(here)[0]
    for number in range(60):
        (kept.parent / f"20300101T0000{number:02}.0-us-staging.jsonl").write_bytes(b"")
    here.deploy(here.project({SENT: "two\n"}))
    assert len(journals(here)) == 62 and len(list(journal.records(here.root, "staging"))) == 2


@pytest.mark.parametrize("stamp", ["29990101T000000.5", "99991231T235959.999999", "29991399T999999.1"])
def test_the_last_deploy_is_found_even_if_the_clock_was_set_back(here: World, stamp: str) -> None:
    here.deploy(here.project({SENT: "one\n"}))
    here.deploy(here.project({SENT: "two\n"}))
    journals(here)[-1].rename(journals(here)[0].parent / f"{stamp}-staging.jsonl")
    if stamp.startswith("2999010"):
        here.deploy(here.project({SENT: "three\n"}))
        assert take_back(here)[0].ok and here.application.deployed() == {SENT: "two\n"}
    else:
        assert here.deploy(here.project({SENT: "three\n"})).ok


def test_a_journal_with_a_damaged_line_can_be_read(here: World) -> None:
    here.deploy(here.project({SENT: "one\n"}))
    here.deploy(here.project({SENT: "two\n"}))
    path = journals(here)[-1]
    first, _, rest = path.read_bytes().partition(b"\n")
    junk = b'5\n[]\nnull\n{}\n{"event":"start"}\n{"event":"items","items":[{"kind":1}]}\n\xff\n' + b"[" * 100000
    path.write_bytes(first + b"\n" + junk + b"\n" + rest)
    assert take_back(here)[0].ok and here.application.deployed() == {SENT: "one\n"}


def test_a_truncated_journal_is_read_or_ignored(here: World) -> None:
    here.deploy(here.project({SENT: "one\n"}, environment={"A": "1"}, script="// a\n"))
    path = journals(here)[-1]
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        found = list(journal.records(here.root, "staging"))
        assert len(found) == (length >= whole.index(b"\n"))
        assert length >= len(whole) - 1 or all(record.ok is None for record in found)


def test_a_partial_deploy_can_be_resumed(here: World) -> None:
    _, second = before_and_after(here)
    here.forget_calls()
    report = here.deploy(second, options=run.DeployOptions(only=(NEW, SENT)))
    assert results(report) == {NEW: "created", SENT: "updated"}
    assert here.application.dependencies == {"kept": "1", "gone": "1"}
    report = here.deploy(second, options=run.DeployOptions(only=("runtime",), allow_removals=True))
    assert report.ok and SENT not in results(report)
    assert here.plan(second).is_empty


def test_a_removal_needs_the_allow_removals_flag(here: World) -> None:
    _, second = before_and_after(here)
    here.forget_calls()
    with pytest.raises(NeedsFlag) as refused:
        here.deploy(second, options=run.DeployOptions())
    assert refused.value.message == (
        "the deploy would remove values that are not in functions.yaml: dependency gone, variable GONE"
    )
    assert "--allow-removals" in str(refused.value.hint)
    assert here.writes() == []
    assert here.deploy(second, options=REMOVING).ok


@pytest.mark.parametrize(
    ("passed", "told"),
    [
        (timedelta(seconds=0.4), "just now (11:59)"),
        (timedelta(seconds=-90), "just now (12:01)"),
        (timedelta(seconds=1), "1 second ago (11:59)"),
        (timedelta(minutes=12, seconds=59), "12 minutes ago (11:47)"),
        (timedelta(hours=13), "13 hours ago (2026-11-26 23:00)"),
        (timedelta(days=3), "3 days ago (2026-11-24 12:00)"),
    ],
)
def test_times_are_shown_relative_to_now(passed: timedelta, told: str) -> None:
    now = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
    assert ago(now - passed, now, UTC) == told
