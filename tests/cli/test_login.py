"""`ckfunc login`, `logout` and `whoami`, with a real server and a test keyring."""

from __future__ import annotations

import json
import os
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backends import fail
from support.commands import process_of
from support.json_outputs import require_documented
from support.keyring_file import TRUSTED, FileKeyring
from support.loopback import Reply, Request
from support.scripted import RUNTIME, Platform, page_of, platform

ID, SECRET, KEY = "the-client", "the-s3cret-of-the-test", "19b458d0-2b50-491c-8f13-65ec12f3978e"
APPLICATION = {"id": 7, "key": KEY, "createdTime": "2021-09-01T00:00:00Z", "properties": {}}


def token(request: Request) -> Reply:
    given = b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
    if given not in (f"{ID}:{SECRET}", f"other:{SECRET}"):
        return Reply(401, {"error": "invalid_client"})
    return Reply(body={"access_token": "token", "expires_in": 3600})


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    routes = {
        "POST /oauth/token": token,
        "GET /v1/application": Reply(body=APPLICATION),
        "GET /v1/application/settings": Reply(body={"guestUsers": "ENABLED", "userCreatedChannels": "ENABLED"}),
        "GET /v1/runtimes/nodejs": Reply(body=RUNTIME),
        "GET /v1/runtimes/nodejs/functions": Reply(body=page_of("functions", [])),
    }
    with platform(routes) as made:
        monkeypatch.setenv("CHATKITTY_API_URL", made.server.url)
        monkeypatch.setenv("CHATKITTY_AUTHORIZATION_URL", f"{made.server.url}/oauth/token")
        yield made


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileKeyring]:
    monkeypatch.setenv("CKFUNC_TEST_KEYRING", str(tmp_path / "keyring.json"))
    monkeypatch.setenv("CKFUNC_KEYRING", TRUSTED)
    before, made = keyring.get_keyring(), FileKeyring()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def log_in(ckfunc: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, *line: str | Path, secret: str = SECRET) -> Any:
    """Run `login` with the secret on its standard input."""
    reading, writing = os.pipe()
    os.write(writing, f"{secret}\n".encode())
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stdin, monkeypatch.context() as patched:
        patched.setattr(sys, "stdin", stdin)
        return ckfunc(*line, "login", "--client-id", ID, "--secret-stdin")


def bound(project: Path, application: str) -> None:
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("remote: {}", f"remote: {{application: {application}}}"))


