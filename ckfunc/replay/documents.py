"""A run as a JSON document that can be compared."""

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
_PLACES = (
    # Where a script was put, as a handler finds it in stacks: every version has another name, and every line may move.
    (re.compile(r"handlers[\\/]+([a-z_.-]+?)(?:-\d+)?-[0-9a-f]{20}\.[cm]js(?:\?\d+)?(?::\d+)*"), r"handlers/\1"),
    (re.compile(r"runtimes[\\/]+[0-9a-f]{32}\b"), "runtimes/0"),
    # The temporary directory of a process.
    (re.compile(r"([\\/])ckfunc-[a-z0-9_]{8}\b"), r"\1ckfunc"),
)


@dataclass(frozen=True, slots=True)
class Observed:
    """A run that has ended: `result` is `{"payload": …}` or `{"error": …}`, as the platform has it.

    `url` is where its API was: no difference that, and different for each sandbox. `blocked` are the servers that it
    was kept from.
    """

    status: Status
    result: Mapping[str, Any]
    calls: tuple[ApiCall, ...] = ()
    calls_omitted: int = 0
    url: str = field(default="", compare=False)
    blocked: tuple[str, ...] = ()


def document_of(run: Observed) -> dict[str, Any]:
    """Return what counts of a run. A stack does not: a line that was added above moves it."""
    made: dict[str, Any] = {"status": run.status.value, **outcome_of(run.status, run.result)}
    made["calls"] = [_call(one) for one in run.calls]
    if run.calls_omitted:
        made["callsOmitted"] = run.calls_omitted
    return _moved(made, run.url)


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


def _moved(document: dict[str, Any], url: str) -> dict[str, Any]:
    """Return a document in which the sandbox's address is the platform's, and its files are called as in any other."""
    text = json.dumps(document)
    moved = text.replace(url, PLATFORM_URL) if url else text
    for form, plain in _PLACES:
        moved = form.sub(plain, moved)
    if moved == text:
        return document
    found: dict[str, Any] = json.loads(moved)
    return found
