"""Test results and transcripts of conversations, as text and as JSON."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from ckfunc.base.annotations import Annotation
from ckfunc.base.clock import elapsed_text, timestamp
from ckfunc.base.text import Line, beneath_message, cells, diff_style, escaped, is_frame, printable
from ckfunc.model.application import ConsoleLine, Status
from ckfunc.sandbox.acts import Act, SaidMessage, Verb
from ckfunc.testing.case import CaseOutcome, CaseResult, CaseRun, Miss, StepRun, Tally
from ckfunc.testing.judging import shown_error, shown_message, shown_notification
from ckfunc.wire.applications import write_call

if TYPE_CHECKING:
    from ckfunc.model.outputs import CaseJson, CaseRunJson, FailureJson, SentMessageJson, StepJson, TestsJson

_MARKS = {
    CaseOutcome.PASSED: ("✓", "success"),
    CaseOutcome.FAILED: ("✗", "failure"),
    CaseOutcome.BROKEN: ("✗", "failure"),
    CaseOutcome.SKIPPED: ("○", "warning"),
    CaseOutcome.LEFT_OUT: ("○", "muted"),
}
_MOST_LINES = 60
"""How many lines of a diff, a stack or console output are shown."""
_LONGEST = 500
_WIDTH = 80
_INDENT = 12
"""The column of texts: after two spaces, the time, and two more spaces."""
_LABEL = 10
_MOST_STEPS = 20
"""How many steps are shown, up to the last one."""
_COLUMN = 36
"""The width of each of the two columns that are compared."""

_ACTS = {
    Verb.INVITES: "{user} invites {text} to {channel}",
    Verb.SAYS: "{user} in {channel}: {text}",
    Verb.UPLOADS: "{user} in {channel}: [file {text}]",
    Verb.STARTS_TYPING: "{user} starts typing in {channel}",
    Verb.STOPS_TYPING: "{user} stops typing in {channel}",
    Verb.REPLIES: "{user} in {channel} replies to {about}: {text}",
    Verb.EDITS: "{user} in {channel} changes {about} to: {text}",
    Verb.DELETES: "{user} in {channel} deletes {about}",
    Verb.REACTS: "{user} in {channel} reacts to {about} with {text}",
    Verb.TRIGGERS: "{user} in {channel} triggers {text}",
    Verb.SENDS: "{user} in {channel}: {text}",
    Verb.WAITS: "{text} pass",
}
"""Acts as text, if it is not the user, the verb and the channel."""


class ResultLines:
    """The list of results: a heading for each file, and a line for each case."""

    def __init__(self) -> None:
        self._file = ""

    def next(self, result: CaseResult) -> Iterator[Line]:
        """Yield the lines of the next case."""
        if result.case.file != self._file:
            self._file = result.case.file
            yield [(self._file, "title")]
        yield result_line(result)


def result_line(result: CaseResult) -> Line:
    """Return the line of a case in the list of results."""
    mark, style = _MARKS[result.verdict]
    name = printable(result.case.name)
    if result.verdict is CaseOutcome.SKIPPED:
        reason = f": {printable(result.case.skip)}" if result.case.skip else ""
        return [("  ", "plain"), (mark, style), (f" {name} (skipped{reason})", "muted")]
    if result.verdict is CaseOutcome.LEFT_OUT:
        return [("  ", "plain"), (mark, style), (f" {name} (left out)", "muted")]
    took = f"  {elapsed_text(result.observed.duration_ms)}" if result.observed else ""
    return [("  ", "plain"), (mark, style), (f" {name}", "plain"), (took, "muted")]


def failure_lines(result: CaseResult) -> Iterator[Line]:
    """Yield the report of a failed case: expected and actual values, stack, and output."""
    case = result.case
    yield [("✗ ", "failure"), (f"{case.file}:{case.line}", "place"), (f" › {printable(case.name)}", "title")]
    if case.steps and result.observed is not None:
        yield from conversation_lines(result)
        return
    for miss in result.misses:
        yield [("  ", "plain"), (printable(miss.message.replace("\n", " ")), "failure")]
        yield from _compared(miss)
    if result.observed is not None:
        yield from _stack(result.observed, result.misses)
        yield from _console(result.observed.console)


def summary_line(counted: Tally, seconds: float) -> Line:
    """Return the summary, which is the last line."""
    parts: list[tuple[str, str]] = []
    for part in counted.parts:
        parts += [(", " if parts else "", "plain"), part]
    return [*(parts or [("no cases", "muted")]), (f" in {elapsed_text(seconds * 1000)}", "muted")]


def json_of(results: Sequence[CaseResult], counted: Tally, seconds: float) -> TestsJson:
    """Return the results as JSON."""
    return {
        "ok": not counted.failed,
        "passed": counted.passed,
        "failed": counted.failed,
        "skipped": counted.skipped,
        "leftOut": counted.left_out,
        "durationMs": round(seconds * 1000, 1),
        "cases": [_case_json(result) for result in results],
    }


def _case_json(result: CaseResult) -> CaseJson:
    case, observed = result.case, result.observed
    document: CaseJson = {
        "file": case.file,
        "line": case.line,
        "name": case.name,
        "type": case.type,
        "verdict": result.verdict.value,
    }
    if case.skip:
        document["reason"] = case.skip
    if result.misses:
        document["failures"] = [_miss_json(miss) for miss in result.misses]
    if observed is not None and case.steps:
        document["durationMs"] = round(observed.duration_ms, 2)
        document["steps"] = [step_json(step) for step in observed.steps]
    elif observed is not None:
        return {**document, **run_json(observed)}
    return document


def _miss_json(miss: Miss) -> FailureJson:
    document: FailureJson = {"what": miss.what, "message": miss.message}
    if miss.expected is not None:
        document["expected"] = miss.expected
    if miss.actual is not None:
        document["actual"] = miss.actual
    return document


def annotations_of(results: Iterable[CaseResult]) -> Iterator[Annotation]:
    """Yield an annotation for each failed case, at the line where the case, or the step of its conversation, begins."""
    for result in results:
        if result.bad:
            reasons = "; ".join(miss.message for miss in result.misses)
            steps = result.observed.steps if result.observed is not None else ()
            line = steps[-1].step.line if steps else result.case.line
            yield Annotation(result.case.file, line, 1, "test", f"{result.case.name}: {reasons}")


def _compared(miss: Miss) -> Iterator[Line]:
    if miss.expected is None or miss.actual is None:
        return
    expected, actual = ([_cut(line) for line in escaped(text).splitlines()] for text in (miss.expected, miss.actual))
    lines = list(difflib.unified_diff(expected, actual, lineterm="", n=3))[3:]
    yield [("    ", "plain"), ("- expected", "remove"), ("  ", "plain"), ("+ actual", "create")]
    yield from _first(
        [[("…", "muted") if line.startswith("@@") else (f"{line[:1]} {line[1:]}", diff_style(line))] for line in lines]
    )


def _first(lines: Sequence[Line]) -> Iterator[Line]:
    """Yield the first lines, indented, and the number of the others."""
    for line in lines[:_MOST_LINES]:
        yield [("    ", "plain"), *line]
    if len(lines) > _MOST_LINES:
        yield [("    ", "plain"), (f"and {len(lines) - _MOST_LINES} more lines", "muted")]


def _stack(observed: CaseRun, misses: Iterable[Miss]) -> Iterator[Line]:
    """Yield the stack of an error, unless it was expected."""
    if observed.error is None or not any(miss.what in ("status", "error") for miss in misses):
        return
    yield from _first([[(text.removeprefix("    "), style)] for text, style in _stack_texts(observed)])


def _stack_texts(run: CaseRun) -> list[tuple[str, str]]:
    """Return the lines of the stack beneath an error's message, with their styles."""
    texts = beneath_message(printable(run.stack), printable(f"{run.error_name}: {run.error}"))
    return [(text, "muted" if is_frame(text) else "failure") for text in texts]