def test_a_login_lasts_until_logout(
    ckfunc: Callable[..., Any], project: Path, remote: Platform, ring: FileKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = ckfunc("-C", project, "diff")
    assert unknown.code == 1
    assert "ckfunc login --target remote" in unknown.err
    ran = log_in(ckfunc, monkeypatch, "-C", project)
    assert ran.code == 0, ran.err
    assert "application 7" in ran.err and "the tests' keyring" in ran.err
    assert SECRET not in ran.out + ran.err
    assert ckfunc("-C", project, "diff").code == 0
    me = json.loads(ckfunc("-C", project, "whoami", "--json").out)
    assert me == {
        "target": "remote",
        "application": 7,
        "key": KEY,
        "client_id": ID,
        "api": remote.server.url,
        "credentials": "the keyring",
    }
    assert "the keyring" in ckfunc("-C", project, "whoami").out
    assert "logged out" in ckfunc("-C", project, "logout").err
    assert "nobody was logged in" in ckfunc("-C", project, "logout").err
    assert ring.entries() == {}
    assert ckfunc("-C", project, "diff").code == 1
    holders = [path for path in project.rglob("*") if path.is_file() and SECRET in path.read_text(errors="replace")]
    assert holders == []


def test_an_invalid_secret_is_not_saved(
    ckfunc: Callable[..., Any], project: Path, remote: Platform, ring: FileKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = log_in(ckfunc, monkeypatch, "-C", project, secret="wrong-one")
    assert ran.code == 1
    assert "does not accept these credentials" in ran.err
    assert "wrong-one" not in ran.err
    assert ring.entries() == {}


@pytest.mark.parametrize("application", ["8", "00000000-0000-0000-0000-000000000000"])
def test_credentials_of_another_application_are_not_saved(
    ckfunc: Callable[..., Any],
    project: Path,
    remote: Platform,
    ring: FileKeyring,
    monkeypatch: pytest.MonkeyPatch,
    application: str,
) -> None:
    bound(project, application)
    ran = log_in(ckfunc, monkeypatch, "-C", project)
    assert ran.code == 1
    assert f"bound to application {application}" in ran.err
    assert ring.entries() == {}


@pytest.mark.parametrize("application", ["7", KEY, KEY.upper()])
def test_a_login_to_an_application_is_valid_in_every_project_bound_to_it(
    ckfunc: Callable[..., Any],
    project: Path,
    remote: Platform,
    ring: FileKeyring,
    monkeypatch: pytest.MonkeyPatch,
    application: str,
    tmp_path: Path,
) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    assert log_in(ckfunc, monkeypatch, "-C", outside).code == 0
    assert ckfunc("-C", project, "diff").code == 1  # its target isn't bound to an application
    bound(project, application)
    assert ckfunc("-C", project, "diff").code == 0
    assert ckfunc("-C", outside, "pull", "--application", application).code == 0
    assert ckfunc("-C", project, "logout").code == 0
    assert ring.entries() == {}


def test_a_login_to_an_unbound_target_is_valid_only_for_its_project_and_url(
    ckfunc: Callable[..., Any],
    project: Path,
    remote: Platform,
    ring: FileKeyring,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert log_in(ckfunc, monkeypatch, "-C", project).code == 0
    other = tmp_path / "other"
    other.mkdir()
    (other / "functions.yaml").write_text("version: 1\nruntime: {dependencies: {}}\ntargets: {remote: {}}\n")
    assert "you are not logged in" in ckfunc("-C", other, "diff").err
    sent = len(remote.server.requests)
    monkeypatch.setenv("CHATKITTY_AUTHORIZATION_URL", f"{remote.server.url}/elsewhere")
    assert "you are not logged in" in ckfunc("-C", project, "diff").err
    assert len(remote.server.requests) == sent


def test_environment_variables_override_the_keyring_and_are_not_mixed_with_it(
    ckfunc: Callable[..., Any], project: Path, remote: Platform, ring: FileKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log_in(ckfunc, monkeypatch, "-C", project).code == 0
    monkeypatch.setenv("CHATKITTY_CLIENT_ID", "other")
    half = ckfunc("-C", project, "whoami")
    assert half.code == 1
    assert "CHATKITTY_CLIENT_SECRET is not set" in half.err
    (project / ".env").write_text(f"CHATKITTY_CLIENT_SECRET={SECRET}\n")
    me = json.loads(ckfunc("-C", project, "whoami", "--json").out)
    assert (me["client_id"], me["credentials"]) == ("other", "the environment and .env")
    assert "override the keyring" in log_in(ckfunc, monkeypatch, "-C", project).err


def test_login_and_logout_print_json(
    ckfunc: Callable[..., Any], project: Path, remote: Platform, ring: FileKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = json.loads(log_in(ckfunc, monkeypatch, "-C", project, "--json").out)
    assert (printed["application"], printed["client_id"], printed["keyring"]) == (7, ID, "the tests' keyring")
    require_documented("login", printed)
    assert json.loads(ckfunc("-C", project, "logout", "--json").out) == {"target": "remote", "removed": True}


@pytest.mark.parametrize("command", ["login", "logout"])
def test_without_a_keyring_the_hint_names_the_environment_variables(
    ckfunc: Callable[..., Any], project: Path, remote: Platform, ring: FileKeyring, command: str
) -> None:
    keyring.set_keyring(fail.Keyring())
    ran = ckfunc("-C", project, command)
    assert ran.code == 1
    assert "no keyring" in ran.err
    assert "set CHATKITTY_CLIENT_ID and CHATKITTY_CLIENT_SECRET in the environment" in ran.err
    assert remote.server.requests == []


def test_a_failing_keyring_is_an_expected_error_without_its_message(
    ckfunc: Callable[..., Any], project: Path, remote: Platform, ring: FileKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring.refuses = True
    ran = log_in(ckfunc, monkeypatch, "-C", project)
    assert ran.code == 1
    assert "the keyring failed" in ran.err
    assert "quote anything" not in ran.err
    assert "ckfunc login" in ckfunc("-C", project, "diff").err


def test_login_without_a_terminal_suggests_secret_stdin(
    ckfunc: Callable[..., Any], project: Path, remote: Platform, ring: FileKeyring
) -> None:
    ran = ckfunc("-C", project, "login")
    assert ran.code == 2
    assert "--secret-stdin" in ran.err
    assert ckfunc("-C", project, "login", "--secret-stdin").code == 2


def test_the_emulator_needs_no_login_and_whoami_shows_its_application(
    ckfunc: Callable[..., Any], project: Path, ring: FileKeyring
) -> None:
    assert "needs no login" in ckfunc("-C", project, "--target", "local", "login").err
    assert "needs no login" in ckfunc("-C", project, "--target", "local", "logout").err
    me = json.loads(ckfunc("-C", project, "--target", "local", "whoami", "--json").out)
    assert (me["application"], me["credentials"]) == (1, "the emulator's own")


def test_logout_outside_of_a_project_needs_the_application(
    ckfunc: Callable[..., Any], remote: Platform, ring: FileKeyring, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "--application ID" in ckfunc("-C", tmp_path, "logout").err
    assert log_in(ckfunc, monkeypatch, "-C", tmp_path).code == 0
    assert len(ring.entries()) == 2
    assert ckfunc("-C", tmp_path, "logout", "--application", "7").code == 0
    assert ring.entries() == {}
    assert ckfunc("-C", tmp_path, "--target", "staging", "whoami").code == 1


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_login_on_a_terminal_prompts_for_the_secret_without_echoing_it(
    project: Path, remote: Platform, ring: FileKeyring
) -> None:
    leader, follower = os.openpty()
    environ = {
        **{name: value for name, value in os.environ.items() if name != "CI"},
        "PYTHON_KEYRING_BACKEND": TRUSTED,
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    command = [sys.executable, "-m", "ckfunc", "-C", str(project), "login"]
    # In its own session: otherwise getpass would ask on the terminal that runs the tests.
    streams: dict[str, Any] = {"stdin": follower, "stdout": follower, "stderr": follower}
    with process_of(command, env=environ, start_new_session=True, **streams) as process:
        os.close(follower)
        shown = b""
        # The final space is printed after the terminal has discarded earlier input.
        for question, answer in ((b"Client id: ", ID), (b"Client secret: ", SECRET)):
            while question not in shown:
                shown += os.read(leader, 1024)
            os.write(leader, f"{answer}\n".encode())
        try:
            while more := os.read(leader, 1024):
                shown += more
        except OSError:
            pass  # Linux reports the end of a terminal as an error
        assert process.wait() == 0, shown
    os.close(leader)
    assert ID.encode() in shown
    assert SECRET.encode() not in shown
    assert SECRET in "".join(ring.entries().values())
