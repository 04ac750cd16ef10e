"""Deploys to the emulator, with scripts parsed by the real Node."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest
from deploy.world import REMOVING, Hurried, project_of, results
from support.emulators import cold_emulator

from ckfunc.api.client import Client
from ckfunc.api.connection import Connection
from ckfunc.api.emulator import set_enabled
from ckfunc.base.errors import CredentialsRejected, InvalidScripts, Problem, RequestRejected, WrongApplication
from ckfunc.base.secrets import Secret, revealed
from ckfunc.bundle.requirements import Requirements
from ckfunc.deploy import run
from ckfunc.deploy.apply.report import DeployReport
from ckfunc.deploy.cache import VersionCache
from ckfunc.model.application import NewFunction
from ckfunc.model.project import Project, Script
from ckfunc.runtime.compiler import CompilerProcess

SENT = "user.sent.message"
READ = "user.read.message"
HANDLER = "async function handleEvent(event: UserSentMessageEvent, context: Context) {\n  return event.message;\n}\n"


@pytest.fixture
def emulator() -> Iterator[str]:
    process = cold_emulator(None)
    yield process.start()
    process.stop()


@pytest.fixture
def client(emulator: str) -> Iterator[Client]:
    with connect(emulator) as made:
        yield made


def connect(url: str, secret: str = "emulator") -> Client:
    return Client(Connection(url, f"{url}/oauth/token", "emulator", Secret(secret)), clock=Hurried())


def deploy(project: Project, client: Client) -> DeployReport:
    with CompilerProcess() as compiler:

        def check(scripts: Sequence[Script], packages: Collection[str]) -> Sequence[Problem]:
            return (
                Requirements(project.root, packages)
                .missing(scripts, compiler.compile, project.runtime.initialization_script)
                .errors
            )

        return run.deploy(project, client, check=check, confirm=lambda _: True, options=REMOVING)


def test_everything_is_deployed_and_verified_and_a_second_deploy_changes_nothing(
    tmp_path: Path, client: Client
) -> None:
    project = project_of(
        tmp_path,
        {SENT: HANDLER, READ: HANDLER},
        dependencies={"left-pad": "^1.3.0"},
        environment={"lower_case_Name": "0042", "EMPTY": ""},
        script="export const answer = 42;\n",
    )
    report = deploy(project, client)
    assert report.ok and report.verified and not report.warnings and set(results(report).values()) == {"created"}
    assert all(function.enabled and function.current_version_number == 1 for function in client.functions())
    assert revealed(client.runtime().own_environment()) == {"lower_case_Name": "0042", "EMPTY": ""}
    again = deploy(project, client)
    assert again.ok and set(results(again).values()) == {"unchanged"}


def test_changed_handlers_become_versions_and_deleted_values_are_removed(tmp_path: Path, client: Client) -> None:
    deploy(
        project_of(tmp_path, {SENT: HANDLER, READ: HANDLER}, environment={"A": "1", "B": "2"}, script="1;\n"), client
    )
    report = deploy(project_of(tmp_path, {SENT: f"// changed\n{HANDLER}"}, environment={"B": "3"}, script=""), client)
    assert report.ok and results(report) == {
        "A": "removed",
        "B": "updated",
        "initialization_script": "removed",
        SENT: "updated",
        READ: "unmanaged",
    }
    assert run.plan(project_of(tmp_path, script=""), client, VersionCache(tmp_path)).is_empty


def test_syntax_errors_are_reported_with_their_locations_and_nothing_is_sent(tmp_path: Path, client: Client) -> None:
    broken = "async function handleEvent(event) {\n  return event.;\n}\n"
    with pytest.raises(InvalidScripts) as caught:
        deploy(project_of(tmp_path, {SENT: broken, READ: HANDLER}, script="const = 1;\n"), client)
    assert [(problem.path, problem.line) for problem in caught.value.problems] == [
        (f"handlers/{SENT}.ts", 2),
        ("init.ts", 1),
    ]
    assert all(problem.column for problem in caught.value.problems)
    assert client.functions() == ()


def test_a_function_disabled_in_the_dashboard_is_a_warning(tmp_path: Path, client: Client) -> None:
    project = project_of(tmp_path, {SENT: HANDLER})
    deploy(project, client)
    set_enabled(client, client.functions()[0].id, False)
    (warning,) = run.plan(project, client, VersionCache(tmp_path)).warnings
    assert warning.startswith(f"{SENT} is disabled")


def test_a_target_can_be_bound_to_the_emulator_by_id_or_key(tmp_path: Path, client: Client) -> None:
    cache = VersionCache(tmp_path)
    key = client.application().key
    for application in ("1", key, key.upper()):
        assert run.plan(project_of(tmp_path, {}, application=application), client, cache).is_empty
    with pytest.raises(WrongApplication):
        run.plan(project_of(tmp_path, {}, application="2"), client, cache)


def test_the_cache_of_one_database_is_not_used_for_another(tmp_path: Path) -> None:
    first, second = cold_emulator(None), cold_emulator(None)
    try:
        with connect(first.start()) as client, connect(second.start()) as another:
            deploy(project_of(tmp_path, {SENT: HANDLER}), client)
            function = another.create_function(NewFunction(SENT, "Theirs"))
            another.create_version(function.id, "// another\n")
            assert not run.plan(project_of(tmp_path, {SENT: HANDLER}), another, VersionCache(tmp_path)).is_empty
    finally:
        first.stop()
        second.stop()


def test_the_emulator_refuses_wrong_credentials_and_duplicate_functions(
    tmp_path: Path, emulator: str, client: Client
) -> None:
    with connect(emulator, "wrong") as stranger, pytest.raises(CredentialsRejected):
        run.plan(project_of(tmp_path, {}), stranger, VersionCache(tmp_path))
    client.create_function(NewFunction(SENT, "One"))
    with pytest.raises(RequestRejected):
        client.create_function(NewFunction(SENT, "Two"))
