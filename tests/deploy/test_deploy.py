"""Deploys over HTTP that make an application match the manifest."""

from __future__ import annotations

import re

import pytest
from deploy.application import KEY
from deploy.world import World, by_name, results
from support.loopback import Reply, Request

from ckfunc.base.errors import AmbiguousFunction, InvalidScripts, PlatformOwned, Problem, WrongApplication
from ckfunc.deploy import run
from ckfunc.deploy.apply.report import Ending
from ckfunc.deploy.plan.plan import CreateFunction, CreateVersion, Put

SENT = "user.sent.message"
READ = "user.read.message"
START = "user.attempted.start_session"


def test_the_first_deploy_creates_everything_in_dependency_order(here: World) -> None:
    project = here.project(
        {SENT: "a\n", READ: "b\n"}, dependencies={"left-pad": "^1.0.0"}, environment={"KEY": "value"}, script="init\n"
    )
    report = here.deploy(project)
    assert report.ok and report.verified and report.exit_code == 0
    assert here.application.deployed() == {SENT: "a\n", READ: "b\n"}
    assert here.application.dependencies == {"left-pad": "^1.0.0"}
    assert here.application.environment == {"KEY": "value"}
    assert here.application.script == "init\n"
    writes = here.writes()
    assert writes[:3] == [
        "PUT /runtimes/nodejs/dependencies",
        "PUT /runtimes/nodejs/environment-variables",
        "PUT /runtimes/nodejs/initialization-script",
    ]
    assert writes[3:5] == ["POST /runtimes/nodejs/functions"] * 2
    assert sorted(writes[5:]) == ["POST /functions/1/versions", "POST /functions/2/versions"]
    assert results(report) == {
        "left-pad": "created",
        "KEY": "created",
        "initialization_script": "created",
        SENT: "created",
        READ: "created",
    }
    assert (by_name(report)[SENT].old_version, by_name(report)[SENT].new_version) == (None, 1)


def test_an_unchanged_project_costs_three_requests_and_no_syntax_check(here: World) -> None:
    project = here.project(
        {SENT: "a\n", READ: "b\n"}, dependencies={"left-pad": "1"}, environment={"KEY": "value"}, script="init\n"
    )
    here.deploy(project)
    here.forget_calls()
    here.checked.clear()
    asked = []
    with here.new_client() as client:
        report = run.deploy(project, client, check=here.check, confirm=lambda plan: asked.append(plan) is None)
    assert sorted(here.calls()) == ["GET /runtimes/nodejs", "GET /runtimes/nodejs/functions", "POST /oauth/token"]
    assert report.ok and not report.changed and not here.checked and not asked
    assert set(results(report).values()) == {"unchanged"}


def test_a_version_deployed_from_another_machine_is_read_once_and_then_cached(here: World) -> None:
    here.application.add(SENT, "old", "a\n")
    project = here.project({SENT: "a\n"})
    assert here.plan(project).is_empty
    assert here.calls().count("GET /functions/1/current-version") == 1
    assert here.plan(project).is_empty
    assert here.calls().count("GET /functions/1/current-version") == 1
    here.application.publish(1, "b\n")
    assert not here.plan(project).is_empty
    assert here.calls().count("GET /functions/1/current-version") == 2


def test_a_plan_includes_a_version_that_was_deployed_while_planning(here: World) -> None:
    here.application.add(SENT, "a\n")

    def meddle(request: Request) -> Reply | None:
        if "current-version" in request.path:
            here.application.publish(1, "theirs\n")
        return None

    here.application.before = meddle
    plan = here.plan(here.project({SENT: "ours\n"}))
    assert plan.versions == {SENT: 2} and plan.changes[0].before == "theirs\n"
    here.application.before = None
    report = here.deploy(here.project({SENT: "ours\n"}))
    assert report.ok and by_name(report)[SENT].new_version == 3


def test_only_the_versions_of_functions_in_the_manifest_are_read(here: World) -> None:
    here.application.add(SENT, "a\n")
    here.application.add(READ, "b\n")
    plan = here.plan(here.project({SENT: "a\n"}))
    assert "GET /functions/2/current-version" not in here.calls()
    assert [(dependency.name, dependency.version) for dependency in plan.unmanaged] == [(READ, 1)]
    assert plan.is_empty


