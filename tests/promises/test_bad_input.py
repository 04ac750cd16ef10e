"""Errors of every command: one sentence, a hint, exit code 1, and no request after the error."""

from __future__ import annotations

import re
import socket
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.loopback import Reply
from support.scripted import RUNTIME, Answering, Platform, page_of, platform

SECRET = "the-s3cret-of-the-test"
GOOD: dict[str, Answering] = {
    "GET /v1/runtimes/nodejs": Reply(body=RUNTIME),
    "GET /v1/runtimes/nodejs/functions": Reply(body=page_of("functions", [])),
}


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """A platform with its credentials in the environment."""
    with platform(GOOD) as made:
        monkeypatch.setenv("CHATKITTY_API_URL", made.server.url)
        monkeypatch.setenv("CHATKITTY_AUTHORIZATION_URL", f"{made.server.url}/oauth/token")
        monkeypatch.setenv("CHATKITTY_CLIENT_ID", "the-client")
        monkeypatch.setenv("CHATKITTY_CLIENT_SECRET", SECRET)
        yield made


def edited(project: Path, old: str, new: str) -> None:
    manifest = project / "functions.yaml"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new))


def missing_handler(project: Path) -> None:
    (project / "handlers/start.ts").unlink()


def handler_outside(project: Path) -> None:
    outside = project.parent / f"{project.name}-outside.ts"
    outside.write_text("")
    (project / "handlers/start.ts").unlink()
    (project / "handlers/start.ts").symlink_to(outside)


def unknown_key(project: Path) -> None:
    edited(project, "    handler:", "    handlr:")


def duplicate_key(project: Path) -> None:
    edited(project, "version: 1\n", "version: 1\nversion: 1\n")


def unresolved_variable(project: Path) -> None:
    edited(project, "version: 1\n", "version: 1\nruntime:\n  environment:\n    KEY: ${NOBODY_SET_THIS}\n")


def bad_yaml(project: Path) -> None:
    edited(project, "functions:", "functions: [")


def empty_functions(project: Path) -> None:
    (project / "functions.yaml").write_text("version: 1\nfunctions: {}\n")


def unquoted_number(project: Path) -> None:
    edited(project, "version: 1\n", "version: 1\nruntime:\n  environment:\n    KEY: 0042\n")


MISTAKES = [
    (missing_handler, r"functions\.yaml:4:14: .*handlers/start\.ts"),
    (handler_outside, r"functions\.yaml:4:14: .*outside"),
    (unknown_key, r"functions\.yaml:4:5: .*handlr.*handler"),
    (duplicate_key, r"functions\.yaml:2:1: .*version.*line 1"),
    (bad_yaml, r"functions\.yaml:\d+:\d+: "),
    (empty_functions, r"functions\.yaml:2:\d+: .*functions.*empty"),
    (unquoted_number, r"functions\.yaml:4:\d+: .*quote it"),
]


@pytest.mark.parametrize(
    ("command", "mistake", "said"),
    [
        *((command, *mistake) for command in ("diff", "deploy", "watch") for mistake in MISTAKES),
        # `diff` sends no values, and shows the difference without them.
        *(
            (command, unresolved_variable, r"functions\.yaml:4:\d+: .*NOBODY_SET_THIS")
            for command in ("deploy", "watch")
        ),
    ],
)
def test_a_mistake_in_the_manifest_is_reported_with_its_location_and_nothing_is_sent(
    ckfunc: Callable[..., Any],
    project: Path,
    remote: Platform,
    command: str,
    mistake: Callable[[Path], None],
    said: str,
) -> None:
    mistake(project)
    ran = ckfunc("-C", project, command)
    assert ran.code == 1
    assert re.search(said, ran.err), ran.err
    assert ran.err.startswith("error: ")
    assert "(" in ran.err or "hint: " in ran.err
    assert ran.out == ""
    assert remote.server.requests == []


def rejected_token(remote: Platform) -> None:
    remote.routes["POST /oauth/token"] = Reply(401, {"error": "invalid_client"})


def not_found(remote: Platform) -> None:
    remote.routes["GET /v1/runtimes/nodejs"] = Reply(
        404, {"error": "ResourceNotFoundError", "message": "Resource not found", "timestamp": "2022-01-16T06:26:49Z"}
    )


def not_json(remote: Platform) -> None:
    remote.routes["GET /v1/runtimes/nodejs"] = Reply(
        200, b"<html>Sign in to the Wi-Fi</html>", {"content-type": "text/html"}
    )


def wrong_shape(remote: Platform) -> None:
    remote.routes["GET /v1/runtimes/nodejs"] = Reply(body={"hello": "world"})


def forbidden(remote: Platform) -> None:
    remote.routes["GET /v1/runtimes/nodejs"] = Reply(
        403, {"error": "access_denied", "error_description": "Access is denied"}
    )


