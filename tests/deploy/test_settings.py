"""Settings of an application: planned, deployed, reverted and resumed."""

from __future__ import annotations

import json

import pytest
from deploy.world import Hurried, World, by_name, results
from support.loopback import Reply, Request

from ckfunc.deploy import run
from ckfunc.deploy.apply.recovery import NothingToUndo, NotResumable, prepare_undo, unfinished
from ckfunc.deploy.apply.report import DeployReport
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.plan import saved
from ckfunc.deploy.run import DeployContext, carry_out
from ckfunc.deploy.show.documents import plan_json, plan_markdown
from ckfunc.deploy.show.text import plan_annotations, plan_lines
from ckfunc.model.application import ApplicationSettings
from ckfunc.model.project import Project

SENT, READ = "user.sent.message", "user.read.message"
CLOSED = {"guest_users": False, "user_created_channels": False}
PUT = "PUT /application/settings"


def undone(here: World) -> DeployReport:
    with here.new_client() as client:
        cache = VersionCache(here.root)
        found = prepare_undo(here.root, here.project().target, client, cache, supplied={})
        context = DeployContext(here.root, cache, clock=Hurried(), command="undo", undoes=found.record)
        return carry_out(found.plan, client, context, found.begun)


def resumed(here: World, project: Project) -> DeployReport:
    with here.new_client() as client:
        client.runtime()
        record = unfinished(here.root, "staging", client.identity)
    return here.deploy(project, options=run.DeployOptions(allow_removals=True, resume=record))


def test_settings_are_written_after_all_functions_and_read_back(here: World) -> None:
    report = here.deploy(here.project({SENT: "a\n", READ: "b\n"}, environment={"A": "1"}, settings=CLOSED))
    assert report.ok and report.verified
    assert here.application.settings == ApplicationSettings(False, False)
    assert here.writes()[-1] == PUT and here.writes().count(PUT) == 1
    (request,) = [
        request
        for request in here.server.requests
        if f"{request.method} {request.path}" == "PUT /v1/application/settings"
    ]
    assert json.loads(request.body) == {"guestUsers": "DISABLED", "userCreatedChannels": "DISABLED"}
    assert results(report)["guest_users"] == "updated"


def test_an_unchanged_project_with_settings_costs_one_more_request(here: World) -> None:
    project = here.project({SENT: "a\n"}, settings=CLOSED)
    here.deploy(project)
    here.forget_calls()
    report = here.deploy(project)
    assert report.ok and not report.changed
    reads = ["GET /application/settings", "GET /runtimes/nodejs", "GET /runtimes/nodejs/functions"]
    assert sorted(here.calls()) == [*reads, "POST /oauth/token"]
    here.forget_calls()
    here.deploy(project, options=run.DeployOptions(only=(SENT,)))
    assert sorted(here.calls()) == [*reads[1:], "POST /oauth/token"]


def test_a_setting_missing_from_the_manifest_is_unmanaged_and_unchanged(here: World) -> None:
    here.application.settings = ApplicationSettings(guest_users=True, user_created_channels=False)
    project = here.project({SENT: "a\n"}, settings={"guest_users": False})
    plan = here.plan(project)
    assert [(change.kind, change.name) for change in plan.unmanaged] == [("settings", "user_created_channels")]
    text = "\n".join("".join(part for part, _ in line) for line in plan_lines(plan))
    assert "  ~ setting guest_users  true → false\n" in text
    assert "  ? setting user_created_channels: not in functions.yaml, left alone\n" in text
    report = here.deploy(project)
    assert report.ok and results(report)["user_created_channels"] == "unmanaged"
    assert here.application.settings == ApplicationSettings(False, False)
    here.application.settings = ApplicationSettings(guest_users=False, user_created_channels=True)
    assert here.plan(project).is_empty


def test_every_format_of_a_plan_shows_a_changed_setting(here: World) -> None:
    plan = here.plan(here.project(settings={"guest_users": False}))
    assert plan_json(plan)["changes"] == [
        {"kind": "settings", "name": "guest_users", "action": "update", "before": "true", "after": "false"}
    ]
    assert plan_json(plan)["unmanaged"] == [{"kind": "settings", "name": "user_created_channels"}]
    assert "| \\~ | setting guest\\_users | true → false |" in plan_markdown(plan)
    assert "left alone: setting user\\_created\\_channels" in plan_markdown(plan)
    assert [annotation.message for annotation in plan_annotations(plan)] == [
        "staging: update setting guest_users: true → false"
    ]


def test_settings_are_not_changed_if_a_function_cannot_be_deployed(here: World) -> None:
    def refuse(request: Request) -> Reply | None:
        return Reply(400, {"message": "no"}) if request.method == "POST" and b"bad" in request.body else None

    here.application.before = refuse
    report = here.deploy(here.project({SENT: "bad\n", READ: "b\n"}, settings=CLOSED))
    assert results(report) == {
        SENT: "failed",
        READ: "created",
        "guest_users": "skipped",
        "user_created_channels": "skipped",
    }
    assert by_name(report)["guest_users"].note == "not attempted: a function that may depend on it was not deployed"
    assert here.application.settings == ApplicationSettings()