def test_a_changed_handler_becomes_the_next_version(here: World) -> None:
    here.application.add(SENT, "a\n", "b\n")
    here.application.add(READ, "c\n")
    report = here.deploy(here.project({SENT: "changed\n", READ: "c\n"}))
    assert here.writes() == ["POST /functions/1/versions"]
    assert here.checked == [[(f"handlers/{SENT}.ts", "changed\n")]]
    item = by_name(report)[SENT]
    assert (item.result, item.old_version, item.new_version) == ("updated", 2, 3)
    assert results(report)[READ] == "unchanged"
    assert report.exit_code == 0


def test_an_existing_function_without_a_version_gets_its_first_version(here: World) -> None:
    here.application.add(SENT)
    report = here.deploy(here.project({SENT: "a\n"}))
    assert here.writes() == ["POST /functions/1/versions"]
    assert (by_name(report)[SENT].old_version, by_name(report)[SENT].new_version) == (0, 1)
    assert report.ok and not report.warnings


def test_absent_sections_are_neither_compared_nor_sent(here: World) -> None:
    here.application.dependencies = {"lodash": "4"}
    here.application.environment = {"KEPT": "value"}
    here.application.script = "kept"
    here.application.add(READ, "b\n")
    report = here.deploy(here.project({SENT: "a\n"}))
    assert here.writes() == ["POST /runtimes/nodejs/functions", "POST /functions/2/versions"]
    assert results(report) == {SENT: "created", READ: "unmanaged"}
    assert here.application.environment == {"KEPT": "value"}
    assert here.plan(here.project()).is_empty


def test_values_missing_from_the_manifest_are_removed_except_platform_packages(here: World) -> None:
    here.application.dependencies = {"lodash": "4", "kept": "1"}
    here.application.environment = {"OLD": "secret-value", "KEPT": "1"}
    here.application.script = "old"
    project = here.project(dependencies={"kept": "1"}, environment={"KEPT": "1"}, script="")
    plan = here.plan(project)
    assert [removal.name for removal in plan.removals] == ["lodash", "OLD", "initialization_script"]
    report = here.deploy(project)
    assert results(report) == {
        "kept": "unchanged",
        "lodash": "removed",
        "KEPT": "unchanged",
        "OLD": "removed",
        "initialization_script": "removed",
    }
    assert here.application.environment == {"KEPT": "1"}
    bodies = [request.body for request in here.server.requests if request.method == "PUT"]
    assert bodies[1] == b'{"KEPT":"1"}' and b"chatkitty-platform-sdk" not in bodies[0]
    assert report.ok
    assert here.checked == []


def test_an_empty_environment_section_removes_all_variables(here: World) -> None:
    here.application.environment = {"OLD": "secret-value"}
    here.deploy(here.project(environment={}))
    assert here.application.environment == {}


def test_different_line_endings_are_not_a_change(here: World) -> None:
    here.application.add(SENT, "a\r\nb\r\n")
    here.application.script = "c\r\nd"
    assert here.plan(here.project({SENT: "a\nb\n"}, script="c\nd")).is_empty


def test_any_other_difference_in_text_is_a_change(here: World) -> None:
    here.application.add(SENT, "a\nb\n")
    assert not here.plan(here.project({SENT: "a\nb"})).is_empty
    assert not here.plan(here.project({SENT: "a \nb\n"})).is_empty


def test_scripts_that_cannot_run_stop_the_deploy_before_the_first_write(here: World) -> None:
    here.application.add(SENT, "a\n")
    here.problems = [Problem("init.ts", 3, 7, "Unexpected token"), Problem("handlers/x.ts", 1, 2, "Oops")]
    with pytest.raises(InvalidScripts) as caught:
        here.deploy(here.project({SENT: "b\n", READ: "c\n"}, script="i\n", environment={"A": "1"}))
    assert [str(problem) for problem in caught.value.problems] == [
        "handlers/x.ts:1:2: Oops",
        "init.ts:3:7: Unexpected token",
    ]
    assert caught.value.exit_code == 1 and caught.value.message == "2 scripts cannot run"
    assert here.writes() == []
    assert here.checked == [[(f"handlers/{READ}.ts", "c\n"), (f"handlers/{SENT}.ts", "b\n"), ("init.ts", "i\n")]]


def test_a_declined_plan_writes_nothing_and_fails(here: World) -> None:
    report = here.deploy(here.project({SENT: "a\n"}, environment={"KEY": "value"}), agree=False)
    assert here.writes() == []
    assert report.ending is Ending.DECLINED and report.exit_code == 1
    assert results(report) == {"KEY": "skipped", SENT: "skipped"}


