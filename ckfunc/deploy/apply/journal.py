"""Journal of a deploy: each step before and after it is done.

The journal shows what a deploy that was killed had done. Files are `.ckfunc/journal/<time>-<target>.jsonl`. The first
line holds the states before and after the deploy: package versions, the init script's text, digests of handlers with
their version numbers, and for each variable a fingerprint that is of no use without the client secret. Values of
variables are never in it.
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
from typing import Any, Self

from ckfunc import __version__
from ckfunc.base.clock import Clock, ago, parse_timestamp, timestamp
from ckfunc.base.errors import SystemRefusal
from ckfunc.base.files import read_file, write_atomically
from ckfunc.base.secrets import Secret
from ckfunc.base.text import digest, printable
from ckfunc.deploy.apply.report import DeployReport, Item
from ckfunc.deploy.plan.plan import CreateFunction, Plan, Put, Step
from ckfunc.deploy.remote import Remote
from ckfunc.deploy.resources import FUNCTIONS, Values, script_of
from ckfunc.model.function import Function

FORMAT = 1
KEPT = 50
"""How many journals of a target stay, the newest."""

_STAMP = r"\d{8}T\d{6}\.\d+"
_STAMP_FORMAT = "%Y%m%dT%H%M%S.%f"
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True)
class State:
    """What the parts of an application that a deploy touches were, or were to be; other parts are absent.

    `kinds` maps a kind to its values: of variables to fingerprints. `functions` maps types to a version number (0: none
    yet) and the script's digest ("" for none); before a deploy, None stands for a function that was not there.
    """

    kinds: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    functions: Mapping[str, tuple[int, str] | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """A journal that was read. `versions` are the numbers that the deploy created, by type; `started` the kinds that
    it began to write, `attempted` the types. `ok` is None when it never came to an end. `only` is what it was told to
    deploy alone. When it went on from another that was cut off, `before`, `started`, `attempted` and `versions` are of
    both, and `between` is what that one was to make. `undoes` names the file of the deploy that an undo takes back;
    `later` are the numbers of versions that undos of this deploy may have left which did not come to their end.
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

    @property
    def wrote(self) -> bool:
        """Whether it may have changed anything."""
        return bool(self.started or self.attempted)

    def described(self, now: datetime, zone: tzinfo | None = None) -> str:
        """Return what it was and when, such as "rollback 12 minutes ago (05:23)", with times in `zone`."""
        try:
            return f"{self.command} {ago(parse_timestamp(self.time), now, zone)}"
        except (ValueError, OverflowError):  # a damaged time
            return f"{self.command} of {printable(self.time)}"


class Journal:
    """The journal of one deploy, while it runs. Thread-safe; a context manager that closes the file."""

    def __init__(self, path: Path, begin: Mapping[str, Any]) -> None:
        """Begin a journal. Raises SystemRefusal and OSError."""
        self._lock = threading.Lock()
        self.path = path
        write_atomically(path.parent / ".gitignore", "*\n")
        # The init script and package names are nobody else's business either.
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

    def start(self, step: Step) -> None:
        """Note that a step is about to be done; raises SystemRefusal, as no step is done that is not noted."""
        if isinstance(step, Put):
            note: dict[str, Any] = {"step": "put", "kind": step.kind, "names": [one.name for one in step.changes]}
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
            raise SystemRefusal.of(error) or SystemRefusal(f"the journal {self.path} cannot be written") from error

    def created(self, trigger_type: str, function: Function) -> None:
        """Note that a function was created."""
        self._note({"event": "created", "type": trigger_type, "id": function.id})

    def end_step(self, items: Sequence[Item]) -> None:
        """Note what became of a step."""
        self._note({"event": "items", "items": [one.to_json() for one in items]})

    def end(self, report: DeployReport) -> None:
        """Note how the deploy ended."""
        self._note(_ending(report))

    def _note(self, line: Mapping[str, Any]) -> None:
        # What has been done has been done: a full disk now must not hide it.
        with suppress(OSError):
            self._write(line)

    def _write(self, line: Mapping[str, Any]) -> None:
        data = _line(line)
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
    """Begin the journal of a deploy. `earlier` is one that this deploy finishes: what was before it, was before both.

    `undoes` is the one that it takes back.

    Raises SystemRefusal and OSError.
    """
    before, after = _before(plan, remote), wanted(plan, remote)
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
            "continues": earlier and _continued(earlier),
            "undoes": undoes and undoes.path.name,
            "before": _written(before),
            "after": _written(after),
        },
    )


