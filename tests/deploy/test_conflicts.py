"""Concurrent deploys from several machines: the first wins completely."""

from __future__ import annotations

import threading

import pytest
from deploy.world import World, by_name, results
from support.loopback import Reply, Request

from ckfunc.deploy import run

SENT = "user.sent.message"
READ = "user.read.message"


def after_first_version(here: World, meddle: dict[str, str]) -> None:
    """Replace the environment once, as another deploy, right after a version is created."""
    done = threading.Event()

    def after(request: Request, reply: Reply) -> Reply:
        if request.method == "POST" and request.path.endswith("/versions") and not done.is_set():
            done.set()
            here.application.environment = dict(meddle)
        return reply

    here.application.after = after


def test_the_first_deploy_reverts_runtime_changes_of_a_later_deploy(here: World) -> None:
    here.application.add(SENT, "a\n")
    after_first_version(here, {"KEY": "theirs"})
    report = here.deploy(here.project({SENT: "ours\n"}, environment={"KEY": "ours"}))
    assert here.application.environment == {"KEY": "ours"}
    assert report.ok and results(report) == {"KEY": "created", SENT: "updated"}
    assert report.warnings == ("someone else changed the environment during this deploy; the change was reverted",)


def test_the_first_deploy_still_removes_values_after_a_later_deploy_wrote_them(here: World) -> None:
    here.application.add(SENT, "a\n")
    here.application.environment = {"GONE": "1"}
    after_first_version(here, {"GONE": "1", "KEY": "theirs"})
    options = run.DeployOptions(allow_removals=True)
    report = here.deploy(here.project({SENT: "ours\n"}, environment={"KEY": "ours"}), options=options)
    assert here.application.environment == {"KEY": "ours"}
    assert report.ok and results(report) == {"GONE": "removed", "KEY": "created", SENT: "updated"}


def test_an_equal_value_from_a_concurrent_deploy_is_not_a_conflict(here: World) -> None:
    here.application.add(SENT, "a\n")
    here.application.environment = {"GONE": "1"}

    def agree(request: Request) -> None:
        if request.method == "PUT" and request.path.endswith("dependencies"):
            here.application.environment = {"GONE": "1", "KEY": "ours"}

    here.application.before = agree
    after_first_version(here, {"GONE": "1", "KEY": "theirs"})
    report = here.deploy(here.project({SENT: "ours\n"}, dependencies={"a": "1"}, environment={"KEY": "ours"}))
    assert here.application.environment == {"KEY": "ours"}
    assert report.ok and results(report) == {"a": "created", "GONE": "removed", "KEY": "created", SENT: "updated"}


def test_the_first_deploy_verifies_again_until_no_concurrent_changes_appear(here: World) -> None:
    here.application.add(SENT, "a\n")
    late = iter([False, False, True, False])
    looks = 0

    def meddle(request: Request, reply: Reply) -> Reply:
        nonlocal looks
        if request.method == "POST" and request.path.endswith("/versions"):
            here.application.publish(1, "theirs\n")
            here.application.publish(1, "ours\n")
        elif request.method == "GET" and request.path.endswith("/nodejs"):
            looks += 1
            if next(late, False):  # after the first check that follows the writes
                here.application.environment = {"KEY": "theirs"}
        return reply

    here.application.after = meddle
    report = here.deploy(here.project({SENT: "ours\n"}, environment={"KEY": "ours"}))
    assert here.application.environment == {"KEY": "ours"} and report.ok
    # The plan, the check before the first write, and then: no change, a change, and twice no change.
    assert looks == 6


