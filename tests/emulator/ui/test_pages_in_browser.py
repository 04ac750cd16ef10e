"""The dashboard in a real browser: every page, and a conversation with a failing function."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from support.browser import Page, page

from .conftest import Deploy

pytestmark = pytest.mark.slow
SCRIPT = """function handleEvent(event: any) {
  console.log('saw', event.message.body);
  if (event.message.body === 'boom') throw new Error('no luck');
  return 'ok';
}
"""
PAGES = (
    "/",
    "/ui/functions/1",
    "/ui/functions/1/versions/1",
    "/ui/functions/1/compare",
    "/ui/invocations/1",
    "/ui/invocations/1/working-copy",
    "/ui/chat",
    "/ui/users",
    "/ui/users/1",
    "/ui/channels",
    "/ui/channels/1",
    "/ui/messages",
    "/ui/messages/1",
    "/ui/sessions",
    "/ui/requests",
    "/ui/faults",
    "/ui/data",
    "/ui/runtime",
    "/ui/trigger",
)
HOSTILE = '<script>document.title="owned"</script><img src=x onerror=\'document.title="owned"\'>"\'\u202e' + "W" * 500


def show(shown: Page, url: str) -> None:
    shown.call("Page.navigate", url=url)
    shown.next_event("Page.loadEventFired")


def eventually(shown: Page, expression: str) -> Any:
    until = time.monotonic() + 60
    while not (found := shown.evaluate(expression)):
        assert time.monotonic() < until, (expression, shown.evaluate("document.body.innerText"))
        time.sleep(0.05)
    return found


def problems(shown: Page) -> list[Any]:
    """Return the problems reported by the browser: blocked scripts and styles, exceptions, missing files."""
    named = ("Log.entryAdded", "Runtime.exceptionThrown")
    return [event["params"] for event in shown.events if event.get("method") in named]


def test_every_page_fits_its_width_and_runs_no_foreign_scripts(
    client: httpx.Client, room: dict[str, int], deploy: Deploy
) -> None:
    deploy("user.sent.message", SCRIPT, SCRIPT + "// changed\n")
    client.patch(f"/v1/users/{room['ann']}", json={"displayName": HOSTILE, "properties": {"x": HOSTILE}})
    client.patch("/v1/channels/1", json={"displayName": HOSTILE, "properties": {"x": HOSTILE}})
    message = {"type": "TEXT", "user": {"username": "ann"}, "body": HOSTILE, "properties": {"x": HOSTILE}}
    client.post("/v1/channels/1/messages", json=message)
    client.post("/emulator/trigger", json={"type": "user.sent.message", "data": {"message": {"body": HOSTILE}}})
    with page() as shown:
        for width in (1280, 360):
            size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
            shown.call("Emulation.setDeviceMetricsOverride", **size)
            for path in PAGES:
                show(shown, f"{client.base_url}{path}".replace("//ui", "/ui"))
                assert shown.evaluate("document.title.endsWith('ckfunc emulator')"), path
                over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                assert shown.evaluate(over) <= 0, (path, width)
                assert shown.evaluate("document.querySelectorAll('main h1').length") == 1, path
        assert problems(shown) == []


def test_a_conversation_with_a_failing_function_updates_without_a_reload(
    client: httpx.Client, room: dict[str, int], deploy: Deploy
) -> None:
    deploy("user.sent.message", SCRIPT)
    base = str(client.base_url).rstrip("/")
    with page() as shown:
        show(shown, f"{base}/ui/chat?channel=1&as={room['ann']}&as={room['bob']}")
        shown.evaluate("window.loadedOnce = true")
        field = f"document.getElementById('body-{room['ann']}')"
        shown.evaluate(f"{field}.value = 'boom'; {field}.form.requestSubmit()")
        eventually(shown, "document.querySelectorAll('.message .text').length === 2")
        eventually(shown, "document.querySelector('.run.failed') !== null")
        assert shown.evaluate(f"{field}.value") == ""
        # A message of a real client appears too, while an open element stays open and a draft stays in its field.
        shown.evaluate(f"document.querySelector('.run').open = true; {field}.value = 'draft'")
        body = {"type": "TEXT", "user": {"username": "bob"}, "body": "from elsewhere"}
        client.post("/v1/channels/1/messages", json=body)
        eventually(shown, "document.querySelectorAll('.message .text').length === 4")
        assert shown.evaluate("document.querySelector('.run.failed').open")
        assert shown.evaluate(f"{field}.value") == "draft"
        console = shown.evaluate("document.querySelector('.run.failed .console').innerText")
        assert console.split() == ["log", "saw", "boom"]
        # An error is shown without a reload.
        shown.evaluate(f"{field}.value = '   '; {field}.form.requestSubmit()")
        eventually(shown, "document.getElementById('notice').innerText.includes('write a message')")
        assert shown.evaluate("window.loadedOnce") is True
        # Follow the stack to the line of the script, then go back and run the function again.
        shown.evaluate("document.querySelector('.run.failed .stack a').click()")
        shown.next_event("Page.loadEventFired")
        eventually(shown, "document.querySelector('tr:target')?.innerText.includes('no luck')")
        show(shown, f"{base}/ui/invocations/1")
        shown.evaluate("document.getElementById('again').click()")
        eventually(shown, "location.pathname === '/ui/invocations/3'")
        eventually(shown, "document.querySelector('.status.failed') !== null")
