"""Journal of a deploy: each step before and after it is done.

The journal shows what a killed deploy had done. Files are `.ckfunc/journal/<time>-<target>.jsonl`. The first line has
the states before and after the deploy: package versions, the init script's text, digests of handlers with their version
numbers, and a fingerprint of each variable, which is useless without the client secret. Values of variables are never
written.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ckfunc import __version__
from ckfunc.base.clock import Clock, ago, parse_timestamp, timestamp
from ckfunc.base.errors import SystemRefusal
from ckfunc.base.files import read_file, write_atomically
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.base.text import digest, printable
from ckfunc.deploy.apply.report import DeployReport, Item
from ckfunc.deploy.apply.watch_record import WatchRecord, append_note, journal_line, policy_note, with_note
from ckfunc.deploy.plan.plan import CreateFunction, Plan, Put, Step
from ckfunc.deploy.resources import FUNCTIONS, Remote, Values, script_of

if TYPE_CHECKING:
    from ckfunc.model.application import Function
    from ckfunc.model.project import WatchPolicy

FORMAT = 1
MOST_JOURNALS = 50
"""How many journals of a target are kept; the oldest are removed."""

_STAMP = r"\d{8}T\d{6}\.\d+"
_STAMP_FORMAT = "%Y%m%dT%H%M%S.%f"
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


@frozen
class State:
    """The state of the resources that a deploy changes, before or after it. Other resources are absent.

    `kinds` maps each kind to its values, with fingerprints instead of values of variables. `functions` maps trigger
    types to version number (0: none yet) and digest of the script (""; none); before a deploy, None is a missing
    function.
    """

    kinds: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    functions: Mapping[str, tuple[int, str] | None] = field(default_factory=dict)


@frozen
class JournalRecord:
    """The contents of a journal.

    `versions` are the version numbers that the deploy created, by type; `started` are the kinds, and `attempted` the
    types, that it began to write. `ok` is None if the deploy did not end. `only` is its selection. If it continued an
    interrupted deploy, `before`, `started`, `attempted` and `versions` cover both, and `between` is the state that the
    interrupted one should have reached. `undoes` is the journal file of the deploy that an undo reverts. `later` are
    the version numbers that unfinished undos of this deploy may have created, by type. `watch` is None if the deploy is
    not watched.
    """

    path: Path
    time: str
    command: str
    target: str
    identity: str
    only: tuple[str, ...]
    before: State
    after: State
    versions: Mapping[str, int]
    started: frozenset[str]
    attempted: frozenset[str]
    ok: bool | None
    between: State = field(default_factory=State)
    undoes: str | None = None
    later: Mapping[str, frozenset[int]] = field(default_factory=dict)
    watch: WatchRecord | None = None

    @property
    def wrote(self) -> bool:
        """Whether the deploy may have changed anything."""
        return bool(self.started or self.attempted)

    def described(self, now: datetime, zone: tzinfo | None = None) -> str:
        """Return a description such as "rollback made 12 minutes ago (05:23)", with times in `zone`."""
        try:
            return f"{self.command} made {ago(parse_timestamp(self.time), now, zone)}"
        except (ValueError, OverflowError):  # a damaged time
            return f"{self.command} of {printable(self.time)}"


class Journal:
    """The journal of a running deploy. Thread-safe; a context manager that closes the file."""

    def __init__(self, path: Path, begin: Mapping[str, Any]) -> None:
        """Create the file and write its first line. Raises SystemRefusal and OSError."""
        self._lock = threading.Lock()
        self.path = path
        write_atomically(path.parent / ".gitignore", "*\n")
        # The init script and package names are private too.
        write_atomically(path, b"", mode=0o600)
        self._file = path.open("ab", buffering=0)
        try:
            self._write({"event": "begin", "format": FORMAT, "ckfunc": __version__, **begin})
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def watch(self, policy: WatchPolicy) -> None:
        """Record that the deploy will be watched. Raises OSError."""
        self._write(policy_note(policy))

    def start(self, step: Step) -> None:
        """Record that a step starts. Raises SystemRefusal, because no step may run unrecorded."""
        if isinstance(step, Put):
            note: dict[str, Any] = {"step": "put", "kind": step.kind, "names": [change.name for change in step.changes]}
        elif isinstance(step, CreateFunction):
            note = {"step": "create_function", "type": step.function.type}
        else:
            note = {
                "step": "create_version",
                "type": step.type,
                "base": step.base_version,
                "script": digest(step.script),
            }
        try:
            self._write({"event": "start", **note})
        except OSError as error:
            raise SystemRefusal.of(error) or SystemRefusal(f"cannot write the journal {self.path}") from error

    def created(self, trigger_type: str, function: Function) -> None:
        """Record that a function was created."""
        self._append({"event": "created", "type": trigger_type, "id": function.id})

    def end_step(self, items: Sequence[Item]) -> None:
        """Record the items of a step."""
        self._append({"event": "items", "items": [item.to_json() for item in items]})

    def end(self, report: DeployReport) -> None:
        """Record the end of the deploy."""
        self._append(_ending(report))

    def _append(self, line: Mapping[str, Any]) -> None:
        # A full disk must not hide the results of steps that were done.
        with suppress(OSError):
            self._write(line)

    def _write(self, line: Mapping[str, Any]) -> None:
        data = journal_line(line)
        with self._lock:
            self._file.write(data)


def begin(
    root: Path,
    plan: Plan,
    remote: Remote,
    clock: Clock,
    command: str,
    only: tuple[str, ...] = (),
    earlier: JournalRecord | None = None,
    undoes: JournalRecord | None = None,
) -> Journal:
    """Begin the journal of a deploy. Raises SystemRefusal and OSError.

    `earlier` is an unfinished deploy that this one continues: the journal then starts from the state before that.
    `undoes` is the deploy that this one reverts.
    """
    before, after = _before(plan, remote), desired_state(plan, remote)
    if earlier is not None:
        before = State({**before.kinds, **earlier.before.kinds}, {**before.functions, **earlier.before.functions})
    now = clock.now()
    name = f"{_stamp(root, plan.target.name, now)}-{_safe(plan.target.name)}.jsonl"
    _prune(root, plan.target.name)
    return Journal(
        root / ".ckfunc" / "journal" / name,
        {
            "time": timestamp(now),
            "command": command,
            "only": only,
            "target": plan.target.name,
            "application": plan.application_id,
            "identity": remote.identity or "",
            "continues": earlier and _continuation(earlier),
            "undoes": undoes and undoes.path.name,
            "before": _written(before),
            "after": _written(after),
        },
    )


def desired_state(plan: Plan, remote: Remote) -> State:
    """Return the desired state of the resources that a plan changes."""
    kinds, types = _touched(plan)
    return State(
        desired_values(plan, remote, kinds),
        {name: (plan.versions.get(name, 0) + 1, digest(script_of(plan.want[FUNCTIONS], name))) for name in types},
    )


def desired_values(plan: Plan, remote: Remote, kinds: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the desired values of some kinds, as journals store them, without unmanaged kinds."""
    return {kind: _storable(plan.want[kind], remote) for kind in kinds if kind in plan.want}


