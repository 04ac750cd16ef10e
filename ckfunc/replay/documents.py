"""Runs as comparable JSON documents."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from ckfunc.model.function import ApiCall, Status

Document: TypeAlias = Mapping[str, Any]
"""`status`, then `result` or `error` (its name and message), and `calls`."""

PLATFORM_URL = "https://api.chatkitty.com"
_LOCATIONS = (
    # The location of a script, as stacks contain it: file names differ between versions, and lines may move.
    (re.compile(r"handlers[\\/]+([a-z_.-]+?)(?:-\d+)?-[0-9a-f]{20}\.[cm]js(?:\?\d+)?(?::\d+)*"), r"handlers/\1"),
    (re.compile(r"runtimes[\\/]+[0-9a-f]{32}\b"), "runtimes/0"),
    # The temporary directory of a process.
    (re.compile(r"([\\/])ckfunc-[a-z0-9_]{8}\b"), r"\1ckfunc"),
)


@dataclass(frozen=True, slots=True)
class Observed:
    """A finished run. `result` is `{"payload": …}` or `{"error": …}`, as on the platform.

    `url` is the address of its API, which differs between sandboxes and is not compared. `blocked` are the servers that
    it was not allowed to reach.
    """

    status: Status
    result: Mapping[str, Any]
    calls: tuple[ApiCall, ...] = ()
    calls_omitted: int = 0
    url: str = field(default="", compare=False)
    blocked: tuple[str, ...] = ()


def document_of(run: Observed) -> dict[str, Any]:
    """Return the comparable parts of a run, without stacks, because any added line changes them."""
    document: dict[str, Any] = {"status": run.status.value, **outcome_of(run.status, run.result)}
    document["calls"] = [_call(call) for call in run.calls]
    if run.calls_omitted:
        document["callsOmitted"] = run.calls_omitted
    return _normalized(document, run.url)


def outcome_of(status: Status, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return `result`, or `error` with its name and message."""
    if status is not Status.FAILED:
        return {"result": result.get("payload")}
    error = result.get("error")
    found = error if isinstance(error, Mapping) else {}
    return {"error": {name: found[name] for name in ("name", "message") if name in found}}


def _call(call: ApiCall) -> dict[str, Any]:
    path, _, query = call.path.partition("?")
    return {
        "method": call.method,
        "path": path,
        "query": [list(pair) for pair in parse_qsl(query, keep_blank_values=True)],
        "body": call.body,
    }


def _normalized(document: dict[str, Any], url: str) -> dict[str, Any]:
    """Return the document with the address of the platform instead of the sandbox's, and with uniform file names."""
    text = json.dumps(document)
    normalized = text.replace(url, PLATFORM_URL) if url else text
    for form, plain in _LOCATIONS:
        normalized = form.sub(plain, normalized)
    if normalized == text:
        return document
    found: dict[str, Any] = json.loads(normalized)
    return found
