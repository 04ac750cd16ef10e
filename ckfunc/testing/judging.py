"""Verdicts on test cases, with all expectations that were not met."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from ckfunc.base.documents import matches
from ckfunc.base.text import counted, did_you_mean, with_hint
from ckfunc.model.application import ApiCall, Status
from ckfunc.sandbox.acts import SaidMessage, SentNotification
from ckfunc.testing.case import (
    Case,
    CaseOutcome,
    CaseResult,
    CaseRun,
    Expectation,
    ExpectedCall,
    ExpectedMessage,
    ExpectedNotification,
    ExpectedRun,
    ExpectedText,
    ExpectedValue,
    Miss,
    StepExpectation,
    StepRun,
)

Expected = TypeVar("Expected")
Actual = TypeVar("Actual")
_MOST_LISTED = 20
_EARLIER = " in this order, only earlier"


def judge(case: Case, observed: CaseRun) -> CaseResult:
    """Return the result of a case after a run. Of a conversation, only the last step can have failed."""
    if not case.steps:
        misses = tuple(run_misses(case.expect, observed))
    else:
        misses = tuple(step_misses(observed.steps[-1])) if observed.steps else ()
    misses = misses or tuple(_unmet_misses(observed))
    return CaseResult(case, CaseOutcome.FAILED if misses else CaseOutcome.PASSED, misses, observed)


def _unmet_misses(observed: CaseRun) -> Iterator[Miss]:
    """Yield the faults that no call has met, because the case then does not test what it names."""
    for fault in observed.unmet:
        affected = f"{fault.requests} of {fault.operation or 'all operations'}"
        yield Miss("faults", f"the fault affected no call: {fault.effect}, {affected}")


def step_misses(step: StepRun) -> Iterator[Miss]:
    """Yield all expectations that the consequences of a step do not meet."""
    expect = step.step.expect
    yield from _refusal_misses(expect.refusal, step.caused.refusal)
    yield from _function_misses(expect, step)
    if expect.messages is not None:
        yield from _list_misses(
            "message",
            expect.messages,
            step.caused.messages,
            _is_message,
            _messages_shown(expect.messages),
            others=expect.other_messages,
        )
    if expect.notifications is not None:
        yield from _list_misses(
            "notification",
            expect.notifications,
            step.caused.notifications,
            _is_notification,
            shown_notification,
            others=expect.other_notifications,
        )
    for name, online in expect.online.items():
        yield from _presence_misses(name, step, online=online)
    if expect.typing is not None and set(expect.typing) != set(step.caused.typing):
        expected, actual = ("\n".join(sorted(names)) or "nobody" for names in (expect.typing, step.caused.typing))
        yield Miss("typing", "the users who are typing are not the expected ones", expected, actual)


def _refusal_misses(expected: ExpectedText | None, refusal: str | None) -> Iterator[Miss]:
    if expected is None:
        if refusal is not None:
            yield Miss("step", f"the step was refused: {refusal}")
    elif refusal is None:
        message = expected.part or expected.pattern
        yield Miss("step", "expected the step to be refused, but it succeeded", message, "not refused")
    else:
        yield from error_misses(expected, refusal)


def _function_misses(expect: StepExpectation, step: StepRun) -> Iterator[Miss]:
    """Yield what functions did otherwise. A function that fails must be expected to, or be the reason of a refusal."""
    expected_runs = expect.functions or ()
    expected: set[int] = set()
    for run, start, index in _in_order(expected_runs, step.runs, _is_run):
        if index is None:
            yield from _missing_run(run, step.runs, start, expected_runs)
            return
        expected.add(index)
    for index, (trigger_type, run_result) in enumerate(step.runs):
        if index not in expected and run_result.status is Status.FAILED and run_result.error != step.caused.refusal:
            yield Miss("status", f"{trigger_type} failed: {shown_error(run_result)}")
    extra = [run for index, run in enumerate(step.runs) if index not in expected]
    if extra and (expect.functions == () or not expect.other_functions):
        message = (
            f"expected no functions to run, but {len(extra)} did" if not expected_runs else _more(len(extra), "run")
        )
        yield Miss("functions", message, _listed_runs(expected_runs), _listed_runs(step.runs))


def _is_run(expected: ExpectedRun, actual: tuple[str, CaseRun]) -> bool:
    trigger_type, run = actual
    return trigger_type == expected.type and not any(run_misses(expected.expect, run))


def _missing_run(
    expected: ExpectedRun, runs: Sequence[tuple[str, CaseRun]], start: int, every: Sequence[ExpectedRun]
) -> Iterator[Miss]:
    """Yield the misses of the first run of the type, or that there was none."""
    for trigger_type, run in runs[start:]:
        if trigger_type == expected.type:
            for miss in run_misses(expected.expect, run):
                yield Miss(miss.what, f"{expected.type}: {miss.message}", miss.expected, miss.actual)
            return
    order = _EARLIER if any(trigger_type == expected.type for trigger_type, _ in runs) else ""
    yield Miss("functions", f"{expected.type} did not run{order}", _listed_runs(every), _listed_runs(runs))


def _listed_runs(runs: Sequence[ExpectedRun | tuple[str, CaseRun]]) -> str:
    names = [run.type if isinstance(run, ExpectedRun) else run[0] for run in runs]
    return "\n".join(names) or "no functions"


def _list_misses(
    name: str,
    items: Sequence[Expected],
    actual: Sequence[Actual],
    same: Callable[[Expected, Actual], bool],
    shown: Callable[[Expected | Actual], str],
    *,
    others: bool,
) -> Iterator[Miss]:
    """Compare two lists in order. Expected items that were found are shown as they are, so that only others differ."""
    matches = [index for _, _, index in _in_order(items, actual, same)]
    missing = [item for item, index in zip(items, matches, strict=True) if index is None]
    extra = len(actual) - sum(index is not None for index in matches)
    if not missing and not (extra and (not items or not others)):
        return
    if not items:
        message = f"expected no {name}s, but there {'was' if extra == 1 else 'were'} {extra}"
    elif missing:
        message = f"the expected {name} is missing" if len(missing) == 1 else f"{len(missing)} {name}s are missing"
    else:
        message = _more(extra, name)
    expected = [shown(item if index is None else actual[index]) for item, index in zip(items, matches, strict=True)]
    none = f"no {name}s"
    yield Miss(f"{name}s", message, "\n".join(expected) or none, "\n".join(map(shown, actual)) or none)


def _more(count: int, noun: str) -> str:
    return f"{counted(count, f'more {noun}')} than expected"


def _presence_misses(name: str, step: StepRun, *, online: bool) -> Iterator[Miss]:
    actual = step.caused.online.get(name)
    if actual is None:
        yield Miss("presence", with_hint(f"there is no user {name!r}", did_you_mean(name, step.caused.online)))
    elif actual is not online:
        expected, state = ("online", "offline") if online else ("offline", "online")
        yield Miss("presence", f"{name} is {state}, not {expected}", f"{name}: {expected}", f"{name}: {state}")


def _is_message(expected: ExpectedMessage, actual: SaidMessage) -> bool:
    return (
        expected.user in (None, actual.user)
        and expected.system in (None, actual.user is None)
        and expected.channel in (None, actual.channel)
        and _is_text(expected.body, actual.body or "")
        and expected.file in (None, actual.file)
        and (expected.properties is None or matches(expected.properties.value, actual.properties, subset=True))
        and expected.changed in (None, actual.changed)
        and expected.deleted is actual.deleted
    )


def _is_notification(expected: ExpectedNotification, actual: SentNotification) -> bool:
    return (
        expected.user in (None, actual.user)
        and expected.channel in (None, actual.channel)
        and _is_text(expected.title, actual.title)
        and _is_text(expected.body, actual.body)
    )


def _is_text(expected: ExpectedText, actual: str) -> bool:
    return (
        expected.exact in (None, actual)
        and (expected.part is None or expected.part in actual)
        and (expected.pattern is None or re.search(expected.pattern, actual) is not None)
    )


def _messages_shown(expected: Sequence[ExpectedMessage]) -> Callable[[ExpectedMessage | SaidMessage], str]:
    """Return a function that shows messages with the fields that are compared."""
    channel = any(message.channel for message in expected)
    properties = any(message.properties for message in expected)

    def shown(message: ExpectedMessage | SaidMessage) -> str:
        if isinstance(message, SaidMessage):
            return shown_message(message, channel=channel, properties=properties)
        sender = message.user or ("system" if message.system else "anyone")
        text = _shown_text(message.body) if message.file is None else _shown_file(message.file)
        data = f" {_json(message.properties.value)}" if message.properties else ""
        return _message_line(sender, message.channel, f"{text}{data}", message)

    return shown


def shown_message(message: SaidMessage, *, channel: bool = True, properties: bool = False) -> str:
    """Return a message as text."""
    text = message.body if message.body is not None else _shown_file(message.file)
    data = f" {_json(message.properties)}" if properties and message.properties else ""
    return _message_line(message.user or "system", message.channel if channel else None, f"{text}{data}", message)


def _message_line(sender: str, channel: str | None, text: str, message: ExpectedMessage | SaidMessage) -> str:
    change = " (deleted)" if message.deleted else " (changed)" if message.changed else ""
    return f"{sender}{f' in {channel}' if channel else ''}: {text}{change}"


def _shown_file(name: str | None) -> str:
    return f"[file {name}]"


def shown_notification(notification: ExpectedNotification | SentNotification) -> str:
    """Return a notification as text."""
    if isinstance(notification, SentNotification):
        return f"{notification.user}: {notification.title}: {notification.body}"
    texts = (notification.title, notification.body)
    return ": ".join([notification.user or "anyone", *(_shown_text(text) for text in texts)])


def _shown_text(text: ExpectedText) -> str:
    if text.exact is not None:
        return text.exact
    if text.part is not None:
        return f"… {text.part} …"
    return "any text" if text.pattern is None else f"/{text.pattern}/"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


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
    message = expect.error or expect.error_matches
    return "expected failure, but it succeeded" + (f" (expected error: {message})" if message else "")


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


def _result_misses(expected: ExpectedValue, observed: CaseRun) -> Iterator[Miss]:
    if not matches(expected.value, observed.payload, subset=expected.subset):
        pair = shown_pair(expected.value, observed.payload, subset=expected.subset)
        yield Miss(
            "result",
            "the result does not contain the expected values" if expected.subset else "the result differs",
            *pair,
        )


def _console_misses(expected: Sequence[str], observed: CaseRun) -> Iterator[Miss]:
    lines = [line.text for line in observed.console]
    for text, start, index in _in_order(expected, lines, lambda text, line: text in line):
        if index is None:
            order = _EARLIER if any(text in line for line in lines[:start]) else ""
            yield Miss("console", f"it did not print {text!r}{order}")


def _call_misses(expected: Sequence[ExpectedCall], calls: Sequence[ApiCall], *, others: bool) -> Iterator[Miss]:
    if not expected and calls:
        yield Miss("calls", f"expected no calls, but it made {len(calls)}", "", _listed(calls))
        return
    used: set[int] = set()
    for call, start, index in _in_order(expected, calls, _matches):
        if index is None:
            yield _missing_call(call, calls, start)
        else:
            used.add(index)
    extra = [call for index, call in enumerate(calls) if index not in used]
    if not others and extra and len(used) == len(expected):
        yield Miss("calls", f"it made {_more(len(extra), 'call')}", "", _listed(extra))


def _in_order(
    expected: Iterable[Expected], actual: Sequence[Actual], same: Callable[[Expected, Actual], bool]
) -> Iterator[tuple[Expected, int, int | None]]:
    """Yield each expected item, where the search for it starts, and the index of the actual item, or None."""
    start = 0
    for item in expected:
        index = next((index for index in range(start, len(actual)) if same(item, actual[index])), None)
        yield item, start, index
        start = start if index is None else index + 1


def _missing_call(call: ExpectedCall, calls: Sequence[ApiCall], start: int) -> Miss:
    """Return the miss for a call that was not made from `start` on, with the most similar actual call."""
    nearest = next((actual for actual in calls[start:] if _has_address(call, actual)), None)
    if nearest is not None:
        if call.status is not None and nearest.status != call.status:
            return Miss("calls", f"{call} had status {nearest.status}, not {call.status}")
        if call.body is not None:
            pair = shown_pair(call.body.value, nearest.body, subset=True)
            return Miss("calls", f"{call} was made with a different body", *pair)
    order = _EARLIER if any(_matches(call, actual) for actual in calls[:start]) else ""
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


def same_path(expected: str, path: str) -> bool:
    """Return whether a path matches. `*` matches a single segment; without a query, any query matches."""
    want, have = urlsplit(expected), urlsplit(path)
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
        common = {
            name: _aligned(value, actual[name], subset=subset) for name, value in expected.items() if name in actual
        }
        return common if subset else common | {name: value for name, value in actual.items() if name not in common}
    if isinstance(expected, list) and isinstance(actual, list):
        pairs = zip(expected, actual, strict=False)
        return [_aligned(item, other, subset=subset) for item, other in pairs] + actual[len(expected) :]
    return actual


def _shown(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
