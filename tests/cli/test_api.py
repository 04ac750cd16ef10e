"""Any request to the Platform API, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.loopback import Reply, Request
from support.scripted import RUNTIME, Platform, platform

SECRET = "the-s3cret-of-the-test"


def linked(request: Request) -> Reply:
    page = int(request.path.partition("page=")[2] or 0)
    links = {"next": {"href": f"https://elsewhere.example/v1/users?page={page + 1}"}} if page < 2 else {}
    return Reply(body={"_embedded": {"users": [{"id": page}]}, "_links": links, "page": {"size": 1}})


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    routes: dict[str, Any] = {
        "GET /v1/users": linked,
        "GET /v1/runtimes/nodejs": Reply(body=RUNTIME),
        "DELETE /v1/users/7": Reply(204),
        "POST /v1/users": lambda request: Reply(body={"got": request.json(), "as": request.headers["content-type"]}),
        "PATCH /v1/users/7": lambda request: Reply(body={"as": request.headers["content-type"]}),
        "GET /v1/text": Reply(200, b"a \x1b[31mplain\x1b[0m text", {"content-type": "text/plain"}),
        "GET /v1/loop": Reply(body={"_embedded": {"x": []}, "_links": {"next": {"href": "/v1/loop"}}}),
        "GET /v1/empty": Reply(body={"page": {"size": 1}}),
        "PUT /v1/runtimes/nodejs/environment-variables": lambda request: Reply(
            400, {"error": "ClientError", "message": f"no good: {request.json()['KEY']}"}
        ),
    }
    with platform(routes) as made:
        for name, value in {
            "CHATKITTY_API_URL": made.server.url,
            "CHATKITTY_AUTHORIZATION_URL": f"{made.server.url}/oauth/token",
            "CHATKITTY_CLIENT_ID": "the-client",
            "CHATKITTY_CLIENT_SECRET": SECRET,
        }.items():
            monkeypatch.setenv(name, value)
        yield made


def test_a_response_is_printed_inside_and_outside_a_project(
    ckfunc: Callable[..., Any], project: Path, remote: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for place in (project, tmp_path_factory.mktemp("outside")):
        ran = ckfunc("-C", place, "api", "get", "v1/users?page=2")
        assert ran.code == 0
        assert json.loads(ran.out)["_embedded"] == {"users": [{"id": 2}]}
    assert ckfunc("-C", project, "api", "DELETE", "/v1/users/7").out == ""
    assert ckfunc("-C", project, "api", "GET", "/v1/text").out == "a plain text"


def test_pages_of_the_api_host_are_merged_into_one_list(
    ckfunc: Callable[..., Any], project: Path, remote: Platform
) -> None:
    ran = ckfunc("-C", project, "api", "GET", "/v1/users", "--paginate")
    assert json.loads(ran.out) == [{"id": 0}, {"id": 1}, {"id": 2}]
    assert remote.calls() == ["GET /v1/users", "GET /v1/users?page=1", "GET /v1/users?page=2"]
    assert json.loads(ckfunc("-C", project, "api", "GET", "/v1/empty", "--paginate").out) == []
    assert "already read" in ckfunc("-C", project, "api", "GET", "/v1/loop", "--paginate").err
    assert "not a paginated list" in ckfunc("-C", project, "api", "GET", "/v1/runtimes/nodejs", "--paginate").err


def test_a_body_can_come_from_the_command_line_a_file_or_stdin(
    ckfunc: Callable[..., Any], project: Path, remote: Platform, tmp_path: Path
) -> None:
    ran = ckfunc("-C", project, "api", "POST", "/v1/users", "--data", '{"snake_name": [1]}')
    assert json.loads(ran.out) == {"got": {"snake_name": [1]}, "as": "application/json"}
    (tmp_path / "body.json").write_text('"text"')
    ran = ckfunc("-C", project, "api", "POST", "/v1/users", "--data", f"@{tmp_path / 'body.json'}")
    assert json.loads(ran.out)["got"] == "text"
    ran = ckfunc("-C", project, "api", "PATCH", "/v1/users/7", "--data", "{}")
    assert json.loads(ran.out) == {"as": "application/json+merge-patch"}


def test_values_of_variables_and_secrets_are_never_printed(
    ckfunc: Callable[..., Any], project: Path, remote: Platform
) -> None:
    remote.routes["GET /v1/runtimes/nodejs"] = Reply(body={**RUNTIME, "environmentVariables": {"KEY": "canary-1"}})
    ran = ckfunc("-C", project, "-v", "api", "GET", "/v1/runtimes/nodejs")
    assert "canary-1" not in ran.out + ran.err
    assert "KEY" in ran.out
    path = "/v1/runtimes/nodejs/environment-variables"
    ran = ckfunc("-C", project, "-v", "api", "PUT", path, "--data", '{"KEY": "canary-2"}')
    assert ran.code == 1
    assert "no good: ••••" in ran.err
    assert "canary-2" not in ran.out + ran.err
    assert SECRET not in ran.out + ran.err


@pytest.mark.parametrize(
    "line",
    [
        ["GET", "https://elsewhere.example/v1/users"],
        ["GET", "//elsewhere.example/v1/users"],
        ["GET", "/v1/users?x=a b"],
        ["TEASE", "/v1/users"],
        ["POST", "/v1/users", "--data", "{"],
        ["POST", "/v1/users", "--data", "@nowhere.json"],
        ["POST", "/v1/users", "--paginate"],
    ],
)
def test_an_invalid_request_is_refused_before_anything_is_sent(
    ckfunc: Callable[..., Any], project: Path, remote: Platform, line: list[str]
) -> None:
    ran = ckfunc("-C", project, "api", *line)
    assert ran.code == 2
    assert "hint: " in ran.err
    assert remote.server.requests == []


def test_a_request_rejected_by_the_platform_exits_1(
    ckfunc: Callable[..., Any], project: Path, remote: Platform
) -> None:
    ran = ckfunc("-C", project, "api", "GET", "/v1/nothing")
    assert ran.code == 1
    assert ran.out == ""
    assert "no route" in ran.err