def records(root: Path, target: str) -> Iterator[JournalRecord]:
    """Yield the journals of a target, newest first, without damaged ones."""
    for path in _paths(root, target):
        record = _read(path)
        if record is not None and record.target == target:
            yield record


def deployed_at(root: Path, target: str, trigger_type: str) -> dict[tuple[int, str], datetime]:
    """Return when versions of a function were deployed from this checkout, by number and digest of the script."""
    times: dict[tuple[int, str], datetime] = {}
    for record in records(root, target):  # newest first: a resumed deploy also has the versions of the first one
        number, after = record.versions.get(trigger_type), record.after.functions.get(trigger_type)
        if number is not None and after is not None:
            with suppress(ValueError, OverflowError):
                times[number, after[1]] = parse_timestamp(record.time)
    return times


def last(root: Path, target: str, identity: str | None) -> JournalRecord | None:
    """Return the newest journal of an application, of those that may have changed anything."""
    return next((record for record in records(root, target) if record.identity == identity and record.wrote), None)


def deploy_to_undo(root: Path, target: str, identity: str | None) -> tuple[JournalRecord | None, JournalRecord | None]:
    """Return the deploy that an undo reverts, and an unfinished earlier undo of it, if there is one."""
    newest = last(root, target, identity)
    if newest is None or newest.command != "undo" or newest.ok or newest.undoes is None:
        return newest, None
    remaining: dict[str, set[int]] = {}
    for record in records(root, target):
        if record.path.name == newest.undoes and record.identity == identity:
            later = {name: frozenset(numbers) for name, numbers in remaining.items()}
            return replace(record, later=later), newest
        for name in record.attempted if record.undoes == newest.undoes else ():
            before = record.before.functions.get(name) or (0, "")
            remaining.setdefault(name, set()).add(record.versions.get(name, before[0] + 1))
    return newest, None


def foreign_changes(record: JournalRecord, kind: str, have: Values, remote: Remote) -> tuple[str, ...]:
    """Return the names of values that are neither those from before a deploy nor those that it wanted."""
    now, states = _storable(have, remote), (record.before, record.after, record.between)
    recorded = [state.kinds[kind] for state in states if kind in state.kinds]
    names = sorted(set(now).union(*recorded))
    return tuple(name for name in names if now.get(name) not in [values.get(name) for values in recorded])


def finish(record: JournalRecord, report: DeployReport) -> None:
    """Record that a killed deploy was complete. Write failures are ignored."""
    append_note(record.path, _ending(report))


def _ending(report: DeployReport) -> dict[str, Any]:
    return {"event": "end", "ok": report.ok, "ending": report.ending.value}