@pytest.mark.parametrize("command", ["diff", "deploy"])
@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (rejected_token, "does not accept these credentials"),
        (not_found, "Resource not found"),
        (not_json, "text/html"),
        (wrong_shape, "runtime"),
        (forbidden, "Access is denied"),
    ],
)
def test_an_unusable_response_stops_the_command_before_any_write(
    ckfunc: Callable[..., Any],
    project: Path,
    remote: Platform,
    command: str,
    trouble: Callable[[Platform], None],
    said: str,
) -> None:
    trouble(remote)
    ran = ckfunc("-C", project, command)
    assert ran.code == 1
    assert said in ran.err
    assert "hint: " in ran.err
    assert SECRET not in ran.err + ran.out
    assert [call for call in remote.calls() if not call.startswith("GET")] == []


def test_an_unreachable_host_is_named(
    ckfunc: Callable[..., Any], project: Path, remote: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening: connections are refused
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("CHATKITTY_API_URL", f"http://{address}")
        monkeypatch.setenv("CHATKITTY_AUTHORIZATION_URL", f"http://{address}/oauth/token")
        ran = ckfunc("-C", project, "diff")
    assert ran.code == 1
    assert address in ran.err
    assert "hint: " in ran.err


def test_missing_credentials_are_named_before_anything_is_sent(
    ckfunc: Callable[..., Any], project: Path, remote: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHATKITTY_CLIENT_SECRET")
    ran = ckfunc("-C", project, "deploy")
    assert ran.code == 1
    assert "CHATKITTY_CLIENT_SECRET" in ran.err
    assert remote.server.requests == []


def test_the_environment_overrides_credentials_from_the_env_file_of_a_target(
    ckfunc: Callable[..., Any], project: Path, remote: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CHATKITTY_CLIENT_ID", "CHATKITTY_CLIENT_SECRET"):
        monkeypatch.delenv(name)
    (project / ".env").write_text("CHATKITTY_CLIENT_ID=anyone\nCHATKITTY_CLIENT_SECRET=for-any-target\n")
    (project / ".env.remote").write_text("CHATKITTY_CLIENT_ID=the-remote\n")
    assert ckfunc("-C", project, "diff").code == 0
    monkeypatch.setenv("CHATKITTY_CLIENT_ID", "the-process")
    assert ckfunc("-C", project, "diff").code == 0
    sent = [request.headers["authorization"] for request in remote.asked("POST /oauth/token")]
    assert [b64decode(header.removeprefix("Basic ")).decode() for header in sent] == [
        "the-remote:for-any-target",
        "the-process:for-any-target",
    ]


def test_credentials_for_another_application_are_refused(
    ckfunc: Callable[..., Any], project: Path, remote: Platform
) -> None:
    edited(project, "remote: {}", "remote: {application: 8}")
    ran = ckfunc("-C", project, "deploy")
    assert ran.code == 1
    assert "bound to application 8, but these credentials belong to application 7" in ran.err
    assert [call for call in remote.calls() if not call.startswith("GET")] == []


def test_an_expired_token_is_renewed_once_and_a_second_rejection_is_an_error(
    ckfunc: Callable[..., Any], project: Path, remote: Platform
) -> None:
    refused = Reply(401, {"error": "unauthorized", "error_description": "Full authentication is required"})
    remote.routes["GET /v1/runtimes/nodejs/functions"] = [refused, Reply(body=page_of("functions", []))]
    assert ckfunc("-C", project, "diff").code == 0
    assert remote.tokens == 2
    remote.routes["GET /v1/runtimes/nodejs/functions"] = refused
    ran = ckfunc("-C", project, "diff")
    assert ran.code == 1
    assert "hint: " in ran.err


def test_outside_of_a_project_the_hint_suggests_init(ckfunc: Callable[..., Any], tmp_path: Path) -> None:
    for command in ("diff", "deploy", "watch", "logs", "types"):
        ran = ckfunc("-C", tmp_path, command)
        assert ran.code == 1
        assert "functions.yaml" in ran.err
        assert "ckfunc init" in ran.err


def test_a_missing_directory_is_named_in_the_error(ckfunc: Callable[..., Any], tmp_path: Path) -> None:
    ran = ckfunc("-C", tmp_path / "nowhere", "diff")
    assert ran.code == 1
    assert "nowhere" in ran.err


@pytest.mark.parametrize(
    "line", [["deply"], ["deploy", "--bogus"], ["trigger"], ["logs", "-n", "many"], ["trigger", "x", "--data", "nope"]]
)
def test_an_invalid_command_line_exits_2_with_a_hint(ckfunc: Callable[..., Any], line: list[str]) -> None:
    ran = ckfunc(*line)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert "hint: " in ran.err
    assert ran.out == ""
