"""Log entries as text: styled segments for people, JSON lines for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any

from ckfunc.base.clock import elapsed_text, timestamp
from ckfunc.base.text import (
    USUAL_COLUMNS,
    Line,
    beneath_message,
    cells,
    counted,
    cut,
    is_frame,
    newlines,
    one_line,
    plain,
    printable,
)
from ckfunc.logs.entries import Gap, Item, LogEntry, Recovered, Trouble
from ckfunc.model.application import ConsoleLine, Invocation, InvocationDetail, Status
from ckfunc.wire.applications import write_call

if TYPE_CHECKING:
    from ckfunc.model.outputs import InvocationJson

_INDENT = "  "
_FRAME_INDENT = "    "
_STATUS_STYLES = {Status.RUNNING: "warning", Status.SUCCEEDED: "success", Status.FAILED: "failure"}
_CONSOLE_STYLES = {"error": "failure", "warn": "warning", "debug": "muted", "trace": "muted"}
# Further lines of console output or of a stack are only counted; --json has all of them.
_MOST_LINES = 200
_CLIENT_ERROR = 400


def lines(
    item: Item, *, width: int | None = 80, zone: tzinfo | None = UTC, dated: bool = False, calls: bool = False
) -> list[Line]:
    """Return an item as lines of segments, without control characters.

    Arguments and results are cut off at `width` columns (None: never); messages, console output and stacks are never
    cut off. Times are in `zone` (None: the local one), with the date if `dated`. `calls` adds the API calls of a run,
    where they are known.
    """
    if isinstance(item, LogEntry):
        api_calls = call_lines(item.detail, width) if calls and item.detail is not None else ()
        return [_head(item, width, zone, dated), *_body(item, width), *api_calls]
    return [notice(item)]


def notice(item: Trouble | Recovered | Gap) -> Line:
    """Return a notice about the connection as a line."""
    if isinstance(item, Trouble):
        return [("trouble: ", "warning"), (f"{one_line(item.reason)}; next attempt in {item.next_try_s:g} s", "plain")]
    if isinstance(item, Recovered):
        return [("recovered: ", "success"), (f"following again after {item.tries} failed attempts", "plain")]
    about = f"{one_line(item.type)}: " if item.type else ""
    return [("gap: ", "warning"), (f"{about}{one_line(item.reason)}", "plain")]


def record(entry: LogEntry) -> InvocationJson:
    """Return an invocation for `--json`: id, type, version, status, createdTime, args, result.

    From an emulator, it also has console, calls and durationMs.
    """
    row = entry.invocation
    document: InvocationJson = {
        "id": row.id,
        "type": entry.type,
        "version": row.version_number,
        "status": row.status.value,
        "createdTime": timestamp(row.created_time),
        "args": row.args,
        "result": row.result,
    }
    if entry.detail is not None:
        document["console"] = [{"level": line.level, "text": line.text} for line in entry.detail.console]
        document["calls"] = [write_call(call) for call in entry.detail.calls]
        if entry.detail.calls_omitted:
            document["callsOmitted"] = entry.detail.calls_omitted
        if entry.detail.duration_ms is not None:
            document["durationMs"] = entry.detail.duration_ms
    return document


def json_line(entry: LogEntry) -> str:
    """Return `record` as a line of printable ASCII, which is safe for any terminal and encoding."""
    return json.dumps(record(entry), separators=(",", ":")).replace("\x7f", "\\u007f")


# -- the first line ----------------------------------------------------------------------------------------------


def _head(entry: LogEntry, width: int | None, zone: tzinfo | None, dated: bool) -> Line:
    row = entry.invocation
    moment = row.created_time.astimezone(zone)
    clock = f"{moment:%Y-%m-%d %H:%M:%S}" if dated else f"{moment:%H:%M:%S}"
    line = [(f"{clock}.{moment.microsecond // 1000:03d} [{row.id}] ", "muted"), *outcome(entry)]
    if row.args and (text := cut(summary(row.args), _left(width, cells(plain(line)) + 2))):
        line.append((f"  {text}", "plain"))
    return line


def outcome(entry: LogEntry) -> Line:
    """Return type, version, status and duration of an invocation as a line."""
    row = entry.invocation
    line = [
        (one_line(entry.type), "title"),
        (f" v{row.version_number} ", "muted"),
        (row.status.value, _STATUS_STYLES[row.status]),
    ]
    if entry.detail is not None and entry.detail.duration_ms is not None:
        line.append((f" {elapsed_text(entry.detail.duration_ms)}", "muted"))
    return line


def summary(args: Mapping[str, Any]) -> str:
    """Return an event in one line: user, channel, message and event type, or else its JSON."""
    parts: list[str] = []
    user = args.get("user")
    for name in (args.get("username"), _name(user)):
        if isinstance(name, str) and name not in parts:
            parts.append(name)
    if channel := _name(args.get("channel")):
        parts.append(f"#{channel}")
    message = args.get("message")
    if isinstance(message, dict) and isinstance(message.get("body"), str):
        parts.append(json.dumps(message["body"], ensure_ascii=False))
    event = args.get("event")
    if isinstance(event, dict) and isinstance(event.get("type"), str):
        parts.append(event["type"])
    return one_line(" ".join(parts) or _compact(args))


def _name(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    return next((value[key] for key in ("name", "displayName", "display_name") if isinstance(value.get(key), str)), "")


# -- the lines below ---------------------------------------------------------------------------------------------


def whole(entry: LogEntry) -> list[Line]:
    """Return an invocation as complete lines, with its local time, and event and result as indented JSON."""
    row, detail = entry.invocation, entry.detail
    lines = [_head(entry, 0, None, dated=True), *_json_lines("event", row.args)]
    if detail is not None:
        lines += [line for output in detail.console for line in console_lines(output)]
    if row.status is Status.FAILED:
        lines += failure_lines(row)
    elif row.status is Status.SUCCEEDED:
        lines += _json_lines("result", row.result.get("payload"))
    return [*lines, *(call_lines(detail) if detail is not None else ())]


def run_lines(row: Invocation, detail: InvocationDetail, width: int | None) -> Iterator[Line]:
    """Yield a run that has just ended: status, result or error, and API calls, for a terminal of `width` columns."""
    failed = row.status is Status.FAILED
    took = f" {elapsed_text(detail.duration_ms)}" if detail.duration_ms is not None else ""
    yield [(row.status.value, "failure" if failed else "success"), (took, "muted")]
    if failed:
        yield from failure_lines(row)
    else:
        payload = row.result.get("payload")
        text = json.dumps(payload, ensure_ascii=False)
        if len(text) > (width or USUAL_COLUMNS) - 4:
            text = json.dumps(payload, ensure_ascii=False, indent=2)
        for number, line in enumerate(text.split("\n")):
            yield [(f"{_INDENT}→ " if number == 0 else "    ", "muted"), (printable(line), "plain")]
    yield from call_lines(detail, width)


def session_line(*, allowed: bool, reason: str | None) -> Line:
    """Return whether the handler of an attempted session allows it."""
    verdict, style = ("allowed", "success") if allowed else ("denied", "failure")
    return [("session ", "plain"), (verdict, style), (f": {printable(reason)}" if reason else "", "plain")]


def _json_lines(name: str, value: Any) -> Iterator[Line]:
    for number, text in enumerate(_split(json.dumps(value, ensure_ascii=False, indent=2))):
        yield [(f"{_INDENT}{name} " if number == 0 else _INDENT, "muted"), (text, "plain")]


def _body(entry: LogEntry, width: int | None) -> Iterator[Line]:
    row = entry.invocation
    if entry.detail is not None:
        yield from _console(entry)
    if row.status is Status.FAILED:
        yield from failure_lines(row, width)
    elif row.status is Status.SUCCEEDED and "payload" in row.result:
        payload = row.result["payload"]
        if payload is not None:
            yield [
                (f"{_INDENT}→ ", "muted"),
                (cut(one_line(_compact(payload)), _left(width, len(_INDENT) + 2)), "plain"),
            ]


def _console(entry: LogEntry) -> Iterator[Line]:
    console = entry.detail.console if entry.detail else ()
    yield from _first([line for output in console for line in console_lines(output)], "console output")


def _first(lines: Sequence[Line], name: str) -> Iterator[Line]:
    """Yield the first lines, and the number of the others."""
    yield from lines[:_MOST_LINES]
    if len(lines) > _MOST_LINES:
        more = counted(len(lines) - _MOST_LINES, "more line")
        yield [(f"{_INDENT}… {more} of {name}; --json has all of it", "muted")]


def console_lines(output: ConsoleLine) -> Iterator[Line]:
    """Return the output of a single console call as lines of segments."""
    level = one_line(output.level)
    style = _CONSOLE_STYLES.get(level, "plain")
    for number, text in enumerate(_rows(output.text)):
        yield [(f"{_INDENT}{level if number == 0 else '':<5} ", "muted"), (text, style)]


def call_lines(detail: InvocationDetail, width: int | None = None) -> Iterator[Line]:
    """Return the API calls of a run as lines of segments, each cut off at `width` columns."""
    for call in detail.calls:
        good = 0 < call.status < _CLIENT_ERROR
        status = str(call.status) if call.status else "no response"
        line = [
            (f"{_INDENT}⇢ ", "muted"),
            (f"{one_line(call.method)} {one_line(call.path)}", "plain"),
            (f" {status}", "muted" if good else "failure"),
        ]
        if call.body is not None:
            remaining = _left(width, cells(plain(line)) + 1)
            line.append((f" {cut(one_line(_compact(call.body)), remaining)}", "muted"))
        yield line
    if detail.calls_omitted:
        yield [(f"{_INDENT}… {detail.calls_omitted} more", "muted")]


def failure_lines(row: Invocation, width: int | None = None) -> Iterator[Line]:
    """Return name, message and stack of a failed run as lines. A result without them is shown as JSON."""
    error = row.result.get("error")
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        shown = error if isinstance(error, str) else _compact(row.result)
        if row.result:
            yield [(_INDENT + cut(one_line(shown), _left(width, len(_INDENT))), "failure")]
        return
    name = error.get("name")
    message = error["message"]
    if isinstance(name, str) and name and name != message:  # an error without a message has its name as message
        message = f"{name}: {message}"
    for text in _split(message):
        yield [(_INDENT + text, "failure")]
    if isinstance(stack := error.get("stack"), str) and stack:
        yield from stack_lines(stack, message)


def stack_lines(stack: str, message: str) -> Iterator[Line]:
    """Return the stack of an error as lines: frames, causes and properties, without `message`."""
    return _first(
        [_stack_line(text) for text in beneath_message("\n".join(_split(stack)), printable(message))], "the stack"
    )


def _stack_line(text: str) -> Line:
    if is_frame(text):
        deeper = max(len(text) - len(text.lstrip()) - len(_FRAME_INDENT), 0)
        return [(f"{_INDENT}{_INDENT}{' ' * deeper}{text.strip()}", "muted")]
    return [(_INDENT + text, "muted" if text.startswith(_FRAME_INDENT) else "failure")]


# -- text --------------------------------------------------------------------------------------------------------


def _left(width: int | None, used: int) -> int | None:
    return None if width is None else max(width - used, 0)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _split(text: str) -> list[str]:
    return _rows(text.rstrip("\n"))


def _rows(text: str) -> list[str]:
    """Return text as lines. A carriage return, which progress bars use, starts a new line."""
    return printable(newlines(text)).expandtabs(4).split("\n")