def _console(console: Sequence[ConsoleLine]) -> Iterator[Line]:
    if not console:
        return
    yield [("  ", "plain"), ("console:", "muted")]
    styles = {"error": "failure", "warn": "warning"}
    yield from _first(
        [
            [(f"{output.level:<5} ", "muted"), (_cut(text), styles.get(output.level, "plain"))]
            for output in console
            for text in printable(output.text).splitlines() or [""]
        ]
    )


def _cut(line: str) -> str:
    shown = _LONGEST - 30
    return line if len(line) <= _LONGEST else f"{line[:shown]} … {len(line) - shown} more characters"


def conversation_lines(result: CaseResult) -> Iterator[Line]:
    """Yield what happened in a conversation, up to the step that failed, and the expectations that it did not meet."""
    steps = result.observed.steps if result.observed is not None else ()
    left_out = max(len(steps) - _MOST_STEPS, 0)
    if left_out:
        yield [("  ", "plain"), (f"… {left_out} earlier steps", "muted")]
    for index, step in enumerate(steps[left_out:], left_out):
        yield from _step_lines(step, last=index == len(steps) - 1)
    position = f"step {len(steps)}, line {steps[-1].step.line}: " if steps else ""
    for miss in result.misses:
        message = printable(miss.message.replace("\n", " "))
        yield from _labelled("  ✗ ", "failure", f"{position}{message}", "failure")
        if miss.expected is not None and miss.actual is not None:
            yield from side_by_side(miss)


