"""Read and validate test files, and report all mistakes at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from ckfunc.base.clock import parse_timestamp
from ckfunc.base.documents import InvalidJson, read_document
from ckfunc.base.errors import CkfuncError, InvalidFiles, InvalidManifest, Problem
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.base.text import did_you_mean, with_hint
from ckfunc.manifest.sources import Complaint, read_script, read_text, without_bom
from ckfunc.manifest.tree import Node, Scalar, parse
from ckfunc.manifest.validation import Branch, Given, Leaf, one_of, validate
from ckfunc.model.fault import Fault
from ckfunc.model.job import Seed
from ckfunc.sandbox.mentions import joined, mentioned
from ckfunc.testing.case import CONVERSATION, DEFAULT_NOW, Case
from ckfunc.testing.definition import CASES
from ckfunc.testing.steps import StepReader, read_expectation
from ckfunc.wire.dialects import canonical
from ckfunc.wire.faults import FaultMistake, read_fault_entry
from ckfunc.wire.jobs import MalformedSeed, read_seed

DIRECTORY = "tests"
SUFFIXES = (".yaml", ".yml")

Sample = Callable[[str], Mapping[str, Any]]
"""Returns the sample event of a trigger type. Raises CkfuncError for a type without one."""


class InvalidCases(InvalidFiles):
    """Test files have mistakes."""


class NoTestFile(CkfuncError):
    """A path does not lead to a test file."""


@frozen
class CaseScope:
    """Names that cases may refer to: the trigger types of the manifest, and sample events."""

    types: Collection[str]
    sample: Sample


def find_files(root: Path, paths: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Return the test files in `paths` (files or directories; default: `tests/`), sorted.

    Raises NoTestFile for a path that does not exist.
    """
    files: list[Path] = []
    for path in paths or [root / DIRECTORY]:
        if path.is_dir():
            files += [file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file()]
        elif paths and not path.exists():
            raise NoTestFile(f"test file {str(path)!r} does not exist", hint=f"test files are {DIRECTORY}/*.yaml")
        elif path.exists():
            files.append(path)
    return tuple(sorted({file.resolve(): file for file in files}.values()))


def read_cases(root: Path, files: Iterable[Path], scope: CaseScope) -> tuple[Case, ...]:
    """Return the cases of `files`, in order. Raises InvalidCases with all mistakes in all files."""
    problems: list[Problem] = []
    cases: list[Case] = []
    for file in files:
        reader = _Reader(root.resolve(), file, scope)
        cases += reader.cases()
        problems += reader.problems
    if problems:
        raise refused(problems)
    return tuple(cases)


def read_text_cases(root: Path, file: Path, text: str, scope: CaseScope) -> tuple[Case, ...]:
    """Return the cases that `file` would have with the contents `text`. Raises InvalidCases."""
    reader = _Reader(root.resolve(), file, scope)
    cases = reader.cases_of(text)
    if reader.problems:
        raise refused(reader.problems)
    return tuple(cases)


def refused(problems: Iterable[Problem]) -> InvalidCases:
    """Return the error that reports `problems`."""
    unique = tuple(dict.fromkeys(problems))
    count = "a mistake" if len(unique) == 1 else f"{len(unique)} mistakes"
    files = {problem.path for problem in unique}
    return InvalidCases(f"{files.pop()} has {count}" if len(files) == 1 else f"the tests have {count}", unique)


def shown_path(root: Path, file: Path) -> str:
    """Return a path relative to the project, with forward slashes; unchanged if it is outside of the project."""
    file = file.resolve()
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)


