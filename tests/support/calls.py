"""Frequent API calls of emulator tests."""

from __future__ import annotations

import time
from typing import Any

import httpx


def answered(answer: httpx.Response) -> dict[str, Any]:
    """Return the body of an answer that must be a 200."""
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def explanation(answer: httpx.Response, status: int = 400) -> str:
    """Return why a request was refused."""
    assert answer.status_code == status, answer.text
    text: str = answer.json()["explanation"]
    return text


def items(client: httpx.Client, path: str, **params: Any) -> list[dict[str, Any]]:
    """Return what is on a page of a list."""
    page = answered(client.get(f"/v1/{path}", params=params))
    (found,) = page["_embedded"].values()
    listed: list[dict[str, Any]] = found
    return listed


def send(client: httpx.Client, body: str = "hi", to: str = "channels/1", **more: Any) -> dict[str, Any]:
    """Send a text to a channel or thread and return the message."""
    return answered(client.post(f"/v1/{to}/messages", json={"type": "TEXT", "body": body, **more}))


FIELDS = "async function handleEvent(event, context) { return Object.keys(event).sort(); }"
"""A script that answers with the names of its event's fields."""


def function(client: httpx.Client, trigger_type: str, script: str = FIELDS) -> int:
    """Return the id of a new function of this type."""
    made = answered(client.post("/v1/runtimes/nodejs/functions", json={"type": trigger_type, "name": trigger_type}))
    function_id: int = made["id"]
    answered(client.post(f"/v1/functions/{function_id}/versions", json={"handlerScript": script}))
    return function_id


def ended(client: httpx.Client, function_id: int, count: int) -> list[dict[str, Any]]:
    """Return the runs of a function once there are `count` and all have ended, oldest first."""
    found: list[dict[str, Any]] = []
    for _ in range(1200):
        found = items(client, f"functions/{function_id}/invocations", sort="id,asc")
        if len(found) == count and all(invocation["status"] != "RUNNING" for invocation in found):
            break
        time.sleep(0.05)
    return found
