"""The example project and a new one, deployed to a real emulator and run in real Node."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.emulators import cold_emulator

from ckfunc.api import Client, Connection
from ckfunc.base.secrets import Secret
from ckfunc.bundle.requirements import Requirements
from ckfunc.deploy import run
from ckfunc.manifest.project import load
from ckfunc.model.execution import Compiled
from ckfunc.model.triggers import TRIGGERS
from ckfunc.runtime.compiler import CompilerProcess
from ckfunc.scaffold.project import handler_path, handler_text, init
from ckfunc.scaffold.stubs import Schemas

EXAMPLE = Path(__file__).parent.parent.parent / "example-project"
Fire = Callable[..., dict[str, Any]]


@pytest.fixture
def platform() -> Iterator[str]:
    emulator = cold_emulator(None)
    try:
        yield emulator.start()
    finally:
        emulator.stop()


def deploy(root: Path, url: str) -> None:
    connection = Connection(url, f"{url}/oauth/token", "emulator", Secret("emulator"))
    with Client(connection) as client, CompilerProcess() as compiler:
        project = load(root, None, {})

        def check(scripts: Any, packages: Any) -> Any:
            first = project.runtime.initialization_script
            return Requirements(root, packages).missing(scripts, compiler.compile, first).errors

        report = run.deploy(project, client, check=check, confirm=lambda _: True, on_step=lambda _: None)
    assert report.ok


def fire(url: str, trigger_type: str, **data: Any) -> dict[str, Any]:
    body = json.dumps({"type": trigger_type, "data": data}).encode()
    request = urllib.request.Request(f"{url}/emulator/trigger", body, {"content-type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=110) as answer:
        return dict(json.load(answer))


def test_the_example_behaves_as_its_readme_describes(tmp_path: Path, platform: str) -> None:
    project = tmp_path / "project"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns(".ckfunc", ".env", "node_modules"))
    deploy(project, platform)

    def connect(username: str, **params: str) -> dict[str, Any]:
        return fire(platform, "user.attempted.start_session", username=username, authParams=params)

    def write(text: str, kind: str = "TEXT") -> Any:
        said = {"id": 1, "type": kind, "body": text}
        event = {"user": {"id": 1, "name": "jane"}, "channel": {"id": 1}, "message": said}
        return fire(platform, "user.sent.message", **event)["invocation"]["result"]["payload"]

    first = connect("jane", displayName="Jane")
    assert first["allowed"] is True
    assert first["invocation"]["result"] == {"payload": {"username": "jane", "isNew": True, "channel": 1}}
    assert [line["text"] for line in first["detail"]["console"]] == ["welcome, jane"]
    assert connect("jane")["invocation"]["result"]["payload"]["isNew"] is False
    assert connect("staff", staffCode="0042")["allowed"] is True
    denied = connect("eve", staffCode="1234")
    assert (denied["allowed"], denied["reason"]) == (False, "this is not the staff code")

    assert write("/remind 2h")["body"] == "You will hear from us in 2 hours (Deskline, automatically)"
    assert write("/remind me")["body"] == "Try /remind 2h (Deskline, automatically)"
    assert write("/hours")["body"].startswith("Somebody is here Monday to Friday, 9 to 17 UTC")
    assert write("/help")["body"].startswith("You can ask for /help")
    assert write("hello") == write("/help", "SYSTEM_TEXT") == {"answered": False}


def test_a_new_project_can_be_deployed_unchanged_and_allows_every_session(tmp_path: Path, platform: str) -> None:
    init(tmp_path, Schemas("{}"))
    deploy(tmp_path, platform)
    answer = fire(platform, "user.attempted.start_session", username="jane", authParams={"displayName": "Jane"})
    assert answer["allowed"] is True
    assert answer["invocation"]["result"] == {"payload": {"allowed": True}}


def test_every_scaffolded_handler_compiles_in_the_runtime() -> None:
    with CompilerProcess() as compiler:
        made = compiler.compile([(handler_path(trigger), handler_text(trigger)) for trigger in TRIGGERS])
    assert [result for result in made if not isinstance(result, Compiled)] == []
