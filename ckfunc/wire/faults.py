"""JSON of faults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ckfunc.base.clock import duration_s
from ckfunc.base.text import did_you_mean, with_hint
from ckfunc.model.fault import DEFAULT_SEED, ActiveFault, Fault
from ckfunc.wire.contract import operations
from ckfunc.wire.reading import Malformed, optional, required, resource

if TYPE_CHECKING:
    from ckfunc.model.outputs import FaultEffectJson, FaultJson

MOST_DELAY_MS = 60_000
MOST_FIRST = 1_000_000
MOST_SEED = 2**53 - 1

_DEFAULT_RETRY_AFTER_S = 1
_MOST_RETRY_AFTER_S = 86_400
_FIELDS = ("operation", "status", "retryAfterSeconds", "delayMs", "lost", "ratePercent", "first", "seed")
_ENTRY_NAMES = {"retry_after": "retryAfterSeconds", "delay": "delayMs", "rate": "ratePercent"}
PERCENT = r"[0-9]{1,3}(?:\.[0-9]{1,6})?\s*%"
"""A regular expression of percentages such as 20%, in the common syntax of Python and JavaScript."""


class FaultMistake(Malformed):
    """A fault has an error in `field`, or as a whole if that is None."""

    def __init__(self, field: str | None, message: str, hint: str | None = None) -> None:
        super().__init__(with_hint(message, hint))
        self.field = field
        self.message = message
        self.hint = hint


def operation_ids() -> tuple[str, ...]:
    """Return the id of every operation of the Platform API."""
    return tuple(operation.id for operation in operations())


def read_fault(document: Any) -> Fault:
    """Read a fault; raises FaultMistake or Malformed for its first error. A 429 has a Retry-After of 1 s by default."""
    data = resource(document, "the fault")
    for name in data:
        if name not in _FIELDS:
            raise FaultMistake(name, f"unknown field {name[:50]!r}", did_you_mean(name, _FIELDS))
    operation = optional(data, "operation", str)
    if operation is not None and operation not in operation_ids():
        hint = did_you_mean(operation, operation_ids()) or "`/docs` of the emulator lists them"
        raise FaultMistake("operation", f"there is no operation {operation[:80]!r}", hint)
    status = _integer(data, "status")
    if status is not None and status != 429 and not 500 <= status <= 599:
        raise FaultMistake("status", f"the status is {_shown(status)}; it must be 429 or from 500 to 599")
    seed = _whole(data, "seed", "the seed", 0, MOST_SEED)
    fault = Fault(
        operation,
        status,
        _whole(data, "retryAfterSeconds", "Retry-After", 0, _MOST_RETRY_AFTER_S),
        _whole(data, "delayMs", "the delay in milliseconds", 0, MOST_DELAY_MS) or 0,
        optional(data, "lost", bool) or False,
        _rate(data),
        _whole(data, "first", "the number of first requests", 1, MOST_FIRST),
        DEFAULT_SEED if seed is None else seed,
    )
    return _consistent(fault, has_rate=data.get("ratePercent") is not None)


def read_fault_entry(entry: Mapping[str, Any]) -> Fault:
    """Read a fault of a command or a test file: `delay` is a text such as 500ms, `rate` such as 20%.

    `retry_after` is in seconds. Raises FaultMistake, whose field is a key of `entry`, or Malformed.
    """
    document = {_ENTRY_NAMES.get(key, key): value for key, value in entry.items() if value is not None}
    if (delay := entry.get("delay")) is not None:
        seconds = duration_s(delay)
        if seconds is None:
            raise FaultMistake("delay", f"{delay!r} is not a duration", "such as 500ms or 2s")
        document["delayMs"] = round(seconds * 1000)
    if (rate := entry.get("rate")) is not None:
        if re.fullmatch(PERCENT, rate, re.ASCII) is None:
            raise FaultMistake("rate", f"{rate!r} is not a percentage", "such as 20%")
        document["ratePercent"] = float(rate.removesuffix("%"))
    elif entry.get("seed") is not None:
        raise FaultMistake("seed", "a seed needs a rate", "such as 20%; without one, there are no random numbers")
    try:
        return read_fault(document)
    except FaultMistake as mistake:
        keys = {name: key for key, name in _ENTRY_NAMES.items()}
        raise FaultMistake(keys.get(mistake.field or "", mistake.field), mistake.message, mistake.hint) from None


def write_fault(fault: Fault) -> FaultEffectJson:
    """Return a fault as JSON, which `read_fault` reads."""
    return {
        "operation": fault.operation,
        "status": fault.status,
        "retryAfterSeconds": fault.retry_after_s,
        "delayMs": fault.delay_ms,
        "lost": fault.lost,
        "ratePercent": None if fault.first is not None else fault.rate_percent,
        "first": fault.first,
        "seed": fault.seed,
    }


def read_active_fault(document: Any) -> ActiveFault:
    """Read a fault of an emulator; raises Malformed."""
    data = resource(document, "the fault")
    counts = {name: required(data, name, int) for name in ("id", "seen", "hits")}
    return ActiveFault(
        counts["id"], read_fault({name: data.get(name) for name in _FIELDS}), counts["seen"], counts["hits"]
    )


def write_active_fault(active: ActiveFault) -> FaultJson:
    """Return a fault of an emulator as JSON."""
    return {"id": active.id, **write_fault(active.fault), "seen": active.seen, "hits": active.hits}


def _consistent(fault: Fault, *, has_rate: bool) -> Fault:
    """Return a fault unchanged, or with its default Retry-After; raises FaultMistake."""
    if fault.status is None and not fault.delay_ms and not fault.lost:
        raise FaultMistake(None, "a fault needs a status, a delay or a lost response")
    if fault.lost and fault.status is not None:
        raise FaultMistake("lost", "a lost response has no status")
    if fault.first is not None and has_rate:
        raise FaultMistake("first", "a rate and a number of first requests can't be used together")
    if fault.status is None and fault.retry_after_s is not None:
        raise FaultMistake("retryAfterSeconds", "Retry-After needs a status")
    if fault.status == 429 and fault.retry_after_s is None:
        return replace(fault, retry_after_s=_DEFAULT_RETRY_AFTER_S)
    return fault


def _whole(data: Any, name: str, label: str, least: int, most: int) -> int | None:
    number = _integer(data, name)
    if number is not None and not least <= number <= most:
        raise FaultMistake(name, f"{label} is {_shown(number)}; it must be from {least} to {most}")
    return number


def _integer(data: Any, name: str) -> int | None:
    """Return a field of any size, which the caller compares with its limits; raises Malformed."""
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else optional(data, name, int)


def _shown(number: int) -> str:
    return str(number) if abs(number) < 10**20 else f"{number:.0e}" if abs(number) < 10**300 else "a very large number"


def _rate(data: Any) -> float:
    value = data.get("ratePercent")
    if value is None:
        return 100.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FaultMistake("ratePercent", "the rate is not a number of percent")
    if not 0 < value <= 100:
        raise FaultMistake("ratePercent", f"the rate is {value:g}%, not above 0% and at most 100%")
    return float(value)
