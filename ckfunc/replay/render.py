"""Text of a replay: first differences, other places, notes and counts."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any

from ckfunc.base.diffs import diff_style
from ckfunc.base.text import Line, Segment, printable
from ckfunc.model.function import Status
from ckfunc.replay.changes import ABSENT, ORDER, Difference
from ckfunc.replay.report import Compared, Hide, Redaction, Replay, place, places, summary
from ckfunc.replay.verdict import ReplayVerdict

MOST_SHOWN = 3
"""How many invocations are shown with their differences."""
_MOST_CHANGES = 12
_MOST_LINES = 24
_MOST_PLACES = 8
_WIDEST = 100


def replay_lines(replay: Replay, redaction: Redaction) -> Iterator[Line]:
    """Yield the lines of a replay with masked secrets, and the counts last."""
    different = replay.different
    for compared in different[:MOST_SHOWN]:
        yield from _compared_lines(compared, redaction.of(compared.row.args))
        yield ()
    if len(different) > MOST_SHOWN:
        yield from _other_lines(different[MOST_SHOWN:], redaction.of({}))
        yield ()
    yield from _note_lines(replay, redaction)
    style = "failure" if different else "success" if replay.compared else "muted"
    yield (Segment(summary(replay), style),)


def _compared_lines(compared: Compared, hide: Hide) -> Iterator[Line]:
    when = f"{compared.row.created_time:%Y-%m-%d %H:%M:%S}"
    yield Segment(f"#{compared.row.id}", "title"), Segment(f"  {when}  v{compared.row.version_number}", "muted")
    for change in compared.changes[:_MOST_CHANGES]:
        for line in _change_lines(change, compared, hide):
            yield Segment("  "), *line
    if len(compared.changes) > _MOST_CHANGES:
        yield (Segment(f"  and {len(compared.changes) - _MOST_CHANGES} more", "muted"),)


def _change_lines(change: Difference, compared: Compared, hide: Hide) -> Iterator[Line]:
    if change.path[0] == "calls":
        if change.path[-1] == ORDER:
            yield Segment("~ ", "update"), Segment("the order of the API calls differs")
            return
        if len(change.path) == 2:
            yield from _call_lines(change, hide)
            return
    where = _shown_place(change, compared, hide)
    before, after = hide(change.before), hide(change.after)
    if before is ABSENT or after is ABSENT:
        sign, style, value = ("+", "create", after) if before is ABSENT else ("-", "remove", before)
        yield from _value_lines(f"{sign} {where}: ", style, value)
        return
    short = [_compact(value) for value in (before, after)]
    if sum(map(len, short)) <= _WIDEST:
        yield (
            Segment("~ ", "update"),
            Segment(f"{where}: "),
            Segment(short[0], "remove"),
            Segment(" → "),
            Segment(short[1], "create"),
        )
        return
    yield Segment("~ ", "update"), Segment(where)
    for line in _diff(_text(before), _text(after)):
        yield Segment("    "), line


def _call_lines(change: Difference, hide: Hide) -> Iterator[Line]:
    added = change.before is ABSENT
    call = change.after if added else change.before
    sign, style = ("+", "create") if added else ("-", "remove")
    query = "&".join(f"{name}={value}" for name, value in call["query"])
    path = f"{call['path']}?{query}" if query else call["path"]
    lead = printable(hide(f"{sign} {call['method']} {path}"))
    if call["body"] is None:
        yield (Segment(lead, style),)
    else:
        yield from _value_lines(f"{lead} ", style, hide(call["body"]))


def _shown_place(change: Difference, compared: Compared, hide: Hide) -> str:
    path = change.path
    if path[0] == "calls" and isinstance(path[1], int):
        call = compared.deployed.calls[path[1]]
        return printable(hide(f"{call.method} {call.path}: {place(path[2:])}"))
    return printable(hide(place(path)))


def _value_lines(lead: str, style: str, value: Any) -> Iterator[Line]:
    first, *rest = [_compact(value)] if len(_compact(value)) <= _WIDEST else _text(value).split("\n")
    yield (Segment(f"{lead}{first}", style),)
    for line in rest[:_MOST_LINES]:
        yield (Segment(f"    {line}", style),)
    if len(rest) > _MOST_LINES:
        yield (Segment(f"    and {len(rest) - _MOST_LINES} more lines", "muted"),)


def _diff(before: str, after: str) -> Iterator[Segment]:
    lines = list(difflib.unified_diff(before.split("\n"), after.split("\n"), n=2, lineterm=""))[2:]
    for line in lines[:_MOST_LINES]:
        yield Segment(line, diff_style(line))
    if len(lines) > _MOST_LINES:
        yield Segment(f"and {len(lines) - _MOST_LINES} more lines", "muted")


def _other_lines(others: tuple[Compared, ...], hide: Hide) -> Iterator[Line]:
    counts = places(others)
    yield (Segment(f"{len(others)} more invocations differ, at:", "title"),)
    for where, count in counts[:_MOST_PLACES]:
        yield Segment(f"  {count:>5} ", "muted"), Segment(printable(hide(where)))
    if len(counts) > _MOST_PLACES:
        yield (Segment(f"  and {len(counts) - _MOST_PLACES} other places", "muted"),)


def _note_lines(replay: Replay, redaction: Redaction) -> Iterator[Line]:
    if replay.count(ReplayVerdict.NOISY) or replay.different:
        hide = redaction.of({})
        noisy = [printable(hide(place(pattern))) for pattern in replay.noise[:_MOST_PLACES]]
        if noisy:
            more = f" and {len(replay.noise) - _MOST_PLACES} more" if len(replay.noise) > _MOST_PLACES else ""
            yield Segment("noise: ", "muted"), Segment(", ".join(noisy) + more, "muted")
    for host, count in replay.blocked[:_MOST_PLACES]:
        runs = "1 invocation" if count == 1 else f"{count} invocations"
        yield (
            Segment("note: ", "warning"),
            Segment(f"{runs} tried to reach {printable(host)}: allow it with --network"),
        )
    failing = replay.failing_here
    if failing:
        compared = failing[0]
        message = _message(compared.deployed.result)
        yield (
            Segment("note: ", "warning"),
            Segment(
                f"{len(failing)} recorded as successful also fail here with the deployed version, "
                f"such as #{compared.row.id}: "
            ),
            Segment(_cut(printable(redaction.of(compared.row.args)(message)))),
        )
    ended = sum(1 for compared in replay.compared if compared.row.status is not Status.RUNNING)
    if ended:
        yield (Segment(f"{replay.as_recorded} of {ended} had the recorded result", "muted"),)


def _message(result: Any) -> str:
    error = result.get("error")
    return str(error.get("message", "")) if isinstance(error, dict) else ""


def _compact(value: Any) -> str:
    return printable(json.dumps(value, ensure_ascii=False))


def _text(value: Any) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"