def wanted(plan: Plan, remote: Remote) -> State:
    """Return what a plan makes of what it changes."""
    kinds, types = _touched(plan)
    return State(
        wanted_kinds(plan, remote, kinds),
        {name: (plan.versions.get(name, 0) + 1, digest(script_of(plan.want[FUNCTIONS], name))) for name in types},
    )


def wanted_kinds(plan: Plan, remote: Remote, kinds: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return what a plan wants of some kinds, as a journal holds it; kinds that it does not manage are left out."""
    return {kind: _kept(plan.want[kind], remote) for kind in kinds if kind in plan.want}


def records(root: Path, target: str) -> Iterator[JournalRecord]:
    """Yield the journals of a target, the newest first; damaged ones are left out."""
    for path in _paths(root, target):
        record = _read(path)
        if record is not None and record.target == target:
            yield record


def deployed_at(root: Path, target: str, trigger_type: str) -> dict[tuple[int, str], datetime]:
    """Return when versions of a function were deployed from here, by number and the digest of the script."""
    found: dict[tuple[int, str], datetime] = {}
    for one in records(root, target):  # the newest first: a resumed deploy has the versions of the first one too
        number, wanted = one.versions.get(trigger_type), one.after.functions.get(trigger_type)
        if number is not None and wanted is not None:
            with suppress(ValueError, OverflowError):
                found[number, wanted[1]] = parse_timestamp(one.time)
    return found


def last(root: Path, target: str, identity: str | None) -> JournalRecord | None:
    """Return the newest journal of a target's application that may have changed anything."""
    return next((one for one in records(root, target) if one.identity == identity and one.wrote), None)


def to_undo(root: Path, target: str, identity: str | None) -> tuple[JournalRecord | None, JournalRecord | None]:
    """Return the deploy that an undo takes back, and the undo of it, if one was begun, that did not come to its end."""
    newest = last(root, target, identity)
    if newest is None or newest.command != "undo" or newest.ok or newest.undoes is None:
        return newest, None
    left: dict[str, set[int]] = {}
    for one in records(root, target):
        if one.path.name == newest.undoes and one.identity == identity:
            later = {name: frozenset(numbers) for name, numbers in left.items()}
            return replace(one, later=later), newest
        for name in one.attempted if one.undoes == newest.undoes else ():
            before = one.before.functions.get(name) or (0, "")
            left.setdefault(name, set()).add(one.versions.get(name, before[0] + 1))
    return newest, None


def strangers(record: JournalRecord, kind: str, have: Values, remote: Remote) -> tuple[str, ...]:
    """Return the names of what is neither as it was before a deploy nor as that deploy was to make it."""
    now, states = _kept(have, remote), (record.before, record.after, record.between)
    known = [one.kinds[kind] for one in states if kind in one.kinds]
    names = sorted(set(now).union(*known))
    return tuple(name for name in names if now.get(name) not in [one.get(name) for one in known])


def finish(record: JournalRecord, report: DeployReport) -> None:
    """Note that a deploy that was killed had done all it was to do. Failing to is no error."""
    with suppress(OSError), record.path.open("ab") as file:
        file.write(b"\n" + _line(_ending(report)))


def _ending(report: DeployReport) -> dict[str, Any]:
    return {"event": "end", "ok": report.ok, "ending": report.ending.value}


def _line(note: Mapping[str, Any]) -> bytes:
    return json.dumps(note, separators=(",", ":")).encode() + b"\n"


def _before(plan: Plan, remote: Remote) -> State:
    kinds, types = _touched(plan)
    have = plan.have.get(FUNCTIONS, {})
    functions: dict[str, tuple[int, str] | None] = {}
    for name in types:
        script = have.get(name)
        known = (
            (plan.versions[name], digest(script) if isinstance(script, str) else "") if name in plan.versions else None
        )
        functions[name] = known
    return State({kind: _kept(plan.have[kind], remote) for kind in kinds}, functions)


def _touched(plan: Plan) -> tuple[list[str], list[str]]:
    kinds = sorted({one.kind for one in plan.changes} - {FUNCTIONS})
    return kinds, sorted(one.name for one in plan.changes if one.kind == FUNCTIONS)


def _kept(values: Values, remote: Remote) -> dict[str, str]:
    """Return values as a file may hold them."""
    known = {name: value for name, value in values.items() if value is not None}
    return {name: remote.fingerprint(one) if isinstance(one, Secret) else one for name, one in known.items()}


def _written(state: State) -> dict[str, Any]:
    return {"kinds": state.kinds, "functions": {name: one and list(one) for name, one in state.functions.items()}}


def _continued(earlier: JournalRecord) -> dict[str, Any]:
    """Return what a later journal has to know of a deploy that it goes on from."""
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
        told = _Told(
            {str(name): int(number) for name, number in earlier.get("versions", {}).items()},
            set(map(str, earlier.get("started", ()))),
            set(map(str, earlier.get("attempted", ()))),
        )
        for line in lines[1:]:
            with suppress(*_DAMAGED):  # the last one, of a deploy that was killed while it wrote it
                told.hear(json.loads(line))
        return JournalRecord(
            path,
            str(head["time"]),
            str(head["command"]),
            str(head["target"]),
            str(head["identity"]),
            tuple(map(str, head["only"])),
            _state(head["before"]),
            _state(head["after"]),
            told.versions,
            frozenset(told.started),
            frozenset(told.attempted),
            told.ok,
            between=_state(earlier.get("after", {"kinds": {}, "functions": {}})),
            undoes=head.get("undoes"),
        )
    except (OSError, *_DAMAGED):
        return None


_DAMAGED = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError)


