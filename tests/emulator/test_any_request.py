"""Arbitrary requests to users, channels, messages and notifications: only documented responses."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAMES = [
    "id", "name", "displayName", "display_name", "isGuest", "guest", "presence", "status", "properties", "type",
    "members", "creator", "username", "body", "file", "url", "contentType", "size", "user", "groupTag", "_links",
]  # fmt: skip
VALUES = [
    "ann",
    "PUBLIC",
    "DIRECT",
    "TEXT",
    "FILE",
    "",
    "x" * 2000,
    "x" * 60_000,
    "\0",
    "🌞",
    "\ud800",
    "%",
    "2022-01-31T12:00:00Z",
]
EARLIEST = "0001-01-01T00:00:00+23:59"
NUMBERS = [0, 1, 2, -1, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**400]

scalars = (
    st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.sampled_from(VALUES) | st.floats() | st.text(max_size=5)
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(NAMES), documents, max_size=8)
paths = st.sampled_from(
    [
        "/users", "/users/{}", "/users/{}/channels", "/users/{}/notifications", "/channels", "/channels/{}",
        "/users/{}/messages", "/users/{}/messages/unread/count", "/users/{}/secrets/{}", "/user-sessions",
        "/chat-sessions", "/jobs", "/jobs/{}", "/channels/{}/members", "/channels/{}/members/{}",
        "/channels/{}/messages", "/messages", "/messages/{}",
    ]
)  # fmt: skip
ids = st.sampled_from(
    [
        "1",
        "2",
        "3",
        "0",
        "-1",
        "x",
        str(2**63),
        "%00",
        "%ff",
        "a%2Fb",
        "..",
        "1" * 50,
        "0" * 20 + "9" * 30,
        "1" * 5000,
        "1e400",
        "NaN",
    ]
)
PARAMETERS = [
    "page", "size", "sort", "name", "type", "members", "start", "next", "relation", "query", "startTime", "unread",
    "state", "running", "properties",
]  # fmt: skip
queries = st.lists(
    st.tuples(
        st.sampled_from(PARAMETERS),
        st.sampled_from(
            ["", "0", "1", "-1", "x", "id,desc", "name", "id; --", "PUBLIC", "NEXT", "9" * 30, "'", "\0", EARLIEST,
             "!" * 500, "%_" * 300, "a:NaN", "a:1e999", "a:" + "9" * 50, "a:" + "[" * 250,
             '{"a": ' * 210, '{"a": 1e999}', "\ud83d", "9999-12-31T23:59:59-23:59", "-9223372036854775808"]
        ),
    ),
    max_size=4,
)  # fmt: skip


@settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE", "HEAD", "PUT"]),
    path=paths,
    id1=ids,
    id2=ids,
    query=queries,
    body=objects | documents,
    prefix=st.sampled_from(["", "/v1", "/v1/applications/1"]),
)
@pytest.mark.slow
def test_arbitrary_requests_get_documented_responses(
    client: httpx.Client, method: str, path: str, id1: str, id2: str, query: list[Any], body: Any, prefix: str
) -> None:
    if client.head("/v1/users", params={"name": "ann"}).status_code == 404:
        client.post("/v1/users", json={"name": "ann", "displayName": "Ann"})
        client.post("/v1/channels", json={"type": "PUBLIC", "name": "p", "members": [{"username": "ann"}]})
    content = json.dumps(body) if method not in ("GET", "HEAD") else None
    query = [(name, value.encode("utf-8", "surrogatepass")) for name, value in query]
    answer = client.request(method, prefix + path.format(id1, id2), params=urlencode(query), content=content)
    assert answer.status_code in (200, 400, 404, 414), answer.text
    if method != "HEAD":
        document = answer.json()
        assert answer.status_code == 200 or set(document) == {"error", "message", "explanation", "timestamp"}
