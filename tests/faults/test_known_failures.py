"""Known failures of other deploy tools, which must not happen here."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli.conftest import Ckfunc, Ran
from deploy.application import RemoteApplication
from support.loopback import Loopback, Reply, Request, serve

SENT, START, READ = "user.sent.message", "user.attempted.start_session", "user.read.message"
MANIFEST = """\
version: 1
runtime:
  dependencies: {ms: 2.1.3}
  environment:
    GREETING: ${GREETING}
    CODE: "0042"
    SCIENCE: "1e3"
    PHONE: "4155552671"
    LIST: a,b,c
functions:
  user.sent.message: {handler: handlers/sent.ts}
  user.attempted.start_session: {handler: handlers/start.ts}
  user.read.message: {handler: handlers/read.ts}
targets:
  remote: {}
"""
HANDLER = "async function handleEvent(event: any) {\n  return `${GREETING} {{ NAME }} $HOME %PATH% ${event.name}`;\n}\n"
ENVIRONMENT = {"GREETING": "hello", "CODE": "0042", "SCIENCE": "1e3", "PHONE": "4155552671", "LIST": "a,b,c"}


@dataclass
class Remote:
    application: RemoteApplication
    server: Loopback

    def writes(self) -> list[str]:
        return [call for call in self.server.calls() if not call.startswith("GET") and "oauth" not in call]


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    """An application with its credentials in the environment."""
    application = RemoteApplication()
    with serve(application.answer) as server:
        for name, value in {
            "API_URL": server.url,
            "AUTHORIZATION_URL": f"{server.url}/oauth/token",
            "CLIENT_ID": "id",
            "CLIENT_SECRET": "client-secret",
        }.items():
            monkeypatch.setenv(f"CHATKITTY_{name}", value)
        monkeypatch.setenv("GREETING", "hello")
        yield Remote(application, server)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "handlers").mkdir(parents=True)
    (root / "functions.yaml").write_text(MANIFEST)
    for name in ("sent", "start", "read"):
        (root / f"handlers/{name}.ts").write_text(f"// {name}\n{HANDLER}")
    return root


@pytest.fixture
def deploy(ckfunc: Ckfunc, project: Path) -> Callable[..., Ran]:
    def run(*arguments: str) -> Ran:
        return ckfunc("-C", project, "deploy", *arguments)

    return run


Deploy = Callable[..., Ran]


def test_a_function_that_is_missing_after_the_deploy_is_a_failure(deploy: Deploy, remote: Remote) -> None:
    def forget(request: Request, reply: Reply) -> Reply:
        if request.method == "POST" and request.path.endswith("/versions"):
            remote.application.functions.pop(2, None)
        return reply

    remote.application.after = forget
    ran = deploy("--json")
    items = {item["name"]: item for item in json.loads(ran.out)["items"]}
    assert ran.code == 1 and len(remote.application.functions) == 2
    (missing,) = set(items) & {SENT, START, READ} - {
        function.type for function in remote.application.functions.values()
    }
    assert items[missing]["result"] == "failed"


def test_a_function_rejected_by_a_busy_platform_does_not_stop_the_others(
    deploy: Deploy, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    remote.application.before = lambda request: (
        Reply(429, {"error": "TooManyRequests"}, {"retry-after": "0"})
        if request.method == "POST" and request.path.startswith("/v1/functions/1/")
        else None
    )
    ran = deploy("--json")
    results = {item["name"]: item["result"] for item in json.loads(ran.out)["items"]}
    assert ran.code == 1
    busy = remote.application.functions[1].type
    assert results[busy] == "failed"
    assert {results[name] for name in {SENT, START, READ} - {busy}} == {"created"}
    assert remote.application.history()[busy] == 0


@pytest.mark.parametrize("variables", [{"CI": "true"}, {"CI": "1", "GITHUB_ACTIONS": "true"}, {"TERM": "dumb"}])
def test_a_deploy_in_ci_skips_nothing(
    deploy: Deploy, remote: Remote, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert deploy().code == 0
    assert remote.application.history() == {SENT: 1, START: 1, READ: 1}


def test_a_missing_confirmation_in_ci_is_a_failure(
    deploy: Deploy, remote: Remote, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    (project / "functions.yaml").write_text(MANIFEST.replace("remote: {}", "remote: {protected: true}"))
    ran = deploy()
    assert ran.code != 0 and "--yes" in ran.err and remote.writes() == []


def test_a_deploy_without_changes_succeeds_and_writes_nothing(deploy: Deploy, remote: Remote) -> None:
    assert deploy().code == 0
    remote.server.requests.clear()
    ran = deploy()
    assert ran.code == 0 and remote.writes() == []


def test_drift_failure_and_equality_have_different_exit_codes(
    ckfunc: Ckfunc, deploy: Deploy, project: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ckfunc("-C", project, "diff", "--exit-code").code == 3
    assert deploy().code == 0
    assert ckfunc("-C", project, "diff", "--exit-code").code == 0
    remote.application.publish(1, "// changed in the dashboard\n")
    assert ckfunc("-C", project, "diff", "--exit-code").code == 3
    remote.application.before = lambda request: Reply(400, {"message": "no"}) if request.method == "GET" else None
    assert ckfunc("-C", project, "diff", "--exit-code").code == 1
    assert ckfunc("-C", project, "diff", "--no-such-option").code == 2


def test_a_fresh_checkout_with_other_times_and_newlines_has_no_changes(
    ckfunc: Ckfunc, deploy: Deploy, project: Path, remote: Remote, tmp_path: Path
) -> None:
    assert deploy().code == 0
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(project, elsewhere, ignore=shutil.ignore_patterns(".ckfunc"))
    for path in elsewhere.rglob("*.ts"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        os.utime(path, (1, 1))
    remote.server.requests.clear()
    assert ckfunc("-C", elsewhere, "deploy").code == 0
    assert ckfunc("-C", elsewhere, "diff", "--exit-code").code == 0
    assert remote.writes() == [] and set(remote.application.history().values()) == {1}


@pytest.mark.parametrize("flag", ["--dry_run", "--dryrun", "--force", "--no-dry-run", "--only-plan"])
def test_an_unknown_flag_sends_no_requests(deploy: Deploy, remote: Remote, flag: str) -> None:
    ran = deploy(flag)
    assert ran.code == 2 and remote.server.requests == []


def test_a_variable_without_a_value_stops_the_deploy_before_the_first_request(
    deploy: Deploy, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.application.environment = {"GREETING": "live"}
    monkeypatch.delenv("GREETING")
    ran = deploy()
    assert ran.code == 1 and "GREETING" in ran.err
    assert remote.server.requests == [] and remote.application.environment == {"GREETING": "live"}


def test_placeholders_in_sources_are_deployed_unchanged(deploy: Deploy, remote: Remote, project: Path) -> None:
    assert deploy().code == 0
    assert remote.application.deployed()[SENT] == (project / "handlers/sent.ts").read_text()


def test_values_are_deployed_exactly_and_never_in_masked_form(
    ckfunc: Ckfunc, deploy: Deploy, project: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("[REDACTED]", "•••• 7c0ffe", "0042", "true", " spaces ", "a,b", '{"json": [1]}', "line\nline", "é$$"):
        monkeypatch.setenv("GREETING", value)
        assert ckfunc("-C", project, "diff", "--out", str(project / "plan.json")).code == 0
        assert deploy("--plan", str(project / "plan.json")).code == 0
        assert remote.application.environment == {**ENVIRONMENT, "GREETING": value}
        assert ckfunc("-C", project, "diff", "--exit-code").code == 0


def test_variables_set_in_the_dashboard_are_reported_and_not_removed(deploy: Deploy, remote: Remote) -> None:
    theirs = {"SET_IN_THE_DASHBOARD": "value", "ANOTHER_ONE": "value"}
    remote.application.environment = dict(theirs)
    ran = deploy("--yes")
    assert ran.code == 1 and all(name in ran.err for name in theirs) and "--allow-removals" in ran.err
    assert remote.writes() == [] and remote.application.environment == theirs


def test_each_dangerous_action_needs_its_own_flag(
    ckfunc: Ckfunc, deploy: Deploy, project: Path, remote: Remote
) -> None:
    dangers = ("--yes", "--allow-removals", "--allow-other-application")
    remote.application.environment = {"GONE": "1"}
    target = "remote: {protected: true, application: 7}"
    (project / "functions.yaml").write_text(MANIFEST.replace("remote: {}", target))
    for missing in dangers:
        ran = deploy(*(danger for danger in dangers if danger != missing))
        assert ran.code != 0 and missing in ran.err, (missing, ran)
        assert not [danger for danger in dangers if danger != missing and danger in ran.err]
        assert remote.writes() == []
    assert ckfunc("-C", project, "diff", "--out", str(project / "plan.json")).code != 0  # of another application
    assert deploy(*dangers).code == 0


def test_a_partially_failed_deploy_can_be_undone_or_completed(
    ckfunc: Ckfunc, deploy: Deploy, project: Path, remote: Remote
) -> None:
    assert deploy().code == 0
    before = remote.application.deployed()
    for path in (project / "handlers").iterdir():
        path.write_text(f"// changed\n{path.read_text()}")
    remote.application.before = lambda request: (
        Reply(400, {"message": "not now"}) if request.method == "POST" and "/functions/2/" in request.path else None
    )
    assert deploy().code == 1
    assert sorted(remote.application.history().values()) == [1, 2, 2]
    remote.application.before = None
    assert ckfunc("-C", project, "undo", "--yes").code == 0
    assert remote.application.deployed() == before
    assert deploy().code == 0
    assert {text.splitlines()[0] for text in remote.application.deployed().values() if text} == {"// changed"}
