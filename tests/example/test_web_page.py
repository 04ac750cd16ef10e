"""The chat page of the example project, in a browser, with the project's functions."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.browser import Page, page
from support.commands import Command

EXAMPLE = Path(__file__).parent.parent.parent / "example-project"
WAIT_S = 60.0
SLOW_ANSWERS = """
const { set } = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
Object.defineProperty(WebSocket.prototype, 'onmessage', {
  set(handle) { set.call(this, (event) => setTimeout(handle, 300, event)); },
});
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address that `ckfunc dev` prints."""
    ignored = shutil.ignore_patterns(".ckfunc", ".env")
    project = shutil.copytree(EXAMPLE, tmp_path / "project", ignore=ignored)
    with Command("-C", project, "dev", "--port", "0") as dev:
        address = dev.until("chat: ").split()[1]
        dev.until("Deployed to local")
        yield address


def wait(shown: Page, condition: str) -> None:
    until = time.monotonic() + WAIT_S
    while not shown.evaluate(condition):
        assert time.monotonic() < until, f"{condition}: {shown.evaluate('document.body.innerText')}"
        time.sleep(0.05)


def start(shown: Page, address: str, username: str, code: str = "") -> None:
    shown.call("Page.navigate", url=address)
    # The script connects the form once it has loaded the client.
    wait(shown, "performance.getEntriesByName(new URL('/chat-client.js', location).href).length > 0")
    fields = json.dumps({"username": username, "displayName": username.title(), "staffCode": code})
    shown.evaluate(
        f"(async () => {{ await import('/web/chat.js'); const form = document.querySelector('#connect');"
        f"for (const [name, value] of Object.entries({fields})) form.elements[name].value = value;"
        "form.requestSubmit(); })()"
    )


def say(shown: Page, text: str) -> None:
    shown.evaluate(
        "(() => { const form = document.querySelector('#send');"
        f"form.elements.body.value = {json.dumps(text)}; form.requestSubmit(); }})()"
    )


def messages(count: int) -> str:
    return f"document.querySelectorAll('#messages li').length === {count}"


@pytest.mark.slow
def test_two_users_chat_and_the_functions_reply_and_deny(address: str) -> None:
    with page() as jane, page() as bob:
        start(bob, address, "bob", "1234")
        wait(bob, "document.querySelector('.error').textContent === 'this is not the staff code'")
        for shown, username in ((jane, "jane"), (bob, "bob")):
            start(shown, address, username)
            wait(shown, "document.querySelectorAll('#channels option').length === 1")
        say(jane, "Is anybody there?")
        wait(bob, messages(1))
        say(bob, "/hours")
        wait(jane, messages(3))
        text = jane.evaluate("document.querySelector('#messages').innerText")
        assert "Is anybody there?" in text and "Somebody is here Monday to Friday" in text
        jane.call("Emulation.setDeviceMetricsOverride", width=360, height=640, deviceScaleFactor=1, mobile=False)
        assert jane.evaluate("document.documentElement.scrollWidth") == 360
        errors = [
            event
            for event in jane.events + bob.events
            if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")
        ]
        assert errors == []


@pytest.mark.slow
def test_a_message_sent_while_a_page_opens_its_channel_is_shown(address: str) -> None:
    with page() as jane, page() as bob:
        bob.call("Page.addScriptToEvaluateOnNewDocument", source=SLOW_ANSWERS)
        for shown, username in ((jane, "jane"), (bob, "bob")):
            start(shown, address, username)
            wait(shown, "document.querySelectorAll('#channels option').length === 1")
        say(jane, "Is anybody there?")
        wait(bob, messages(1))
        assert "Is anybody there?" in bob.evaluate("document.querySelector('#messages').innerText")
