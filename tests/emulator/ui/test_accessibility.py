"""Every page of the dashboard in a real browser: accessibility rules, and hostile text in every field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from support.browser import Page, page
from support.npm_packages import locked_packages

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
TYPE = "test.event"
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


@contextmanager
def browser(width: int, theme: str = "light") -> Iterator[Page]:
    with page() as shown:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        shown.call("Emulation.setDeviceMetricsOverride", **size)
        shown.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        yield shown


def address(client: httpx.Client, path: str) -> str:
    return str(client.base_url).rstrip("/") + path


def test_the_strings_are_twenty() -> None:
    assert len(set(STRINGS)) == 20
    assert max(map(len, STRINGS)) >= 1_000_000


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_breaks_a_rule_of_accessibility(
    client: httpx.Client, room: dict[str, int], deploy: Deploy, theme: str
) -> None:
    source = (locked_packages("axe") / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
    deploy("user.sent.message", "function handleEvent() { console.warn('x'); return { a: 1 }; }", "// none\n")
    client.put("/emulator/snapshots/one")
    client.post("/emulator/faults", json={"operation": "createUser", "status": 503})
    client.put("/v1/runtimes/nodejs/environment-variables", json={"API_TOKEN": "x"})
    client.post("/emulator/sessions", json={"username": "ann", "channelId": 1})
    for number in range(3):
        body = {"type": "TEXT", "user": {"username": "ann"}, "body": f"message {number}"}
        client.post("/v1/channels/1/messages", json=body)
    for data in ({"message": {"body": "x"}}, {}):
        client.post("/emulator/trigger", json={"type": "user.sent.message", "data": data})
    chat = f"/ui/chat?channel=1&as={room['ann']}&as={room['bob']}"
    found: dict[str, Any] = {}
    for width in (1280, 360):
        with browser(width, theme) as shown:
            for path in (*PAGES, chat, "/ui/users/99"):
                show(shown, address(client, path))
                shown.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
                shown.evaluate(f"{source}; true")
                broken = shown.evaluate(
                    "axe.run(document).then((result) => result.violations.map("
                    "(one) => [one.id, one.impact, one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200))]))"
                )
                if broken := [one for one in broken if one[1] in ("serious", "critical")]:
                    found[f"{path} at {width}"] = broken
    assert found == {}


def test_hostile_text_in_any_field_runs_nothing_and_breaks_no_layout(client: httpx.Client, deploy: Deploy) -> None:
    deploy(TYPE, SCRIPT)
    client.timeout = httpx.Timeout(120)
    users, channels = [], []
    for number, text in enumerate(STRINGS):
        named = {"name": text[:190], "displayName": text, "properties": {text[:100]: text[:300_000]}}
        made = client.post("/v1/users", json=named)
        if made.status_code != 200:  # too long, or not allowed: the rest of the fields
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
        client.post(messages, json={**sent, "properties": {text[:100]: text[:300_000]}}).raise_for_status()
        file = {"url": f"https://example.com/{number}", "name": text[:200], "contentType": "text/plain", "size": 1}
        client.post(messages, json={"type": "FILE", "user": {"username": name}, "file": file})
        link = {"type": "TEXT", "user": {"username": name}, "body": f"see https://example.com/{text[:300]}"}
        client.post(messages, json=link)
        for fails in (False, True):
            event = {"type": TYPE, "data": {"text": text, "fails": fails, text[:50]: {text[:50]: text}}}
            client.post("/emulator/trigger", json=event).raise_for_status()
    lists = [*(one for one in PAGES if not one.startswith("/ui/functions/1/")), "/ui/functions/1"]
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
