"""A project's working copy, run on invocations of its emulator from the dashboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from emulator.conftest import sign_in
from support.emulators import cold_emulator
from support.loopback import http_client

from ckfunc.base.clock import SystemClock
from ckfunc.replay.target import ProjectRunner

TYPE = "user.sent.message"
MANIFEST = f"""\
version: 1
default_target: local
targets:
  local: {{emulator: true}}
functions:
  {TYPE}: {{handler: handlers/sent.ts}}
"""
OLD = """\
async function handleEvent(event: any, context: any) {
  console.log('saw', event.message.body);
  if (event.message.body === 'boom') throw new Error('no luck');
  await context.ChatKitty.Channels.sendChannelMessage(event.channel.id, { type: 'TEXT', body: 'old answer' });
  return 'ok';
}
"""
NEW = OLD.replace("throw new Error('no luck')", "return 'fixed'")
EVENT = {"channel": {"id": 1, "type": "PUBLIC", "name": "p"}, "message": {"id": 5, "body": "boom"}}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "handlers").mkdir()
    (tmp_path / "functions.yaml").write_text(MANIFEST)
    (tmp_path / "handlers/sent.ts").write_text(OLD)
    return tmp_path


@contextmanager
def dashboard(project: Path) -> Iterator[httpx.Client]:
    """A browser with the key of the dashboard's pages; version 1 has run for EVENT, as invocation 1."""
    data = project / ".ckfunc/emulator"
    data.mkdir(parents=True)
    runner = ProjectRunner(project, {}, data, SystemClock().now, lambda _: None)
    with cold_emulator(data, working_copy=lambda: runner) as emulator, http_client(emulator.url) as client:
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        client.post("/v1/channels", json={"type": "PUBLIC", "name": "p"})
        made = client.post("/v1/runtimes/nodejs/functions", json={"type": TYPE, "name": "N"}).json()["id"]
        client.post(f"/v1/functions/{made}/versions", json={"handlerScript": OLD})
        client.post("/emulator/trigger", json={"type": TYPE, "data": EVENT})
        found = re.search(r'data-form-key="([^"]+)"', client.get("/").text)
        assert found is not None
        client.headers["x-form-key"] = found[1]
        client.timeout = httpx.Timeout(120)
        yield client


def test_the_working_copy_runs_on_an_invocation_and_changes_nothing(project: Path) -> None:
    with dashboard(project) as web:
        (project / "handlers/sent.ts").write_text(NEW)
        shown = web.get("/ui/invocations/1/working-copy").text
        assert "Compare with the working copy" in shown
        ran = web.post("/ui/invocations/1/working-copy/run")
        assert ran.status_code == 200
        assert "Succeeded" in ran.text
        assert "&#34;fixed&#34;" in ran.text
        assert "saw boom" in ran.text
        assert web.get("/v1/functions/1/invocations").json()["page"]["totalElements"] == 1
        assert web.get("/v1/channels/1/messages").json()["_embedded"]["messages"] == []


def test_a_comparison_shows_both_sides_and_their_differences(project: Path) -> None:
    with dashboard(project) as web:
        same = web.post("/ui/invocations/1/working-copy/compare").text
        assert "The working copy behaves the same." in same
        (project / "handlers/sent.ts").write_text(NEW)
        # The version that ran is compared, even if another version has been deployed since.
        web.post("/v1/functions/1/versions", json={"handlerScript": NEW})
        shown = web.post("/ui/invocations/1/working-copy/compare").text
        assert "The working copy behaves differently." in shown
        assert "Version 1" in shown
        assert "Working copy: handlers/sent.ts" in shown
        assert "no luck" in shown
        assert "&#34;fixed&#34;" in shown


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("functions.yaml", "version: 2\n", "functions.yaml:1:"),
        ("functions.yaml", MANIFEST.replace(TYPE, "user.read.message"), "has no function of type"),
        ("handlers/sent.ts", "import './missing';\n" + OLD, "handlers/sent.ts:1:"),
    ],
)
def test_an_error_in_the_project_is_explained(project: Path, file: str, text: str, message: str) -> None:
    with dashboard(project) as web:
        (project / file).write_text(text)
        answer = web.post("/ui/invocations/1/working-copy/run")
        assert answer.status_code == 400
        assert message in answer.text


def test_forms_need_the_key_of_a_page(project: Path) -> None:
    with dashboard(project) as web:
        del web.headers["x-form-key"]
        for action in ("run", "compare"):
            assert web.post(f"/ui/invocations/1/working-copy/{action}").status_code == 403
        assert web.get("/ui/invocations/99/working-copy").status_code == 404
