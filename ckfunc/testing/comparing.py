"""Comparison of a run with its expected outcome."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from ckfunc.base.documents import matches
from ckfunc.model.function import ApiCall, Status
from ckfunc.testing.case import CaseRun, Expectation, ExpectedCall, ExpectedText, ExpectedValue, Miss

Item = TypeVar("Item")

_MOST_LISTED = 20


def run_misses(expect: Expectation, observed: CaseRun) -> Iterator[Miss]:
    """Yield all expectations that a run does not meet."""
    if observed.status is not expect.status:
        yield Miss("status", _status_sentence(expect, observed))
    elif observed.status is Status.FAILED:
        yield from error_misses(ExpectedText(None, expect.error, expect.error_matches), observed.error or "")
    elif expect.result is not None:
        yield from _result_misses(expect.result, observed)
    yield from _console_misses(expect.console, observed)
    if expect.calls is not None:
        yield from _call_misses(expect.calls, observed.calls, others=expect.other_calls)


def _status_sentence(expect: Expectation, observed: CaseRun) -> str:
    if observed.status is Status.FAILED:
        return f"expected success, but it failed: {shown_error(observed)}"
    wanted = expect.error or expect.error_matches
    return "expected failure, but it succeeded" + (f" (expected error: {wanted})" if wanted else "")


def shown_error(observed: CaseRun) -> str:
    """Return the error of a failed run, with its name."""
    named = f"{observed.error_name}: " if observed.error_name not in ("", "Error") else ""
    return f"{named}{observed.error}"


def error_misses(expected: ExpectedText, message: str) -> Iterator[Miss]:
    """Yield the expectations that an error message does not meet."""
    if expected.part is not None and expected.part not in message:
        yield Miss("error", "the error message does not contain the expected text", expected.part, message)
    if expected.pattern is not None and not re.search(expected.pattern, message):
        yield Miss("error", "the error message does not match the regular expression", expected.pattern, message)


def _result_misses(wanted: ExpectedValue, observed: CaseRun) -> Iterator[Miss]:
    if not matches(wanted.value, observed.payload, subset=wanted.subset):
        pair = shown_pair(wanted.value, observed.payload, subset=wanted.subset)
        yield Miss(
            "result",
            "the result does not contain the expected values" if wanted.subset else "the result differs",
            *pair,
        )


def _console_misses(wanted: Sequence[str], observed: CaseRun) -> Iterator[Miss]:
    lines = [line.text for line in observed.console]
    at = 0
    for text in wanted:
        found = next_index(lines, at, partial(_is_part, text))
        if found is None:
            order = "" if not any(text in line for line in lines[:at]) else " in this order, only earlier"
            yield Miss("console", f"it did not print {text!r}{order}")
        else:
            at = found + 1


def _is_part(text: str, line: str) -> bool:
    return text in line


def _call_misses(wanted: Sequence[ExpectedCall], calls: Sequence[ApiCall], *, others: bool) -> Iterator[Miss]:
    if not wanted and calls:
        yield Miss("calls", f"expected no calls, but it made {len(calls)}", "", _listed(calls))
        return
    used: set[int] = set()
    at = 0
    for call in wanted:
        found = next_index(calls, at, partial(_matches, call))
        if found is None:
            yield _missing_call(call, calls, at, used)
        else:
            used.add(found)
            at = found + 1
    extra = [call for index, call in enumerate(calls) if index not in used]
    if not others and extra and len(used) == len(wanted):
        yield Miss("calls", f"it made {len(extra)} more call{'s' * (len(extra) > 1)} than expected", "", _listed(extra))


def next_index(items: Sequence[Item], start: int, fits: Callable[[Item], bool]) -> int | None:
    """Return the index of the first item from `start` on that fits, or None."""
    return next((index for index in range(start, len(items)) if fits(items[index])), None)


def _missing_call(call: ExpectedCall, calls: Sequence[ApiCall], at: int, used: set[int]) -> Miss:
    """Return the miss for a call that was not made, with the most similar actual call."""
    similar = [
        actual for index, actual in enumerate(calls) if index >= at and index not in used and _has_address(call, actual)
    ]
    if similar:
        nearest = similar[0]
        if call.status is not None and nearest.status != call.status:
            return Miss("calls", f"{call} had status {nearest.status}, not {call.status}")
        if call.body is not None:
            pair = shown_pair(call.body.value, nearest.body, subset=True)
            return Miss("calls", f"{call} was made with a different body", *pair)
    early = any(_matches(call, actual) for actual in calls[:at])
    order = " in this order, only earlier" if early else ""
    return Miss("calls", f"it did not call {call}{order}", str(call), _listed(calls) if calls else "no calls")


def _matches(call: ExpectedCall, actual: ApiCall) -> bool:
    return (
        _has_address(call, actual)
        and (call.status is None or call.status == actual.status)
        and (call.body is None or matches(call.body.value, actual.body, subset=call.body.subset))
    )


def _has_address(call: ExpectedCall, actual: ApiCall) -> bool:
    if call.method is not None and call.method != actual.method:
        return False
    return call.path is None or same_path(call.path, actual.path)


def same_path(wanted: str, path: str) -> bool:
    """Return whether a path matches. `*` matches a single segment; without a query, any query matches."""
    want, have = urlsplit(wanted), urlsplit(path)
    if want.query and sorted(parse_qsl(want.query, True)) != sorted(parse_qsl(have.query, True)):
        return False
    pairs = [url.path.rstrip("/").split("/") for url in (want, have)]
    if len(pairs[0]) != len(pairs[1]):
        return False
    return all(segment == "*" or unquote(segment) == unquote(other) for segment, other in zip(*pairs, strict=True))


def _listed(calls: Sequence[ApiCall]) -> str:
    lines = [f"{call.method} {call.path} -> {call.status or 'no response'}" for call in calls[:_MOST_LISTED]]
    more = len(calls) - len(lines)
    return "\n".join([*lines, f"and {more} more"] if more else lines)


def shown_pair(expected: Any, actual: Any, *, subset: bool) -> tuple[str, str]:
    """Return both values as indented JSON, to be compared line by line. With `subset`, only expected keys are shown.

    Keys are in the order of `expected`, followed by all others.
    """
    return _shown(expected), _shown(_aligned(expected, actual, subset=subset))


def _aligned(expected: Any, actual: Any, *, subset: bool) -> Any:
    if isinstance(expected, dict) and isinstance(actual, dict):
        found = {
            name: _aligned(value, actual[name], subset=subset) for name, value in expected.items() if name in actual
        }
        return found if subset else found | {name: value for name, value in actual.items() if name not in found}
    if isinstance(expected, list) and isinstance(actual, list):
        pairs = zip(expected, actual, strict=False)
        return [_aligned(item, other, subset=subset) for item, other in pairs] + actual[len(expected) :]
    return actual


def _shown(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
