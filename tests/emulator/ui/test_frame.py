"""The frame of all pages: headers, assets, protection of forms, errors, live updates."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from support.emulators import cold_emulator

from ckfunc.emulator.emulator import Emulator

from .conftest import Deploy


def test_the_first_page_loads_only_files_of_the_emulator(anyone: httpx.Client) -> None:
    answer = anyone.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    loaded = re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="([^"]+)"', answer.text)
    assert len(loaded) >= 4
    for path in loaded:
        assert path.startswith("/ui/assets/")
        assert anyone.get(path).status_code == 200


def test_pages_forbid_inline_scripts_and_styles_and_contain_none(anyone: httpx.Client, deploy: Deploy) -> None:
    number = deploy("some.event", "function handleEvent() { return 1 }")
    anyone.post("/emulator/trigger", json={"type": "some.event"})
    for path in ("/", f"/ui/functions/{number}", f"/ui/functions/{number}/versions/1", "/ui/invocations/1", "/ui/none"):
        answer = anyone.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", answer.text)


def test_a_form_without_the_form_key_is_refused(anyone: httpx.Client, deploy: Deploy, form_key: str) -> None:
    number = deploy("some.event", "function handleEvent() { return 1 }")
    path = f"/ui/functions/{number}/enabled"
    for data in ({"enabled": "no"}, {"enabled": "no", "form-key": "guessed"}):
        refused = anyone.post(path, data=data)
        assert refused.status_code == 403
        assert "reload the page" in refused.text
    assert ">Enabled<" in anyone.get(f"/ui/functions/{number}").text
    done = anyone.post(path, data={"enabled": "no", "form-key": form_key})
    assert (done.status_code, done.headers["location"]) == (303, f"/ui/functions/{number}")
    assert ">Disabled<" in anyone.get(f"/ui/functions/{number}").text
    assert anyone.post(path, data={"enabled": "yes"}, headers={"x-form-key": form_key}).status_code == 303
    assert ">Enabled<" in anyone.get(f"/ui/functions/{number}").text


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_pages_of_other_origins_cannot_send_forms(
    anyone: httpx.Client, deploy: Deploy, form_key: str, origin: str
) -> None:
    number = deploy("some.event", "function handleEvent() { return 1 }")
    path = f"/ui/functions/{number}/enabled"
    refused = anyone.post(path, data={"enabled": "no", "form-key": form_key}, headers={"origin": origin})
    assert refused.status_code == 403
    assert ">Enabled<" in anyone.get(f"/ui/functions/{number}").text


@pytest.mark.parametrize("path", ["/", "/ui/functions/1", "/ui/live", "/ui/assets/ui.js"])
def test_the_dashboard_refuses_host_names_of_other_machines(anyone: httpx.Client, path: str) -> None:
    assert anyone.get(path, headers={"host": "evil.example"}).status_code == 403


def test_an_error_is_shown_as_a_page(anyone: httpx.Client) -> None:
    for path, status in (("/ui/functions/77", 404), ("/ui/nothing", 404), ("/ui/functions/x", 400)):
        answer = anyone.get(path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert '<p id="problem">' in answer.text


def test_the_event_stream_reports_each_change(emulator: Emulator, client: httpx.Client) -> None:
    with httpx.stream("GET", f"{emulator.url}/ui/live", timeout=60) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        lines = (line for line in answer.iter_lines() if line)
        assert next(lines) == "data: connected"
        client.post("/v1/users", json={"name": "jane", "displayName": "Jane", "isGuest": False})
        assert next(lines) == "data: changed"


def test_stopping_the_emulator_ends_open_event_streams(tmp_path: Path) -> None:
    running = cold_emulator(tmp_path / "data")
    url = running.start()
    with httpx.stream("GET", f"{url}/ui/live", timeout=60) as answer:
        lines = answer.iter_lines()
        next(lines)
        running.stop()
        assert list(filter(None, lines)) == []