@dataclass
class _Reader:
    """Reads a test file."""

    root: Path
    file: Path
    scope: CaseScope
    problems: list[Problem] = field(default_factory=list)

    @property
    def path(self) -> str:
        return shown_path(self.root, self.file)

    def cases(self) -> list[Case]:
        text = read_text(self.file, self.path)
        if isinstance(text, Complaint):
            self.problems.append(Problem(self.path, text.line, text.column, text.message, text.hint))
            return []
        return self.cases_of(text)

    def cases_of(self, text: str) -> list[Case]:
        try:
            tree = parse(without_bom(text), self.path)
        except InvalidManifest as error:
            self.problems += error.problems
            return []
        if tree is None:
            self.problems.append(Problem(self.path, 1, 1, "the file is empty", "list cases under `cases`"))
            return []
        checked, problems = validate(CASES, tree, self.path)
        self.problems += problems
        return [] if checked is None else list(self._read(checked))

    def _read(self, file: Branch) -> Iterator[Case]:
        names: dict[str, Scalar] = {}
        for entry in file.items("cases") or ():
            if not isinstance(entry, Branch):
                continue
            before = len(self.problems)
            if (name := entry.leaf("name")) and (other := names.setdefault(name.text, name.node)) is not name.node:
                self._report(name.node, f"the case at line {other.line} has the same name", "use unique names")
            case = self._case(file, entry)
            if case is not None and len(self.problems) == before:
                yield case

    def _case(self, file: Branch, entry: Branch) -> Case | None:
        talk = "conversation" in entry.keys
        type_leaf = None if talk else entry.leaf("type") or file.leaf("type")
        if not talk:
            self._check_type(entry, type_leaf, has_type=bool({"type"} & (entry.keys.keys() | file.keys.keys())))
        event = self._no_event(entry) if talk else self._event(entry, type_leaf.text if type_leaf else None)
        steps = tuple(StepReader(self._report, self.scope.types).steps(entry.items("conversation") or ()))
        expect = read_expectation(entry.branch("expect"), self._report)
        skip = self._reason(entry, "skip")
        only = self._reason(entry, "only")
        if (type_leaf is None and not talk) or event is None or "name" not in entry.values:
            return None
        return Case(
            file=self.path,
            line=entry.node.line,
            name=entry.text("name") or "",
            type=CONVERSATION if type_leaf is None else type_leaf.text,
            event=event,
            seed=self._seed(file, entry, event),
            expect=expect,
            environment={**_environment(file), **_environment(entry)},
            now=self._now(entry.leaf("now") or file.leaf("now")),
            network=(entry if "network" in entry.values else file).flag("network"),
            skip=skip,
            only=only is not None,
            faults=tuple(self._faults(entry)),
            steps=steps,
        )

    def _no_event(self, entry: Branch) -> Mapping[str, Any]:
        for name in ("type", "event", "sample", "file", "expect"):
            if key := entry.keys.get(name):
                hint = "write `expect` in its steps" if name == "expect" else "remove it, or make it two cases"
                self._report(key, f"a case with a conversation has no `{name}`", hint)
        return {}

    def _check_type(self, entry: Branch, leaf: Leaf | None, *, has_type: bool) -> None:
        if leaf is None:
            if not has_type:
                self._report(entry.node, "the case has no `type`", "add `type: …` to the case or the file")
        elif leaf.text not in self.scope.types:
            hint = did_you_mean(leaf.text, self.scope.types) or one_of(sorted(self.scope.types))
            self._report(leaf.node, f"functions.yaml has no function of type {leaf.text!r}", hint)

    def _event(self, entry: Branch, trigger_type: str | None) -> Mapping[str, Any] | None:
        if not {"event", "sample", "file"} & entry.keys.keys():
            hint = "add `event: {…}`, `sample: true`, `file: EVENT.json`, or a `conversation`"
            self._report(entry.node, "the case has no event", hint)
            return None
        if entry.flag("sample") and "file" in entry.keys:
            self._report(entry.keys["file"], "`sample` and `file` can't be used together", "remove one of them")
            return None
        base: Mapping[str, Any] | None = {}
        if entry.flag("sample") and trigger_type is not None:
            base = self._sample(entry, trigger_type)
        elif leaf := entry.leaf("file"):
            base = self._event_file(leaf)
        own = entry.given("event")
        return None if base is None else overlaid(base, own.data if own else {})

    def _sample(self, entry: Branch, trigger_type: str) -> Mapping[str, Any] | None:
        try:
            return self.scope.sample(trigger_type)
        except CkfuncError as error:
            self._report(entry.keys["sample"], f"there is no sample: {error.message}", "use `event: {…}` instead")
            return None

    def _event_file(self, leaf: Leaf) -> Mapping[str, Any] | None:
        place = (self.file.resolve().parent / PurePosixPath(leaf.text)).resolve()
        name = shown_path(self.root, place)
        text = read_script(self.root, name)
        if isinstance(text, Complaint):
            self._report(leaf.node, f"file {text.message}", text.hint)
            return None
        try:
            event = read_document(text)
        except InvalidJson as error:
            self.problems.append(Problem(name, error.line, error.column, f"invalid JSON: {error.problem}"))
            return None
        except ValueError as error:
            self.problems.append(Problem(name, 0, 0, f"invalid JSON: {error}"))
            return None
        if not isinstance(event, dict):
            self.problems.append(Problem(name, 1, 1, "the event is not a JSON object", "such as {…}"))
            return None
        return event

    def _seed(self, file: Branch, entry: Branch, event: Mapping[str, Any]) -> Seed:
        document = joined(_plain(entry.branch("data")), _plain(file.branch("data")), mentioned(event))
        try:
            seed = read_seed(document)
            _require_known_users(document)
        except MalformedSeed as mistake:
            node = entry.keys.get("data") or entry.keys.get("event") or file.keys.get("data") or entry.node
            self._report(node, f"invalid initial data: {mistake}")
            return Seed()
        return seed

    def _faults(self, entry: Branch) -> Iterator[Fault]:
        for fault in entry.items("faults") or ():
            if isinstance(fault, Branch) and fault.keys.keys() == fault.values.keys():
                try:
                    yield read_fault_entry(_value(fault))
                except FaultMistake as mistake:
                    self._report(fault.keys.get(mistake.field or "", fault.node), mistake.message, mistake.hint)

    def _now(self, leaf: Leaf | None) -> datetime:
        if leaf is None:
            return DEFAULT_NOW
        try:
            return parse_timestamp(leaf.text)
        except (ValueError, OverflowError):
            self._report(leaf.node, "now is not a time", 'such as "2026-01-15T09:30:00Z", in quotes')
            return DEFAULT_NOW

    def _reason(self, entry: Branch, name: str) -> str | None:
        reason = entry.given(name)
        if reason is None or reason.data is False:
            return None
        if reason.data is True:
            return ""
        if isinstance(reason.data, str) and reason.data.strip():
            return reason.data
        self._report(entry.keys[name], f"{name} must be a reason, or true", f"such as `{name}: waits for the new API`")
        return None

    def _report(self, node: Node, message: str, hint: str | None = None) -> None:
        self.problems.append(Problem(self.path, node.line, node.column, message, hint))


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` overlaid with `over`: mappings are merged, everything else is replaced."""
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = overlaid(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _environment(branch: Branch) -> dict[str, Secret]:
    environment = branch.branch("environment")
    return {name: Secret(leaf.text) for name, leaf in environment.leaves().items()} if environment else {}


def _plain(data: Branch | None) -> dict[str, Any]:
    """Return a valid `data` section as a seed document in camelCase."""
    if data is None:
        return {}
    plain: dict[str, Any] = canonical({name: _value(value) for name, value in data.values.items()})
    return plain


def _value(node: Any) -> Any:
    if isinstance(node, Leaf):
        return node.data
    if isinstance(node, Given):
        return node.data
    if isinstance(node, Branch):
        return {name: _value(inner) for name, inner in node.values.items()}
    return [_value(inner) for inner in node.items]


def _require_known_users(document: Mapping[str, Any]) -> None:
    """Raise MalformedSeed if a channel or message refers to a user that does not exist."""
    usernames = {user["name"] for user in document["users"]}
    for index, channel in enumerate(document["channels"]):
        senders = [message.get("user") for message in channel.get("messages") or ()]
        for name in (channel.get("creator"), *(channel.get("members") or ()), *senders):
            if name is not None and name not in usernames:
                message = with_hint(f"user {name!r} is not under `users`", did_you_mean(name, usernames))
                raise MalformedSeed(("channels", index), message)