def test_another_application_id_is_refused_before_any_version_is_read(here: World) -> None:
    here.application.add(SENT, "a\n")
    with pytest.raises(WrongApplication, match="application 7, but these credentials belong to application 42"):
        here.deploy(here.project({SENT: "b\n"}, application="7"))
    assert sorted(here.calls()) == ["GET /runtimes/nodejs", "GET /runtimes/nodejs/functions", "POST /oauth/token"]
    assert here.plan(here.project({SENT: "a\n"}, application="42")).is_empty


def test_an_application_key_is_requested_once_and_then_cached(here: World) -> None:
    here.application.add(SENT, "a\n")
    project = here.project({SENT: "a\n"}, application=KEY.upper())
    assert here.plan(project).is_empty
    assert here.calls().count("GET /application") == 1
    here.forget_calls()
    assert here.plan(project).is_empty
    assert len(here.calls()) == 3
    with pytest.raises(WrongApplication, match=KEY):
        here.plan(here.project({SENT: "a\n"}, application="00000000-0000-0000-0000-000000000000"))


def test_a_runtime_without_an_application_id_costs_one_more_request(here: World) -> None:
    def anonymous(request: Request, reply: Reply) -> Reply:
        if request.path.endswith("/nodejs"):
            reply.body.pop("_links")
            reply.body["environmentVariables"].pop("CHATKITTY_APPLICATION_ID")
        return reply

    here.application.after = anonymous
    assert here.plan(here.project({}, application="42")).is_empty
    with pytest.raises(WrongApplication):
        here.plan(here.project({}, application="43"))
    # The version is still read; nothing can be cached for an application without a name.
    here.application.add(SENT, "a\n")
    assert here.plan(here.project({SENT: "a\n"})).is_empty


def test_duplicate_functions_are_refused_only_for_types_in_the_manifest(here: World) -> None:
    here.application.add(SENT, "a\n")
    here.application.add(SENT, "b\n")
    with pytest.raises(AmbiguousFunction, match=re.escape(f"2 functions of type {SENT} (ids 1, 2)")):
        here.plan(here.project({SENT: "a\n"}))
    assert here.plan(here.project({})).is_empty


def test_a_platform_package_in_the_manifest_is_refused(here: World) -> None:
    with pytest.raises(PlatformOwned, match=r"the platform already provides chatkitty-platform-sdk 1\.0\.1"):
        here.deploy(here.project(dependencies={"chatkitty-platform-sdk": "2.4.0"}))
    assert here.writes() == []


def test_a_disabled_function_is_deployed_with_a_warning(here: World) -> None:
    here.application.add(SENT, "a\n", enabled=False)
    here.application.add(READ, "b\n", enabled=False)
    report = here.deploy(here.project({SENT: "changed\n"}))
    assert report.ok
    assert report.warnings == (
        f"{SENT} is disabled and does not run; the API cannot enable it, the ChatKitty dashboard can",
    )


def test_a_new_function_that_stays_disabled_is_a_warning(here: World) -> None:
    here.application.enables = False
    report = here.deploy(here.project({SENT: "a\n"}))
    assert report.ok and len(report.warnings) == 1 and "is disabled" in report.warnings[0]


def test_a_different_name_or_description_is_a_warning(here: World) -> None:
    here.application.add(SENT, "a\n", name="Theirs")
    here.application.add(READ, "b\n", name="Dashboard Name")
    handlers = {SENT: "a\n", READ: "b\n"}
    plan = here.plan(here.project(handlers, names={SENT: "Mine"}, descriptions={SENT: "What it does"}))
    assert plan.is_empty
    # The other function has the default name, which the user did not choose.
    assert plan.warnings == (
        f"{SENT} has a different name ('Theirs' in the application, 'Mine' in functions.yaml) and description "
        "(none in the application, 'What it does' in functions.yaml); "
        "the API cannot change it, the ChatKitty dashboard can",
    )


def test_functions_on_all_pages_are_found(here: World) -> None:
    here.application.page_limit = 2
    types = [f"custom.type_{number}" for number in range(5)]
    for name in types:
        here.application.add(name, "a\n")
    report = here.deploy(here.project({name: "a\n" if name != types[4] else "b\n" for name in types}))
    assert here.writes() == ["POST /functions/5/versions"]
    assert report.ok and len(report.items) == 5


def test_steps_and_items_are_reported_as_they_happen(here: World) -> None:
    heard: list[str] = []
    here.deploy(
        here.project({SENT: "a\n"}, environment={"KEY": "value"}),
        on_step=lambda event: heard.append(type(event).__name__),
    )
    assert heard == [Put.__name__, "Item", CreateFunction.__name__, CreateVersion.__name__, "Item"]