def _step_lines(step: StepRun, *, last: bool) -> Iterator[Line]:
    caused, act = step.caused, described(step.step.act)
    yield from _labelled(f"  {caused.time:%H:%M:%S}  ", "muted", act, "title" if last else "plain")
    for trigger_type, run in step.runs:
        if run.status is Status.FAILED:
            yield from _effect("failed", f"{trigger_type}: {shown_error(run)}", "failure")
        else:
            yield from _effect("ran", trigger_type, "plain")
        for call in run.calls:
            yield from _effect("", f"{call.method} {call.path} -> {call.status or 'no response'}", "muted")
        if last:
            yield from _details(run)
    for message in caused.messages:
        label = "deleted" if message.deleted else "changed" if message.changed else "message"
        yield from _effect(label, _without_change(message), "plain")
    for notification in caused.notifications:
        yield from _effect("notified", shown_notification(notification), "muted")
    if caused.refusal is not None:
        yield from _effect("refused", caused.refusal, "warning")


def _without_change(message: SaidMessage) -> str:
    return shown_message(message).removesuffix(" (deleted)").removesuffix(" (changed)")


def _details(run: CaseRun) -> Iterator[Line]:
    """Yield what a run printed, and the stack of its error."""
    printed = [f"{line.level}: {text}" for line in run.console for text in line.text.splitlines() or [""]]
    for text in printed[:_MOST_LINES]:
        yield from _effect("", text, "muted")
    if run.error is not None:
        for text, style in _stack_texts(run)[:_MOST_LINES]:
            yield from _effect("", text.strip(), style)


def _effect(label: str, text: str, style: str) -> Iterator[Line]:
    return _labelled(f"{' ' * _INDENT}{label:<{_LABEL}}", "muted", text, style)


def _labelled(label: str, label_style: str, text: str, style: str) -> Iterator[Line]:
    """Yield a text after a label, wrapped into the width of a terminal."""
    width = cells(label)
    for number, part in enumerate(wrapped(text, _WIDTH - width)):
        yield [(label if number == 0 else " " * width, label_style), (part, style)]


def described(act: Act) -> str:
    """Return an act as text. The authParams of a connection are not shown, because they can be secret."""
    about = "a message" if act.about is None else f'"{act.about}"'
    template = _ACTS.get(act.verb, "{user} {verb} {channel}")
    if act.verb is Verb.READS and act.about is not None:
        template = "{user} in {channel} reads {about}"
    user, channel = act.user or "system", act.channel or ""
    return template.format(user=user, verb=act.verb, channel=channel, about=about, text=act.text).rstrip()


