"""Rollbacks with concurrent deploys and lost responses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from deploy.world import Hurried, World, by_name, results
from support.loopback import Reply, Request

from ckfunc.base.errors import UsageProblem
from ckfunc.deploy.apply.report import DeployReport
from ckfunc.deploy.blame import Commit, NoHistory, blame, commits_of
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.history import Reference, Rollback, prepare_rollback, reference, rolled_back
from ckfunc.deploy.plan.plan import make
from ckfunc.deploy.resources import Snapshot
from ckfunc.deploy.run import DeployContext, carry_out
from ckfunc.model.application import FunctionVersion
from ckfunc.model.project import Target

TYPE = "user.sent.message"


def rolled(here: World, meddle: Callable[[], object] = lambda: None) -> DeployReport:
    """Roll the function back to its first version; `meddle` runs between the plan and the write."""
    function = here.application.add(TYPE, "one", "two")
    with here.new_client() as client:
        cache = VersionCache(here.root)
        wanted = prepare_rollback(client, function, 1, cache)
        former = rolled_back(wanted, here.root, Target("staging"))
        plan = make(former, Snapshot(client.runtime(), (function,), {TYPE: wanted.current}))
        meddle()
        return carry_out(plan, client, DeployContext(here.root, cache, clock=Hurried(), command="rollback"))


def test_a_rollback_is_one_verified_write(here: World) -> None:
    report = rolled(here)
    assert report.ok and by_name(report)[TYPE].new_version == 3
    assert here.application.deployed() == {TYPE: "one"}
    assert len(here.writes()) == 1 and report.verified


def test_a_version_from_someone_else_stops_the_rollback_before_the_write(here: World) -> None:
    report = rolled(here, lambda: here.application.publish(1, "theirs"))
    assert results(report) == {TYPE: "conflict"} and here.writes() == []


def test_a_rollback_whose_response_is_lost_is_not_repeated(here: World) -> None:
    here.application.after = lambda request, reply: Reply(drop=True) if request.method == "POST" else reply
    assert rolled(here).ok
    assert here.application.history() == {TYPE: 3}


@pytest.mark.parametrize("reply", [Reply(503, {"error": "down"}), Reply(drop=True), Reply(400, {"message": "no"})])
def test_a_rejected_write_is_a_failure(here: World, reply: Reply) -> None:
    here.application.before = lambda request: (
        reply if request.method == "POST" and "oauth" not in request.path else None
    )
    assert results(rolled(here)) == {TYPE: "failed"}
    assert here.application.history() == {TYPE: 2}


def test_an_unknown_outcome_of_a_write_is_reported(here: World) -> None:
    posted: list[Request] = []

    def answer(request: Request) -> Reply | None:
        if request.method == "POST" and "oauth" not in request.path:
            posted.append(request)
            return Reply(drop=True)
        return Reply(500) if posted else None

    here.application.before = answer
    note = by_name(rolled(here))[TYPE].note
    assert "it is unknown whether the request was processed" in str(note) and len(posted) == 1


def test_a_version_deployed_right_after_the_rollback_is_reported(here: World) -> None:
    def overtake(request: Request, reply: Reply) -> Reply:
        if request.method == "POST":
            here.application.publish(1, "theirs")
        return reply

    here.application.after = overtake
    assert "someone else deployed v4" in str(by_name(rolled(here))[TYPE].note)


def test_references_name_a_type_and_optionally_a_version() -> None:
    assert reference("call.ended") == Reference("call.ended")
    assert reference("call.ended@12") == reference("call.ended@v12") == Reference("call.ended", 12)
    for wrong in ("", "@3", "call.ended@", "call.ended@-1", "a@1@2"):
        with pytest.raises(UsageProblem):
            reference(wrong)


def commit(name: str, content: str) -> Commit:
    from datetime import UTC, datetime

    return Commit(name, "Jane", datetime(2024, 5, 1, tzinfo=UTC), name, content)


def test_blame_follows_history_when_earlier_content_is_restored() -> None:
    commits = [commit("first", "A"), commit("second", "B"), commit("reverted", "A")]
    found = blame({1: "A", 2: "B", 3: "A", 4: "C"}, commits)
    assert {number: commit.id for number, commit in found.items()} == {1: "first", 2: "second", 3: "reverted"}
    assert blame({1: "B", 2: "A", 3: "B"}, commits[:2])[3].id == "second"


def test_a_directory_without_git_has_no_history(tmp_path: Path) -> None:
    with pytest.raises(NoHistory):
        commits_of(tmp_path, ["handlers/start.ts"])


def test_versions_that_differ_only_in_line_endings_are_equal() -> None:
    current, target = FunctionVersion(1, 1, "a\nb\n"), FunctionVersion(2, 2, "a\r\nb\r\n")
    assert Rollback(None, current, target).changes_nothing  # type: ignore[arg-type]  # the function does not matter here