def _before(plan: Plan, remote: Remote) -> State:
    kinds, types = _touched(plan)
    have = plan.have.get(FUNCTIONS, {})
    functions: dict[str, tuple[int, str] | None] = dict.fromkeys(types)
    for name in functions.keys() & plan.versions.keys():
        script = have.get(name)
        functions[name] = plan.versions[name], digest(script) if isinstance(script, str) else ""
    return State({kind: _storable(plan.have[kind], remote) for kind in kinds}, functions)


def _touched(plan: Plan) -> tuple[list[str], list[str]]:
    kinds = sorted({change.kind for change in plan.changes} - {FUNCTIONS})
    return kinds, sorted(change.name for change in plan.changes if change.kind == FUNCTIONS)


def _storable(values: Values, remote: Remote) -> dict[str, str]:
    """Return values for a file, with fingerprints instead of secrets."""
    storable = {name: value for name, value in values.items() if value is not None}
    return {name: remote.fingerprint(value) if isinstance(value, Secret) else value for name, value in storable.items()}


def _written(state: State) -> dict[str, Any]:
    return {
        "kinds": state.kinds,
        "functions": {name: function and list(function) for name, function in state.functions.items()},
    }


def _continuation(earlier: JournalRecord) -> dict[str, Any]:
    """Return the facts about a deploy that the journal of its continuation needs."""
    between = State(
        {**earlier.between.kinds, **earlier.after.kinds}, {**earlier.between.functions, **earlier.after.functions}
    )
    return {
        "journal": earlier.path.name,
        "started": sorted(earlier.started),
        "attempted": sorted(earlier.attempted),
        "versions": dict(earlier.versions),
        "after": _written(between),
    }


def _read(path: Path) -> JournalRecord | None:
    try:
        lines = read_file(path).split(b"\n")
        head = json.loads(lines[0])
        if head["event"] != "begin" or head["format"] != FORMAT:
            return None
        earlier = head["continues"] if isinstance(head["continues"], dict) else {}
        progress = _RecordedProgress(
            {str(name): int(number) for name, number in earlier.get("versions", {}).items()},
            set(map(str, earlier.get("started", ()))),
            set(map(str, earlier.get("attempted", ()))),
        )
        for line in lines[1:]:
            with suppress(*_DAMAGED):  # the last line, if the deploy was killed while writing it
                progress.add(json.loads(line))
        return JournalRecord(
            path,
            str(head["time"]),
            str(head["command"]),
            str(head["target"]),
            str(head["identity"]),
            tuple(map(str, head["only"])),
            _state(head["before"]),
            _state(head["after"]),
            progress.versions,
            frozenset(progress.started),
            frozenset(progress.attempted),
            progress.ok,
            between=_state(earlier.get("after", {"kinds": {}, "functions": {}})),
            undoes=head.get("undoes"),
            watch=progress.watch,
        )
    except (OSError, *_DAMAGED):
        return None


_DAMAGED = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, ArithmeticError)


@dataclass(slots=True)
class _RecordedProgress:
    """The progress that the lines after the first describe."""

    versions: dict[str, int]
    started: set[str]
    attempted: set[str]
    ok: bool | None = None
    watch: WatchRecord | None = None

    def add(self, note: Mapping[str, Any]) -> None:
        """Add a line. Raises one of _DAMAGED."""
        if note["event"] == "start":
            put = note["step"] == "put"
            (self.started if put else self.attempted).add(str(note["kind" if put else "type"]))
        elif note["event"] == "end":
            self.ok = bool(note["ok"])
        self.watch = with_note(self.watch, note)
        for item in note.get("items", ()):
            if item["kind"] == FUNCTIONS and item.get("new_version") and item["result"] in ("created", "updated"):
                self.versions[str(item["name"])] = int(item["new_version"])


def _state(document: Mapping[str, Any]) -> State:
    return State(
        {str(kind): {str(name): str(value) for name, value in of.items()} for kind, of in document["kinds"].items()},
        {
            str(name): None if version is None else (int(version[0]), str(version[1]))
            for name, version in document["functions"].items()
        },
    )


def _paths(root: Path, target: str) -> list[Path]:
    ours = re.compile(rf"({_STAMP})-{re.escape(_safe(target))}\.jsonl")
    try:
        # The whole name must match: targets may be called `prod` and `us-prod`.
        paths = [path for path in (root / ".ckfunc" / "journal").iterdir() if ours.fullmatch(path.name)]
    except OSError:
        return []
    return sorted(paths, key=lambda path: path.name, reverse=True)


def _stamp(root: Path, target: str, now: datetime) -> str:
    """Return the time in a journal's name: now, but after all other journals, even if the clock was set back."""
    stamp = f"{now:{_STAMP_FORMAT}}"
    newest = next((path.name.partition("-")[0] for path in _paths(root, target)), "")
    if newest >= stamp:
        with suppress(ValueError, OverflowError):
            return f"{datetime.strptime(newest, _STAMP_FORMAT) + timedelta(microseconds=1):{_STAMP_FORMAT}}"
    return stamp


def _prune(root: Path, target: str) -> None:
    for path in _paths(root, target)[MOST_JOURNALS - 1 :]:
        with suppress(OSError):
            path.unlink()


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name)
