"""The project's web page, and the vendor's chat client for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.loopback import http_client

from ckfunc.base.files import cache_dir
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.options import EmulatorOptions


@pytest.fixture
def project(tmp_path: Path) -> Path:
    web = tmp_path / "project" / "web"
    web.mkdir(parents=True)
    (web / "index.html").write_text("<title>Chat</title>", encoding="utf-8")
    (web / "chat.js").write_text("export const a = 1;", encoding="utf-8")
    (web / "notes.txt").write_text("not for browsers", encoding="utf-8")
    (tmp_path / "project" / "functions.json").write_text("{}", encoding="utf-8")
    return web.parent


@pytest.fixture
def browser(project: Path) -> Iterator[httpx.Client]:
    options = EmulatorOptions(web=project / "web")
    with Emulator(None, options, cache=cache_dir()) as emulator, http_client(emulator.url) as client:
        yield client


def test_a_page_and_its_scripts_are_served_with_their_types(browser: httpx.Client) -> None:
    page = browser.get("/web/", headers={"accept": "text/html"})
    assert (page.status_code, page.text) == (200, "<title>Chat</title>")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    script = browser.get("/web/chat.js")
    assert (script.text, script.headers["content-type"]) == ("export const a = 1;", "text/javascript; charset=utf-8")


def test_a_page_shows_its_latest_version(browser: httpx.Client, project: Path) -> None:
    assert browser.get("/web/chat.js").headers["cache-control"] == "no-cache"
    (project / "web" / "chat.js").write_text("export const a = 2;", encoding="utf-8")
    assert browser.get("/web/chat.js").text == "export const a = 2;"


@pytest.mark.parametrize(
    "path",
    ["/web/other.js", "/web/notes.txt", "/web/..%2ffunctions.json", "/web/%2e%2e%2ffunctions.json", "/web/x/y.js"],
)
def test_other_files_are_not_served(browser: httpx.Client, path: str) -> None:
    assert browser.get(path).status_code == 404


def test_a_link_out_of_the_project_is_not_served(browser: httpx.Client, project: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}", encoding="utf-8")
    (project / "web" / "secret.json").symlink_to(tmp_path / "secret.json")
    assert browser.get("/web/secret.json").status_code == 404


def test_a_project_without_a_page_has_none(tmp_path: Path) -> None:
    with Emulator(None, cache=cache_dir()) as emulator, http_client(emulator.url) as client:
        assert client.get("/web/").status_code == 404


def test_the_chat_client_is_a_module_for_browsers(browser: httpx.Client) -> None:
    module = browser.get("/chat-client.js")
    assert module.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "as getSdkClient" in module.text and "/rtm/websocket?api-key=" in module.text
    assert browser.get("/chat-client.js").content == module.content


def test_a_chat_client_that_cannot_be_installed_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    options = EmulatorOptions(spares=False)
    with Emulator(None, options, cache=tmp_path / "file") as emulator, http_client(emulator.url) as client:
        refused = client.get("/chat-client.js")
    assert refused.status_code == 503
    assert "cache" in refused.json()["explanation"]
