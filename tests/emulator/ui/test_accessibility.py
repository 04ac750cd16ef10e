"""Every page of the dashboard in a real browser: accessibility rules, and hostile text in every field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.browser import Page, page
from support.emulators import cold_emulator
from support.npm_packages import locked_packages

from ckfunc.base.clock import SystemClock
from ckfunc.emulator.emulator import Emulator
from ckfunc.replay.target import ProjectRunner
from ckfunc.testing.drafts import ConversationDrafter, draft_case

from .conftest import Deploy
from .test_pages_in_browser import PAGES, problems, show

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = """async function handleEvent(event: any) {
  console.log(event.text);
  console.error(event.text);
  if (event.fails) throw new Error(event.text);
  return { [event.text.slice(0, 100)]: event.text };
}
"""
TYPE = "user.triggered.event"
SENT = "user.sent.message"
MANIFEST = f"""\
version: 1
default_target: local
targets:
  local: {{emulator: true}}
functions:
  {SENT}: {{handler: handlers/sent.ts}}
  {TYPE}: {{handler: handlers/event.ts}}
"""
STRINGS = (
    "<script>window.owned = 1</script>",
    '"><img src=x onerror="window.owned = 1">',
    "'-(window.owned = 1)-'",
    "</textarea></pre></code><script>window.owned = 1</script>",
    "</title></style><svg onload='window.owned = 1'>",
    "javascript:window.owned=1",
    "data:text/html,<script>window.owned=1</script>",
    "<svg><animate onbegin='window.owned = 1' attributeName='x' dur='1s'/></svg>",
    '" autofocus onfocus="window.owned = 1" hx-get="/ui/users" hx-trigger="load" x="',
    "<div hx-on::load='window.owned = 1' hx-get='/' hx-trigger='load'>",
    "<style>* { display: none !important }</style>",
    "<base href='http://other.invalid/'><meta http-equiv='refresh' content='0;url=http://other.invalid/'>",
    "{{ 7 * 7 }}{% for x in range(9) %}${7 * 7}#{7 * 7}",
    "\u202egnp.exe \u2066\u2067 right to left",
    "zero\u200bwidth\u200d\ufeff\u00ad\u2060 text",
    "\u0639\u0631\u0628\u0649 \u05e9\u05dc\u05d5\u05dd \U0001f469\u200d\U0001f469\u200d\U0001f467",
    "W" * 3000,
    "a\n\n\t\r\x1b[31mb\x07" + "\n" * 300,
    "e" + "\u0301" * 500 + "\U000e0041\U000e0042\ufdfa" * 50,
    "<b>1 MB</b> " * 87_381,
)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """The emulator of a project; its pages can also run handlers of the project and add test cases."""
    project, data = tmp_path / "project", tmp_path / "project/.ckfunc/emulator"
    data.mkdir(parents=True)
    (project / "handlers").mkdir()
    (project / "functions.yaml").write_text(MANIFEST)
    (project / "handlers/sent.ts").write_text("function handleEvent() { return 'the working copy'; }")
    (project / "handlers/event.ts").write_text(SCRIPT)
    copy = ProjectRunner(project, {}, data, SystemClock().now, lambda _: None)
    conversations = ConversationDrafter(project, {}, data, lambda _: None)
    running = cold_emulator(
        data,
        draft_case=partial(draft_case, project, {}),
        working_copy=lambda: copy,
        conversations=lambda: conversations,
    )
    running.start()
    yield running
    running.stop()


def send_form(shown: Page, url: str, button: str) -> None:
    """Open a page and press a button whose form returns a page."""
    show(shown, url)
    shown.evaluate(f"document.getElementById({button!r}).click()")
    shown.next_event("Page.loadEventFired")


@contextmanager
def browser(width: int, theme: str = "light") -> Iterator[Page]:
    with page() as shown:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        shown.call("Emulation.setDeviceMetricsOverride", **size)
        shown.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        yield shown


def address(client: httpx.Client, path: str) -> str:
    return str(client.base_url).rstrip("/") + path


def test_the_list_of_hostile_strings_is_complete() -> None:
    assert len(set(STRINGS)) == 20
    assert max(map(len, STRINGS)) >= 1_000_000


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_follows_the_accessibility_rules(
    client: httpx.Client, room: dict[str, int], deploy: Deploy, theme: str
) -> None:
    source = (locked_packages("axe") / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
    deploy(SENT, "function handleEvent() { console.warn('x'); return { a: 1 }; }", "// none\n")
    client.put("/emulator/snapshots/one")
    client.post("/emulator/faults", json={"operation": "createUser", "status": 503})
    client.put("/v1/runtimes/nodejs/environment-variables", json={"API_TOKEN": "x"})
    client.post("/emulator/sessions", json={"username": "ann", "channelId": 1})
    for number in range(3):
        body = {"type": "TEXT", "user": {"username": "ann"}, "body": f"message {number}"}
        client.post("/v1/channels/1/messages", json=body)
    for data in ({"message": {"body": "x"}}, {}):
        client.post("/emulator/trigger", json={"type": SENT, "data": data})
    chat = f"/ui/chat?channel=1&as={room['ann']}&as={room['bob']}"
    more = (chat, "/ui/chat/channels/1/test", "/ui/invocations/1/test")
    sent = (
        ("/ui/invocations/1/working-copy", "compare", "The working copy behaves differently."),
        ("/ui/invocations/1/working-copy", "run", "the working copy"),
        ("/ui/chat/channels/1/test", "add", "Added to tests/conversations.yaml"),
    )
    found: dict[str, Any] = {}
    for width in (1280, 360):
        with browser(width, theme) as shown:
            for path, button, text in (*((path, "", "") for path in (*PAGES, *more, "/ui/users/99")), *sent):
                if button:
                    send_form(shown, address(client, path), button)
                    assert text in shown.evaluate("document.querySelector('main').innerText"), path
                else:
                    show(shown, address(client, path))
                shown.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
                shown.evaluate(f"{source}; true")
                broken = shown.evaluate(
                    "axe.run(document).then((result) => result.violations.map("
                    "(one) => [one.id, one.impact, one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200))]))"
                )
                if broken := [violation for violation in broken if violation[1] in ("serious", "critical")]:
                    found[f"{path} {button} at {width}"] = broken
    assert found == {}


def test_hostile_text_in_any_field_runs_no_script_and_breaks_no_layout(
    client: httpx.Client, deploy: Deploy, form_key: str
) -> None:
    deploy(TYPE, SCRIPT)
    client.timeout = httpx.Timeout(120)
    users, channels = [], []
    for number, text in enumerate(STRINGS):
        named = {"name": text[:190], "displayName": text, "properties": {text[:100]: text[:300_000]}}
        made = client.post("/v1/users", json=named)
        if made.status_code != 200:  # If this text is too long or not allowed in a name, use it in the other fields.
            made = client.post("/v1/users", json={**named, "name": f"user-{number}", "displayName": text[:150]})
        users.append(made.raise_for_status().json())
        name = users[-1]["name"]
        new = {"type": "PUBLIC", **named, "members": [{"username": name}]}
        made = client.post("/v1/channels", json=new)
        if made.status_code != 200:
            made = client.post("/v1/channels", json={**new, "name": f"channel-{number}", "displayName": text[:150]})
        channels.append(made.raise_for_status().json())
        messages = f"/v1/channels/{channels[-1]['id']}/messages"
        sent = {"type": "TEXT", "user": {"username": name}, "body": text, "groupTag": text[:50]}
        posted = client.post(messages, json={**sent, "properties": {text[:100]: text[:300_000]}}).raise_for_status()
        reaction = {"user": str(users[-1]["id"]), "react": text[:5000], "form-key": form_key}
        reacted = client.post(f"/ui/chat/messages/{posted.json()['id']}", data=reaction)
        assert reacted.status_code == 303, reacted.text
        file = {"url": f"https://example.com/{number}", "name": text[:200], "contentType": "text/plain", "size": 1}
        client.post(messages, json={"type": "FILE", "user": {"username": name}, "file": file})
        link = {"type": "TEXT", "user": {"username": name}, "body": f"see https://example.com/{text[:300]}"}
        client.post(messages, json=link)
        for fails in (False, True):
            event = {"type": TYPE, "data": {"text": text, "fails": fails, text[:50]: {text[:50]: text}}}
            client.post("/emulator/trigger", json=event).raise_for_status()
    lists = [*(page for page in PAGES if not page.startswith("/ui/functions/1/")), "/ui/functions/1"]
    searches = [f"/ui/users?{httpx.QueryParams({'query': text[:150]})}" for text in STRINGS]
    details = [
        path
        for number, (user, channel) in enumerate(zip(users, channels, strict=True))
        for path in (
            f"/ui/users/{user['id']}",
            f"/ui/channels/{channel['id']}",
            f"/ui/chat?channel={channel['id']}&as={user['id']}",
            f"/ui/invocations/{2 * number + 1}",
            f"/ui/invocations/{2 * number + 2}",
            f"/ui/invocations/{2 * number + 2}/test",
            f"/ui/chat/channels/{channel['id']}/test",
        )
    ]
    for width, paths in ((1280, lists), (360, [*lists, *searches, *details])):
        with browser(width) as shown:
            for path in paths:
                show(shown, address(client, path))
                shown.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
                state = json.loads(
                    shown.evaluate(
                        "JSON.stringify({title: document.title, owned: String(window.owned), at: location.origin,"
                        " headings: document.querySelectorAll('main h1').length,"
                        " over: document.documentElement.scrollWidth - document.documentElement.clientWidth,"
                        " shown: getComputedStyle(document.querySelector('main h1')).display})"
                    )
                )
                assert state["title"].endswith("ckfunc emulator"), path
                assert (state["owned"], state["headings"]) == ("undefined", 1), path
                assert (state["at"], state["shown"] != "none") == (str(client.base_url).rstrip("/"), True), path
                assert state["over"] <= 0, (path, width, state["over"])
            assert problems(shown) == []