def test_reverting_concurrent_changes_does_not_apply_skipped_removals(here: World) -> None:
    here.application.add(SENT, "a\n")
    here.application.add(READ, "a\n")
    here.application.environment = {"GONE": "1"}
    after_first_version(here, {"GONE": "1"})
    here.application.before = lambda request: (
        Reply(400, {"message": "no"}) if request.method == "POST" and "/functions/1/" in request.path else None
    )
    options = run.DeployOptions(allow_removals=True)
    project = here.project({SENT: "ours\n", READ: "ours\n"}, environment={"KEY": "ours"})
    report = here.deploy(project, options=options)
    assert results(report) == {"GONE": "skipped", "KEY": "created", READ: "updated", SENT: "failed"}
    assert here.application.environment == {"GONE": "1", "KEY": "ours"}


def test_a_value_that_the_platform_changes_is_rewritten_only_once(here: World) -> None:
    here.application.add(SENT, "a\n")

    def shout(request: Request, reply: Reply) -> Reply:
        written = here.application.environment
        if request.method == "PUT" and "KEY" in written and "environmentVariables" in reply.body:
            written["KEY"] = reply.body["environmentVariables"]["KEY"] = written["KEY"].upper()
        return reply

    here.application.after = shout
    report = here.deploy(here.project({SENT: "ours\n"}, environment={"KEY": "ours"}))
    assert by_name(report)["KEY"].note == "it was written, but the application has a different value"
    # The second write shows whether the platform changes the value.
    assert report.warnings == () and sum("PUT" in call for call in here.writes()) == 2


def test_the_second_of_two_deploys_of_the_same_script_stops_with_a_conflict(here: World) -> None:
    here.application.add(SENT, "a\n")
    here.application.add(READ, "a\n")

    def overtake(request: Request) -> None:
        if request.method == "POST" and "versions" in request.path and here.application.history()[READ] == 1:
            here.application.publish(2, "ours\n")

    here.application.before = overtake
    report = here.deploy(here.project({SENT: "ours\n", READ: "ours\n"}))
    assert results(report) == {READ: "conflict", SENT: "skipped"} and report.exit_code == 1
    note = str(by_name(report)[READ].note)
    assert note == "someone else deployed the same script as v2 at the same time; v3 repeats it"
    assert here.application.history() == {SENT: 1, READ: 3}


@pytest.mark.parametrize("lost", ["before", "after", "both"])
def test_a_conflicting_version_is_reverted_once_when_requests_are_lost(here: World, lost: str) -> None:
    here.application.add(READ, "a\n")
    drops = {"before": [False], "after": [True], "both": [False, True]}[lost]

    def overtake(request: Request) -> Reply | None:
        if request.method != "POST" or "versions" not in request.path:
            return None
        if here.application.history()[READ] == 1:
            here.application.publish(1, "theirs\n")
        elif here.application.history()[READ] == 3 and drops and not drops[0]:
            drops.pop(0)
            return Reply(drop=True)
        return None

    def lose(request: Request, reply: Reply) -> Reply:
        if request.method == "POST" and here.application.history().get(READ) == 4 and drops:
            drops.pop(0)
            return Reply(drop=True)
        return reply

    here.application.before, here.application.after = overtake, lose
    item = by_name(here.deploy(here.project({READ: "ours\n"})))[READ]
    assert item.result == "conflict" and "your v3 was reverted: v4 is theirs again" in str(item.note)
    assert [version.handler_script for version in here.application.versions[1]] == [
        "a\n",
        "theirs\n",
        "ours\n",
        "theirs\n",
    ]


def test_a_failed_revert_is_reported_with_the_rollback_command(here: World) -> None:
    here.application.add(READ, "a\n")

    def overtake(request: Request) -> Reply | None:
        if request.method != "POST" or "versions" not in request.path:
            return None
        if here.application.history()[READ] == 1:
            here.application.publish(1, "theirs\n")
            return None
        return Reply(400, {"message": "no more versions"})

    here.application.before = overtake
    item = by_name(here.deploy(here.project({READ: "ours\n"})))[READ]
    assert item.result == "conflict"
    assert "could not be reverted" in str(item.note) and "no more versions" in str(item.note)
    assert item.hint == f"restore theirs with `ckfunc rollback {READ} --to 2`"