def test_settings_someone_changed_since_the_plan_are_not_overwritten(here: World) -> None:
    project = here.project(settings={"guest_users": False})
    with here.new_client() as client:
        cache = VersionCache(here.root)
        plan = run.plan(project, client, cache)
        here.application.settings = ApplicationSettings(guest_users=True, user_created_channels=False)
        report = carry_out(plan, client, DeployContext(here.root, cache, clock=Hurried()))
    assert by_name(report)["guest_users"].result == "conflict" and here.writes() == []
    assert by_name(report)["guest_users"].note == (
        "someone else changed the settings in the meantime; nothing was written"
    )


def test_settings_whose_responses_are_lost_are_read_and_reported_as_written(here: World) -> None:
    def lose(request: Request, reply: Reply) -> Reply:
        return Reply(502, {}) if request.method == "PUT" else reply

    here.application.after = lose
    report = here.deploy(here.project({SENT: "a\n"}, settings=CLOSED))
    assert report.ok and results(report)["guest_users"] == "updated"
    assert here.application.settings == ApplicationSettings(False, False)


def test_an_undo_restores_settings_unless_someone_has_changed_them_since(here: World) -> None:
    here.application.settings = ApplicationSettings(guest_users=True, user_created_channels=False)
    here.deploy(here.project({SENT: "a\n"}, settings={"guest_users": False}))
    assert here.application.settings == ApplicationSettings(False, False)
    assert undone(here).ok
    assert here.application.settings == ApplicationSettings(guest_users=True, user_created_channels=False)
    here.deploy(here.project(settings=CLOSED))
    here.application.settings = ApplicationSettings(guest_users=False, user_created_channels=True)
    with pytest.raises(NothingToUndo, match=r"changed the settings since that deploy \(user_created_channels\)"):
        undone(here)


@pytest.mark.parametrize("again", ["resume", "deploy"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_killed_deploy_with_settings_can_be_completed_and_undone(here: World, at: int, again: str) -> None:
    here.deploy(here.project({SENT: "one\n"}, settings={"guest_users": True}))
    project = here.project({SENT: "two\n"}, settings=CLOSED)
    steps: list[object] = []

    class Killed(BaseException):
        pass

    def count(step: object) -> None:
        steps.append(step)
        if len(steps) > at:
            raise Killed

    with pytest.raises(Killed):
        here.deploy(project, on_step=count)
    report = resumed(here, project) if again == "resume" else here.deploy(project)
    assert report.ok and here.application.settings == ApplicationSettings(False, False)
    assert here.application.history() == {SENT: 2}
    assert undone(here).ok
    assert here.application.settings == ApplicationSettings() and here.application.deployed() == {SENT: "one\n"}


def test_a_resume_over_settings_that_someone_changed_is_refused(here: World) -> None:
    here.deploy(here.project({SENT: "one\n"}))
    project = here.project({SENT: "two\n"}, settings={"guest_users": False})

    class Killed(BaseException):
        pass

    def kill(step: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        here.deploy(project, on_step=kill)
    here.application.settings = ApplicationSettings(user_created_channels=False)
    with pytest.raises(NotResumable, match=r"changed the settings since that deploy \(user_created_channels\)"):
        resumed(here, project)


def test_a_saved_plan_is_stale_when_a_setting_changed_on_either_side(here: World) -> None:
    project, path = here.project(settings=CLOSED), here.root / "plan.json"
    with here.new_client() as client:
        saved.save(path, run.plan(project, client, VersionCache(here.root)), client, Hurried())
    options = run.DeployOptions(saved=saved.load(path))
    with pytest.raises(saved.StalePlan, match=r"the sources have changed since it was saved \(guest_users\)"):
        here.deploy(here.project(settings={**CLOSED, "guest_users": True}), options=options)
    here.application.settings = ApplicationSettings(guest_users=False, user_created_channels=True)
    with pytest.raises(saved.StalePlan, match=r"the application has changed since it was saved \(guest_users\)"):
        here.deploy(project, options=options)
    here.application.settings = ApplicationSettings()
    assert here.deploy(project, options=options).ok and here.application.settings == ApplicationSettings(False, False)


def test_settings_can_be_selected_and_excluded(here: World) -> None:
    project = here.project({SENT: "a\n"}, environment={"A": "1"}, settings=CLOSED)
    for only in ((SENT,), ("runtime",)):
        assert here.deploy(project, options=run.DeployOptions(only=only)).ok
    assert here.application.settings == ApplicationSettings()
    report = here.deploy(project, options=run.DeployOptions(only=("settings",)))
    assert results(report) == {"guest_users": "updated", "user_created_channels": "updated"}
    assert here.plan(project).is_empty
