"""`ckfunc doctor` on machines with and without problems."""

from __future__ import annotations

import errno
import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backends import fail
from support.loopback import Reply, Request
from support.scripted import Platform, platform

APPLICATION = {"id": 7, "key": "19b458d0-2b50-491c-8f13-65ec12f3978e", "createdTime": "2021-09-01T00:00:00Z"}


def functions(*types: str, enabled: bool = True) -> Reply:
    found = [
        {"id": number, "type": name, "name": name, "enabled": enabled, "currentVersionNumber": 1}
        for number, name in enumerate(types, 1)
    ]
    size = {"size": 100, "totalElements": len(found), "totalPages": 1, "number": 0}
    return Reply(body={"_embedded": {"functions": found}, "page": size, "_links": {}})


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    def application(request: Request) -> Reply:
        return Reply(body=APPLICATION) if "authorization" in request.headers else Reply(401, {"error": "unauthorized"})

    with platform(
        {
            "GET /v1/application": application,
            "GET /v1/application/settings": Reply(body={"guestUsers": "ENABLED", "userCreatedChannels": "ENABLED"}),
            "GET /v1/runtimes/nodejs/functions": functions(),
        }
    ) as made:
        for name, value in {
            "CHATKITTY_API_URL": made.server.url,
            "CHATKITTY_AUTHORIZATION_URL": f"{made.server.url}/oauth/token",
            "CHATKITTY_CLIENT_ID": "the-client",
            "CHATKITTY_CLIENT_SECRET": "the-s3cret-of-the-test",
        }.items():
            monkeypatch.setenv(name, value)
        yield made


def found(ckfunc: Callable[..., Any], *line: str | Path) -> tuple[int, dict[str, dict[str, str]]]:
    ran = ckfunc(*line, "doctor", "--json")
    return ran.code, {check["check"]: check for check in json.loads(ran.out)}


def test_a_healthy_machine_passes_every_check_and_exits_0(
    ckfunc: Callable[..., Any], project: Path, remote: Platform
) -> None:
    ran = ckfunc("-C", project, "doctor")
    assert ran.code == 0, ran.out
    names = [line.split()[1] for line in ran.out.splitlines() if not line.startswith(" ")]
    assert [name for name in names if name != "keyring"] == [
        *("ckfunc", "node", "isolation", "npm", "cache", "project", "manifest", "target"),
        *("credentials", "platform", "clock", "login", "guests"),
    ]
    assert "the-s3cret" not in ran.out + ran.err
    code, checks = found(ckfunc, "-C", project)
    assert code == 0
    assert checks["login"]["text"].startswith("application 7")
    assert checks["clock"]["verdict"] == "ok"


@pytest.mark.parametrize(("minutes", "verdict", "code"), [(1, "warn", 0), (-20, "fail", 1)])
def test_a_wrong_clock_is_reported(
    ckfunc: Callable[..., Any], project: Path, remote: Platform, minutes: int, verdict: str, code: int
) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    remote.routes["GET /v1/application"] = Reply(body=APPLICATION, headers={"date": moment})
    ended, checks = found(ckfunc, "-C", project)
    assert (ended, checks["clock"]["verdict"]) == (code, verdict)
    assert ("behind" if minutes > 0 else "ahead") in checks["clock"]["text"]
    assert checks["login"]["verdict"] == "ok"


def test_every_problem_is_a_failure_with_a_hint_and_all_checks_run(
    ckfunc: Callable[..., Any], project: Path, remote: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKFUNC_NODE", str(project / "no-node"))
    blocked = project / "a-file"
    blocked.write_text("")
    monkeypatch.setenv("CKFUNC_CACHE_DIR", str(blocked / "cache"))
    (project / "handlers/start.ts").unlink()
    remote.routes["POST /oauth/token"] = Reply(401, {"error": "invalid_client"})
    code, checks = found(ckfunc, "-C", project)
    assert code == 1
    failed = {name for name, check in checks.items() if check["verdict"] == "fail"}
    assert failed == {"node", "cache", "manifest", "login"} | ({"npm"} & failed)
    assert "handlers/start.ts" in checks["manifest"]["text"]
    assert checks["login"]["hint"]


def test_an_unreachable_platform_is_reported_without_a_login_attempt(
    ckfunc: Callable[..., Any], project: Path, remote: Platform
) -> None:
    remote.routes["GET /v1/application"] = Reply(drop=True)
    code, checks = found(ckfunc, "-C", project)
    assert (code, checks["platform"]["verdict"]) == (1, "fail")
    assert "login" not in checks


def test_credentials_of_another_application_are_a_failure(
    ckfunc: Callable[..., Any], project: Path, remote: Platform
) -> None:
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("remote: {}", "remote: {application: 8}"))
    code, checks = found(ckfunc, "-C", project)
    assert (code, checks["login"]["verdict"]) == (1, "fail")
    assert "bound to application 8" in checks["login"]["text"]


