"""Results of a replay: verdicts and counts, as text and JSON, secrets masked."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from ckfunc.base.clock import timestamp
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import MASK, SHORTEST, Masker, Secret
from ckfunc.base.text import Line, Segment, counted, diff_style, printable
from ckfunc.model.application import Invocation, Status
from ckfunc.replay.differences import ABSENT, ANY, INDEX, ORDER, Difference, Observed, Pattern, changes, outcome_of
from ckfunc.replay.verdict import ReplayVerdict, Runs, judge, noise_of

if TYPE_CHECKING:
    from ckfunc.model.outputs import DifferenceJson, ReplayCountsJson, ReplayedJson, ReplayJson

_PRIVATE = ("authParams", "auth_params")
Hide = Callable[[Any], Any]
MOST_SHOWN = 3
"""How many invocations are shown with their differences."""
_MOST_CHANGES = 12
_MOST_LINES = 24
_MOST_PLACES = 8
_WIDEST = 100


@frozen
class Run:
    """The first runs of both sides for a recorded invocation, and all runs as documents."""

    row: Invocation
    runs: Runs
    deployed: Observed
    working: Observed


@frozen
class Compared:
    """A recorded invocation, with the differences that are not noise.

    `as_recorded` says whether the deployed version had the recorded result, apart from noise; None if no result was
    recorded.
    """

    row: Invocation
    verdict: ReplayVerdict
    changes: tuple[Difference, ...]
    deployed: Observed
    working: Observed
    as_recorded: bool | None = None
    blocked: tuple[str, ...] = ()


@frozen
class Replay:
    """All compared invocations, in the recorded order, and the places with noise."""

    compared: tuple[Compared, ...] = ()
    noise: tuple[Pattern, ...] = field(default=())

    def count(self, verdict: ReplayVerdict) -> int:
        """Return the number of invocations with this verdict."""
        return sum(1 for compared in self.compared if compared.verdict is verdict)

    @property
    def ok(self) -> bool:
        """Whether the working copy always had the same results as the deployed version."""
        return self.count(ReplayVerdict.DIFFERENT) == 0

    @property
    def different(self) -> tuple[Compared, ...]:
        """The invocations with different results."""
        return tuple(compared for compared in self.compared if compared.verdict is ReplayVerdict.DIFFERENT)

    @property
    def as_recorded(self) -> int:
        """The number of invocations for which the deployed version had the recorded result, for information."""
        return sum(1 for compared in self.compared if compared.as_recorded)

    @property
    def failing_here(self) -> tuple[Compared, ...]:
        """The invocations that were recorded as successful, but for which the deployed version fails in the sandbox."""
        return tuple(
            compared
            for compared in self.compared
            if compared.row.status is Status.SUCCEEDED and compared.deployed.status is Status.FAILED
        )

    @property
    def blocked(self) -> list[tuple[str, int]]:
        """The servers that runs were not allowed to reach, with the number of invocations, most frequent first."""
        return Counter(host for compared in self.compared for host in compared.blocked).most_common()


def report(runs: Sequence[Run]) -> Replay:
    """Return the verdicts on all invocations, using the noise learned from all of them."""
    learned = noise_of((run.runs for run in runs), same_arguments=False)
    rows = []
    for run in runs:
        verdict, real = judge(run.runs, learned)
        blocked = tuple(sorted({*run.deployed.blocked, *run.working.blocked}))
        rows.append(Compared(run.row, verdict, real, run.deployed, run.working, _as_recorded(run), blocked))
    return Replay(tuple(rows), tuple(learned.places()))


def summary(replay: Replay) -> str:
    """Return the counts in one line."""
    if not replay.compared:
        return "nothing recorded to replay"
    counts = [
        f"{len(replay.compared)} replayed",
        f"{replay.count(ReplayVerdict.EQUAL)} equal",
        f"{replay.count(ReplayVerdict.DIFFERENT)} different",
    ]
    for verdict, words in ((ReplayVerdict.NOISY, "noisy"), (ReplayVerdict.FAILED_BOTH, "failed on both sides")):
        if replay.count(verdict):
            counts.append(f"{replay.count(verdict)} {words}")
    return ", ".join(counts)


def replay_json(replay: Replay, redaction: Redaction) -> ReplayCountsJson:
    """Return the replay as JSON with masked secrets."""
    return {
        "replayed": len(replay.compared),
        "equal": replay.count(ReplayVerdict.EQUAL),
        "different": replay.count(ReplayVerdict.DIFFERENT),
        "noisy": replay.count(ReplayVerdict.NOISY),
        "failedBoth": replay.count(ReplayVerdict.FAILED_BOTH),
        "asRecorded": replay.as_recorded,
        "ok": replay.ok,
        "noise": [redaction.of({})(place(pattern)) for pattern in replay.noise],
        "blockedHosts": [{"host": host, "invocations": count} for host, count in replay.blocked],
        "invocations": [_compared_json(compared, redaction) for compared in replay.compared],
    }


def handler_json(
    replay: Replay, redaction: Redaction, target: str, trigger_type: str, version: int, handler: str
) -> ReplayJson:
    """Return the replay of a handler with a version of its function as JSON with masked secrets."""
    counts = replay_json(replay, redaction)
    return {"target": target, "type": printable(trigger_type), "deployed": version, "handler": handler, **counts}


def places(different: Iterable[Compared]) -> list[tuple[str, int]]:
    """Return the patterns of places where invocations differ, with the number of invocations, most frequent first."""
    counts = Counter(pattern for compared in different for pattern in {change.pattern for change in compared.changes})
    return [(place(pattern), count) for pattern, count in counts.most_common()]


def place(parts: Sequence[str | int]) -> str:
    """Return a path or a pattern as text, such as result.items[0].name or calls[2].body.text."""
    text = ""
    for part in parts:
        if part == INDEX:
            text += INDEX
        elif isinstance(part, int) or part == ANY or " " in part:
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def _compared_json(compared: Compared, redaction: Redaction) -> ReplayedJson:
    shown: ReplayedJson = {
        "id": compared.row.id,
        "version": compared.row.version_number,
        "createdTime": timestamp(compared.row.created_time),
        "verdict": compared.verdict.value,
        "asRecorded": compared.as_recorded,
    }
    if compared.verdict is ReplayVerdict.DIFFERENT:
        hide = redaction.of(compared.row.args)
        shown["changes"] = [_change_json(change, compared, hide) for change in compared.changes]
    return shown


def _change_json(change: Difference, compared: Compared, hide: Any) -> DifferenceJson:
    shown: DifferenceJson = {"path": hide(place(change.path))}
    if change.path[:1] == ("calls",) and change.path[-1] != ORDER and isinstance(change.path[1], int):
        added = change.before is ABSENT and len(change.path) == 2
        calls = compared.working.calls if added else compared.deployed.calls
        shown["call"] = hide(f"{calls[change.path[1]].method} {calls[change.path[1]].path}")
    if change.before is not ABSENT:
        shown["before"] = hide(change.before)
    if change.after is not ABSENT:
        shown["after"] = hide(change.after)
    return shown


def _as_recorded(run: Run) -> bool | None:
    if run.row.status is Status.RUNNING:
        return None
    recorded = {"status": run.row.status.value, **outcome_of(run.row.status, run.row.result)}
    replayed = {name: value for name, value in run.runs.deployed[0].items() if name in ("status", "result", "error")}
    return next(changes(recorded, replayed), None) is None


class Redaction:
    """Masks secrets wherever they occur in a value."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._secrets = frozenset(secret for secret in secrets if len(secret) >= SHORTEST)

    def of(self, args: Mapping[str, Any]) -> Hide:
        """Return the function that masks values of a run with these arguments."""
        own = (Secret(text) for name in _PRIVATE for text in _texts(args.get(name)) if len(text) >= SHORTEST)
        masker = Masker((*self._secrets, *own))
        return lambda value: _hidden(value, masker)


