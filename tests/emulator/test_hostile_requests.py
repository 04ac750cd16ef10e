"""Hostile requests: only documented responses, no 500, no dropped connection."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import httpx
import pytest

from ckfunc.emulator.asgi import ROUTES

NAMES = [
    "type",
    "name",
    "displayName",
    "display_name",
    "description",
    "properties",
    "handlerScript",
    "script",
    "username",
    "id",
    "user",
    "members",
    "body",
    "channelId",
    "creator",
    "guestUsers",
    "userCreatedChannels",
    "features",
    "isGuest",
    "presence",
    "status",
    "file",
    "enabled",
    "seconds",
    "data",
    "authParams",
    "initializeAsynchronously",
    "version",
    "defaultDependency",
    "groupTag",
    "group_tag",
    "mentions",
    "recipients",
    "event",
]
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    1e308,
    10**30,
    -(10**30),
    2**63,
    "",
    "x",
    "\0",
    "x" * 5000,
    "１",
    "PUBLIC",
    "DIRECT",
    "TEXT",
    [],
    [None],
    [[]],
    {},
    {"id": 10**30},
    {"id": "1"},
    {"id": 1},
    {"username": ""},
    {"username": 7},
    [{"id": 1}],
    [{"id": 2**70}],
    {"name": None, "version": None},
    [{"name": "ms", "version": {}}],
    {"a": {"b": [1, {"c": None}]}},
)
QUERIES = (
    "page=0&size=1",
    "size=10000000000000000000000",
    "page=1&size=x",
    "sort=,,,",
    "sort=id,desc,desc",
    "sort=%00",
    "name=%00",
    "name=%ff",
    "name=",
    "start=99999999999999999999",
    "start=x&relation=NEXT",
    "relation=SIDEWAYS",
    "next=-1&relation=PREVIOUS",
    "ids=99999999999999999999",
    "ids=1,,2",
    "members=99999999999999999999",
    "startTime=x",
    "startTime=9999-99-99T00:00:00Z",
    "type=%F0%9F%98%80",
    "a" * 5000,
    "%",
    "&&&===",
    "properties=%7B",
)
IDS = ("1", "0", "9223372036854775807", "9223372036854775808", "x", "%2e%2e", "%00", "1%2F2")
DOCUMENTED = {200, 202, 400, 401, 403, 404}


@pytest.fixture
def furnished(client: httpx.Client) -> httpx.Client:
    """A user, a channel, a message and a function, each with the id 1."""
    client.post("/v1/users", json={"name": "ann", "displayName": "Ann"})
    client.post("/v1/channels", json={"type": "PUBLIC", "name": "c", "members": [{"id": 1}]})
    client.post("/v1/channels/1/messages", json={"type": "TEXT", "body": "hello", "user": {"id": 1}})
    client.post("/v1/runtimes/nodejs/functions", json={"type": "some.event", "name": "F"})
    return client


def check(answer: httpx.Response, what: object) -> None:
    assert answer.status_code in DOCUMENTED, (what, answer.text)
    if answer.content and answer.status_code >= 400:
        assert {"error"} <= answer.json().keys(), what


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_arbitrary_bodies_get_a_documented_response(furnished: httpx.Client, seed: int) -> None:
    dice = random.Random(seed)
    for route in (route for route in ROUTES if route.method not in ("GET", "HEAD")):
        path = re.sub(r"\{\w+\}", "1", route.path)
        for _ in range(25):
            body: Any = {name: dice.choice(VALUES) for name in dice.sample(NAMES, dice.randint(0, 12))}
            if dice.random() < 0.2:
                body = dice.choice(VALUES)
            elif dice.random() < 0.2:
                body = [body, dice.choice(VALUES)]
            sent = {"content": json.dumps(body), "headers": {"content-type": "application/json"}}
            check(furnished.request(route.method, f"/v1{path}", **sent), (route.method, path, body))  # type: ignore[arg-type]  # built above


def test_arbitrary_forms_get_a_documented_response(furnished: httpx.Client) -> None:
    bodies = (
        b"",
        b"--x\r\n\r\n--x--",
        b'--x\r\ncontent-disposition: form-data; name="file"\r\n\r\n\r\n--x--',
        b"\0" * 100,
    )
    types = (
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "garbage",
        "a/b; c",
    )
    for route in (route for route in ROUTES if route.method not in ("GET", "HEAD")):
        path = re.sub(r"\{\w+\}", "1", route.path)
        for body in bodies:
            for kind in types:
                answer = furnished.request(route.method, f"/v1{path}", content=body, headers={"content-type": kind})
                check(answer, (route.method, path, kind, body))


@pytest.mark.slow
def test_arbitrary_queries_and_ids_get_a_documented_response(furnished: httpx.Client) -> None:
    for route in (route for route in ROUTES if route.method in ("GET", "HEAD")):
        for query in QUERIES:
            path = re.sub(r"\{\w+\}", "1", route.path)
            check(furnished.request(route.method, f"/v1{path}?{query}"), (route.method, path, query))
        for identifier in IDS if "{" in route.path else ():
            path = re.sub(r"\{\w+\}", identifier, route.path)
            check(furnished.request(route.method, f"/v1{path}"), (route.method, path))