def test_an_application_that_allows_guests_despite_its_function_is_a_warning(
    ckfunc: Callable[..., Any], project: Path, remote: Platform
) -> None:
    start = "user.attempted.start_session"
    assert found(ckfunc, "-C", project)[1]["guests"]["verdict"] == "ok"
    remote.routes["GET /v1/runtimes/nodejs/functions"] = functions(start, enabled=False)
    assert found(ckfunc, "-C", project)[1]["guests"]["verdict"] == "ok"
    remote.routes["GET /v1/runtimes/nodejs/functions"] = functions("call.ended", start)
    code, checks = found(ckfunc, "-C", project)
    assert (code, checks["guests"]) == (
        0,
        {
            "check": "guests",
            "verdict": "warn",
            "text": f"guest users are allowed: anyone can start a session unless {start} refuses it",
            "hint": "deploy `settings: {guest_users: false}`",
        },
    )
    remote.routes["GET /v1/application/settings"] = Reply(
        body={"guestUsers": "DISABLED", "userCreatedChannels": "ENABLED"}
    )
    assert found(ckfunc, "-C", project)[1]["guests"]["text"] == "guest users are not allowed"


def test_missing_credentials_projects_and_keyrings_are_reported(
    ckfunc: Callable[..., Any], project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    try:
        code, checks = found(ckfunc, "-C", project)
        assert (code, checks["credentials"]["verdict"]) == (1, "fail")
        assert checks["keyring"]["verdict"] == "warn"
        code, checks = found(ckfunc, "-C", tmp_path_factory.mktemp("outside"))
        assert (code, checks["project"]["verdict"], checks["credentials"]["verdict"]) == (0, "warn", "warn")
    finally:
        keyring.set_keyring(before)


def test_an_emulator_target_skips_the_platform_checks(ckfunc: Callable[..., Any], project: Path) -> None:
    code, checks = found(ckfunc, "-C", project, "--target", "local")
    assert code == 0
    assert "starts with each command" in checks["target"]["text"]
    assert "platform" not in checks
    code, checks = found(ckfunc, "-C", project, "--target", "nowhere")
    assert (code, checks["target"]["verdict"]) == (1, "fail")


def test_an_env_file_that_git_does_not_ignore_is_a_warning(ckfunc: Callable[..., Any], project: Path) -> None:
    (project / ".env").write_text("KEY=x\n")
    local = ("-C", project, "--target", "local")
    assert "secrets" not in found(ckfunc, *local)[1]
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    assert found(ckfunc, *local)[1]["secrets"]["verdict"] == "warn"
    (project / ".gitignore").write_text(".env\n")
    assert found(ckfunc, *local)[1]["secrets"]["verdict"] == "ok"


def test_a_project_that_cannot_be_read_does_not_end_the_other_checks(
    ckfunc: Callable[..., Any], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Path:
        raise PermissionError(errno.EACCES, "Permission denied", str(project / "functions.yaml"))

    monkeypatch.setattr("ckfunc.cli.app.App.root", refuse)
    code, checks = found(ckfunc, "-C", project)
    assert code == 1
    assert checks["project"]["verdict"] == checks["npm"]["verdict"] == "fail"
    assert checks["project"]["text"].endswith("functions.yaml: Permission denied")
    assert checks["cache"]["verdict"] == "ok"


def test_a_sign_in_page_of_the_network_is_not_the_platform(
    ckfunc: Callable[..., Any], project: Path, remote: Platform
) -> None:
    remote.routes["GET /v1/application"] = Reply(200, b"<html>Hotel Wifi</html>", {"content-type": "text/html"})
    code, checks = found(ckfunc, "-C", project)
    assert code == 1
    assert checks["platform"]["verdict"] == "fail" and "log in to this network" in checks["platform"]["hint"]
    assert "login" not in checks