def _hidden(value: Any, masker: Masker) -> Any:
    if isinstance(value, str):
        return masker(value)
    if isinstance(value, Mapping):
        return {masker(name): MASK if name in _PRIVATE else _hidden(inside, masker) for name, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(item, masker) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in masker:
        return masker(str(value))
    return value


def _texts(value: Any) -> Iterator[str]:
    """Yield every text and number in a value, as text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, Mapping):
        for inside in value.values():
            yield from _texts(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _texts(inside)


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
    place_text = _shown_place(change, compared, hide)
    before, after = hide(change.before), hide(change.after)
    if before is ABSENT or after is ABSENT:
        sign, style, value = ("+", "create", after) if before is ABSENT else ("-", "remove", before)
        yield from _value_lines(f"{sign} {place_text}: ", style, value)
        return
    short = [_compact(value) for value in (before, after)]
    if sum(map(len, short)) <= _WIDEST:
        yield (
            Segment("~ ", "update"),
            Segment(f"{place_text}: "),
            Segment(short[0], "remove"),
            Segment(" → "),
            Segment(short[1], "create"),
        )
        return
    yield Segment("~ ", "update"), Segment(place_text)
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


def _other_lines(compared: tuple[Compared, ...], hide: Hide) -> Iterator[Line]:
    counts = places(compared)
    yield (Segment(f"{len(compared)} more invocations differ, at:", "title"),)
    for place_text, count in counts[:_MOST_PLACES]:
        yield Segment(f"  {count:>5} ", "muted"), Segment(printable(hide(place_text)))
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
        runs = counted(count, "invocation")
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
        yield (
            Segment(
                f"the deployed version reproduced {replay.as_recorded} of {counted(ended, 'recorded result')}", "muted"
            ),
        )


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
