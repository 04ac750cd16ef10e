"""How a recorded run becomes a case: its event, and what came of it as what is expected, without secrets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ckfunc.base.clock import timestamp
from ckfunc.base.documents import deeper_than
from ckfunc.base.errors import CkfuncError
from ckfunc.cases.redacting import Redaction, Redactor
from ckfunc.manifest.tree import MAX_DEPTH
from ckfunc.model.function import ApiCall, Invocation, InvocationDetail, Status


class CannotRecord(CkfuncError):
    """A run cannot be made a case."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A case as it will be written, and what was taken out of it."""

    case: Mapping[str, Any]
    redactions: tuple[Redaction, ...]


def recorded(
    invocation: Invocation,
    trigger_type: str,
    detail: InvocationDetail | None,
    *,
    name: str,
    environment: Iterable[tuple[str, str]],
) -> Recorded:
    """Return the case of a run that has ended.

    `environment` holds the variables whose values count as secrets; where one was found, the case sets its variable to
    the placeholder.
    `detail` is what an emulator knows of the run. Raises CannotRecord.
    """
    if invocation.status is Status.RUNNING:
        raise CannotRecord(f"invocation {invocation.id} is still running", hint="try again when it has ended")
    event = dict(invocation.args)
    calls = [_call(one) for one in detail.calls] if detail is not None else []
    if any(deeper_than(one, MAX_DEPTH - 8) for one in (event, invocation.result, calls)):
        raise CannotRecord(
            f"invocation {invocation.id} is nested too deeply for a case", hint="write the case by hand, with `file`"
        )
    redactor = Redactor(environment)
    outcome = _outcome(invocation)
    redactor.learn(event, "event")
    redactor.learn(outcome, "expect")
    redactor.learn(calls, "calls")
    expect = redactor.redacted(outcome)
    if calls:
        expect["calls"] = redactor.redacted(calls)
        if detail is not None and not detail.calls_omitted:
            expect["other_calls"] = False
    case: dict[str, Any] = {"name": name, "type": trigger_type, "now": timestamp(invocation.created_time)}
    case["event"] = redactor.redacted(event)
    if redactor.variables:
        case["environment"] = redactor.variables
    return Recorded({**case, "expect": expect}, tuple(redactor.redactions))


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Return `wanted`, or it with the first number that makes it a new one."""
    number = 2
    name = wanted
    while name in taken:
        name = f"{wanted} ({number})"
        number += 1
    return name


def _outcome(invocation: Invocation) -> dict[str, Any]:
    if invocation.status is Status.SUCCEEDED:
        return {"result": invocation.result.get("payload")}
    error = invocation.result.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    # A part of the message that is not there cannot be expected: that it fails must do.
    return {"error": message} if isinstance(message, str) and message.strip() else {"status": Status.FAILED.value}


def _call(made: ApiCall) -> dict[str, Any]:
    call: dict[str, Any] = {"method": made.method, "path": made.path}
    if made.body is not None and not _is_partial(made.body):
        call["body"] = made.body
    if made.status >= 100:
        call["status"] = made.status
    return call


def _is_partial(body: Any) -> bool:
    """Tell whether a body was not kept as it was: cut, or with files in it."""
    return isinstance(body, dict) and any(
        name == "$cut" or (isinstance(one, dict) and "$file" in one) for name, one in body.items()
    )