def side_by_side(miss: Miss) -> Iterator[Line]:
    """Yield expected and actual text in two columns. As in `diff -y`, `|`, `<` and `>` are next to differences."""
    expected, actual = (_lines(escaped(text)) for text in (miss.expected or "", miss.actual or ""))
    yield _row("expected", " ", "actual", "muted", "muted")
    for number, (mark, left, right) in enumerate(_pairs(expected, actual), 1):
        styles = ("plain", "plain") if mark == " " else ("remove", "create")
        columns = [wrapped(text, _COLUMN) if text else [""] for text in (left, right)]
        for left_part, right_part in zip_longest(*columns, fillvalue=""):
            yield _row(left_part, mark, right_part, *styles)
        if number == _MOST_LINES:
            yield [("    ", "plain"), ("…", "muted")]
            return


def _pairs(expected: Sequence[str], actual: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield rows: a mark, and a line of each text."""
    for operation, i1, i2, j1, j2 in difflib.SequenceMatcher(None, expected, actual, autojunk=False).get_opcodes():
        for index in range(max(i2 - i1, j2 - j1)):
            left = expected[i1 + index] if i1 + index < i2 else None
            right = actual[j1 + index] if j1 + index < j2 else None
            mark = " " if operation == "equal" else "|" if None not in (left, right) else "<" if right is None else ">"
            yield mark, left or "", right or ""


def _row(left: str, mark: str, right: str, left_style: str, right_style: str) -> Line:
    padding = " " * (_COLUMN - cells(left))
    parts = [("    ", "plain"), (left, left_style), (f"{padding} {mark} ", "muted"), (right, right_style)]
    return parts if right else [*parts[:2], (f"{padding} {mark}".rstrip(), "muted")]


def _lines(text: str) -> list[str]:
    return [_cut(line) for line in printable(text).splitlines()]


def wrapped(text: str, width: int) -> list[str]:
    """Return a text as lines of at most `width` terminal columns, broken at spaces where possible."""
    lines: list[str] = []
    for line in _lines(text) or [""]:
        rest = line
        while cells(rest) > width:
            end = _fitting(rest, width)
            space = rest.rfind(" ", 1, end + 1)
            at = space if space > 0 and rest[:space].strip() else end
            lines.append(rest[:at])
            rest = rest[at:].removeprefix(" ")
        lines.append(rest)
    return lines


def _fitting(text: str, width: int) -> int:
    """Return how many characters of a text fit into a width, at least one."""
    columns = 0
    for index, character in enumerate(text):
        columns += cells(character)
        if columns > width:
            return max(index, 1)
    return len(text)


def step_json(step: StepRun) -> StepJson:
    """Return a step and everything that it caused as JSON."""
    caused = step.caused
    document: StepJson = {
        "line": step.step.line,
        "time": timestamp(caused.time),
        "act": described(step.step.act),
        "messages": [_message_json(message) for message in caused.messages],
        "functions": [{"type": trigger_type, **run_json(run)} for trigger_type, run in step.runs],
        "notifications": [
            {
                "user": notification.user,
                "channel": notification.channel,
                "title": notification.title,
                "body": notification.body,
            }
            for notification in caused.notifications
        ],
        "online": sorted(name for name, online in caused.online.items() if online),
        "typing": list(caused.typing),
    }
    if caused.refusal is not None:
        document["refused"] = caused.refusal
    return document


def _message_json(message: SaidMessage) -> SentMessageJson:
    document: SentMessageJson = {
        "channel": message.channel,
        "user": message.user,
        "type": message.type.value,
        "properties": dict(message.properties),
    }
    if message.body is not None:
        document["body"] = message.body
    else:
        document["file"] = message.file
    if message.deleted:
        document["deleted"] = True
    elif message.changed:
        document["changed"] = True
    return document


def run_json(run: CaseRun) -> CaseRunJson:
    """Return a run of a handler as JSON."""
    document: CaseRunJson = {
        "status": run.status.value,
        "durationMs": round(run.duration_ms, 2),
        "console": [{"level": line.level, "text": line.text} for line in run.console],
        "calls": [write_call(call) for call in run.calls],
    }
    if run.error is None:
        document["result"] = run.payload
    else:
        document["error"] = {"name": run.error_name, "message": run.error, "stack": run.stack}
    return document
