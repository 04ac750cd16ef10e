"""Saved plans: applied unchanged, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from deploy.world import World

from ckfunc.base.clock import SystemClock
from ckfunc.base.errors import UsageProblem
from ckfunc.deploy import run
from ckfunc.deploy.apply.report import DeployReport
from ckfunc.deploy.plan import saved
from ckfunc.model.project import Project

SENT, READ = "user.sent.message", "user.read.message"


@pytest.fixture
def project(here: World) -> Project:
    here.application.add(SENT, "old\n")
    here.application.environment = {"KEPT": "canary-1"}
    return here.project({SENT: "new\n", READ: "new\n"}, environment={"KEPT": "canary-1", "NEW": "canary-2"})


def kept(here: World, project: Project) -> Path:
    path = here.root / "plan.json"
    with here.new_client() as client:
        saved.save(path, run.plan(project, client, run.VersionCache(here.root)), client, SystemClock())
    return path


def carried_out(here: World, project: Project, path: Path, *, allow_stale: bool = False) -> DeployReport:
    return here.deploy(project, options=run.DeployOptions(saved=saved.load(path), allow_stale=allow_stale))


def test_a_saved_plan_can_be_applied_and_contains_no_secrets_or_sources(here: World, project: Project) -> None:
    path = kept(here, project)
    text = path.read_text()
    assert "canary" not in text and "new\\n" not in text and "client-secret" not in text
    assert [change["name"] for change in json.loads(text)["changes"]] == ["NEW", READ, SENT]
    assert carried_out(here, project, path).ok


def test_a_plan_is_refused_after_a_deploy_by_someone_else(here: World, project: Project) -> None:
    path = kept(here, project)
    here.application.publish(1, "theirs\n")
    with pytest.raises(saved.StalePlan, match="stale: the application has changed since it was saved"):
        carried_out(here, project, path)
    assert here.writes() == []
    assert carried_out(here, project, path, allow_stale=True).ok


def test_a_plan_is_refused_after_the_same_script_was_deployed_again(here: World, project: Project) -> None:
    path = kept(here, project)
    here.application.publish(1, "old\n")
    with pytest.raises(saved.StalePlan):
        carried_out(here, project, path)


def test_a_plan_is_refused_after_a_value_changed_on_either_side(here: World, project: Project) -> None:
    path = kept(here, project)
    here.application.environment["KEPT"] = "canary-3"
    with pytest.raises(saved.StalePlan, match="the application has changed since it was saved"):
        carried_out(here, project, path)
    here.application.environment["KEPT"] = "canary-1"
    other = here.project({SENT: "new\n", READ: "new\n"}, environment={"KEPT": "canary-1", "NEW": "canary-4"})
    with pytest.raises(saved.StalePlan, match="the sources have changed since it was saved") as stale:
        carried_out(here, other, path)
    assert "canary" not in str(stale.value)


def test_a_plan_of_another_application_is_refused(here: World, project: Project) -> None:
    path = kept(here, project)
    path.write_text(path.read_text().replace('"application": 42', '"application": 43'))
    with pytest.raises(saved.StalePlan, match=r"saved for target 'staging' of another application \(43\)"):
        carried_out(here, project, path)


EDITED = '{"ckfunc_plan": 1, "target": "t", "identity": "i", "application": %s, "only": %s, "have": %s, "want": {}}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not valid JSON"),
        ("[]", "is not a plan of ckfunc"),
        ("{}", "is not a plan of ckfunc"),
        ('{"ckfunc_plan": 2}', "by another version of ckfunc"),
        ('{"ckfunc_plan": 1, "application": "x"}', "is not a plan of ckfunc"),
        (EDITED % ("1e999", "[]", "{}"), "is not a plan of ckfunc"),
        (EDITED % ("true", "[]", "{}"), "is not a plan of ckfunc"),
        (EDITED % ("1", '"runtime"', "{}"), "is not a plan of ckfunc"),
        (EDITED % ("1", '[["runtime"]]', "{}"), "is not a plan of ckfunc"),
        (EDITED % ("1", "[]", '{"environment": [[1, 2], ["a", 3]]}'), "is not a plan of ckfunc"),
        (EDITED % ("1", "[]", '{"environment": {"A": null}}'), "is not a plan of ckfunc"),
    ],
)
def test_a_file_that_is_not_a_plan_is_reported_in_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(UsageProblem, match=words):
        saved.load(path)


def test_a_missing_plan_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="cannot be read: No such file"):
        saved.load(tmp_path / "plan.json")


def test_an_unknown_type_in_a_selection_is_refused_with_a_suggestion(here: World, project: Project) -> None:
    with pytest.raises(UsageProblem) as refused:
        here.deploy(project, options=run.DeployOptions(only=("user.sent.mesage",)))
    assert refused.value.hint == f"did you mean {SENT}?"
    with pytest.raises(UsageProblem) as refused:
        here.deploy(project, options=run.DeployOptions(only=("zzz",)))
    assert refused.value.hint == f"functions.yaml has: {SENT}, {READ}; sections are: runtime, settings"
    assert here.calls() == []


def test_another_application_can_be_allowed(here: World) -> None:
    project = here.project({SENT: "new\n"}, application="7")
    assert here.deploy(project, options=run.DeployOptions(allow_other_application=True)).ok