@dataclass(slots=True)
class _Told:
    """What the lines of a journal after the first come to."""

    versions: dict[str, int]
    started: set[str]
    attempted: set[str]
    ok: bool | None = None

    def hear(self, note: Mapping[str, Any]) -> None:
        """Take a line in. Raises one of _DAMAGED."""
        if note["event"] == "start":
            put = note["step"] == "put"
            (self.started if put else self.attempted).add(str(note["kind" if put else "type"]))
        elif note["event"] == "end":
            self.ok = bool(note["ok"])
        for item in note.get("items", ()):
            if item["kind"] == FUNCTIONS and item.get("new_version") and item["result"] in ("created", "updated"):
                self.versions[str(item["name"])] = int(item["new_version"])


def _state(document: Mapping[str, Any]) -> State:
    return State(
        {str(kind): {str(name): str(value) for name, value in of.items()} for kind, of in document["kinds"].items()},
        {str(name): None if one is None else (int(one[0]), str(one[1])) for name, one in document["functions"].items()},
    )


def _paths(root: Path, target: str) -> list[Path]:
    ours = re.compile(rf"({_STAMP})-{re.escape(_safe(target))}\.jsonl")
    try:
        # Not by the end of the name alone: targets may be called `prod` and `us-prod`.
        found = [one for one in (root / ".ckfunc" / "journal").iterdir() if ours.fullmatch(one.name)]
    except OSError:
        return []
    return sorted(found, key=lambda one: one.name, reverse=True)


def _stamp(root: Path, target: str, now: datetime) -> str:
    """Return what a journal's name begins with: its time, but after all others, even when the clock has gone back."""
    stamp = f"{now:{_STAMP_FORMAT}}"
    newest = next((one.name.partition("-")[0] for one in _paths(root, target)), "")
    if newest >= stamp:
        with suppress(ValueError, OverflowError):
            return f"{datetime.strptime(newest, _STAMP_FORMAT) + timedelta(microseconds=1):{_STAMP_FORMAT}}"
    return stamp


def _prune(root: Path, target: str) -> None:
    for path in _paths(root, target)[KEPT - 1 :]:
        with suppress(OSError):
            path.unlink()


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name)
