"""Test files, read and validated; all mistakes are reported at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from ckfunc.base.clock import parse_timestamp
from ckfunc.base.documents import read_document
from ckfunc.base.errors import CkfuncError, InvalidFiles, InvalidManifest, Problem
from ckfunc.base.text import did_you_mean
from ckfunc.manifest.checked import Branch, Given, Leaf
from ckfunc.manifest.sources import Complaint, read_script, read_text, without_bom
from ckfunc.manifest.tree import Node, Scalar, parse
from ckfunc.manifest.validation import one_of, validate
from ckfunc.model.function import Status
from ckfunc.model.job import Seed
from ckfunc.sandbox.mentions import joined, mentioned
from ckfunc.testing.case import DEFAULT_NOW, Case, Expectation, ExpectedCall, Wanted
from ckfunc.testing.definition import CASES
from ckfunc.wire.dialects import canonical
from ckfunc.wire.seeds import MalformedSeed, read_seed

DIRECTORY = "tests"
SUFFIXES = (".yaml", ".yml")

Sample = Callable[[str], Mapping[str, Any]]
"""Returns the sample event of a trigger type; raises CkfuncError for a type that has none."""


class InvalidCases(InvalidFiles):
    """Test files have mistakes."""


class NoTestFile(CkfuncError):
    """A path names no test file."""


@dataclass(frozen=True, slots=True)
class CaseScope:
    """What cases may refer to: the trigger types of the manifest, and the samples."""

    types: Collection[str]
    sample: Sample


def find_files(root: Path, paths: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Return the test files that `paths` (files or directories) name, sorted; without any, those of `tests/`.

    Raises NoTestFile for a path that does not exist.
    """
    found: list[Path] = []
    for path in paths or [root / DIRECTORY]:
        if path.is_dir():
            found += [one for one in path.rglob("*") if one.suffix in SUFFIXES and one.is_file()]
        elif paths and not path.exists():
            raise NoTestFile(f"there is no test file {str(path)!r}", hint=f"test files are {DIRECTORY}/*.yaml")
        elif path.exists():
            found.append(path)
    return tuple(sorted({one.resolve(): one for one in found}.values()))


def read_cases(root: Path, files: Iterable[Path], scope: CaseScope) -> tuple[Case, ...]:
    """Return the cases of `files`, in their order. Raises InvalidCases with every mistake in all of them."""
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
    """Return the cases that `file` would have if it held `text`. Raises InvalidCases."""
    reader = _Reader(root.resolve(), file, scope)
    cases = reader.cases_of(text)
    if reader.problems:
        raise refused(reader.problems)
    return tuple(cases)


def refused(problems: Iterable[Problem]) -> InvalidCases:
    """Return the error that reports `problems`."""
    found = tuple(dict.fromkeys(problems))
    count = "a mistake" if len(found) == 1 else f"{len(found)} mistakes"
    where = {problem.path for problem in found}
    return InvalidCases(f"{where.pop()} has {count}" if len(where) == 1 else f"the tests have {count}", found)


def shown_path(root: Path, file: Path) -> str:
    """Return a file's path relative to the project, with forward slashes; as it is for one elsewhere."""
    file = file.resolve()
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)


@dataclass
class _Reader:
    """Reads one file."""

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
        found, problems = validate(CASES, tree, self.path)
        self.problems += problems
        return [] if found is None else list(self._read(found))

    def _read(self, file: Branch) -> Iterator[Case]:
        names: dict[str, Scalar] = {}
        for said in file.items("cases") or ():
            if not isinstance(said, Branch):
                continue
            before = len(self.problems)
            if (name := said.leaf("name")) and (other := names.setdefault(name.text, name.node)) is not name.node:
                self._report(name.node, f"another case has this name, at line {other.line}", "give it one of its own")
            case = self._case(file, said)
            if case is not None and len(self.problems) == before:
                yield case

    def _case(self, file: Branch, said: Branch) -> Case | None:
        type_leaf = said.leaf("type") or file.leaf("type")
        self._check_type(said, type_leaf, given=bool({"type"} & (said.keys.keys() | file.keys.keys())))
        event = self._event(said, type_leaf.text if type_leaf else None)
        expect = self._expectation(said)
        skip = self._reason(said, "skip")
        only = self._reason(said, "only")
        if type_leaf is None or event is None or "name" not in said.values:
            return None
        return Case(
            file=self.path,
            line=said.node.line,
            name=said.text("name") or "",
            type=type_leaf.text,
            event=event,
            seed=self._seed(file, said, event),
            expect=expect,
            environment={**_environment(file), **_environment(said)},
            now=self._now(said.leaf("now") or file.leaf("now")),
            network=(said if "network" in said.values else file).flag("network"),
            skip=skip,
            only=only is not None,
        )

    def _check_type(self, said: Branch, leaf: Leaf | None, *, given: bool) -> None:
        if leaf is None:
            if not given:
                self._report(said.node, "the case has no `type`", "add `type: …` to it, or to the file")
        elif leaf.text not in self.scope.types:
            hint = did_you_mean(leaf.text, self.scope.types) or one_of(sorted(self.scope.types))
            self._report(leaf.node, f"functions.yaml has no function of type {leaf.text!r}", hint)

    def _event(self, said: Branch, trigger_type: str | None) -> Mapping[str, Any] | None:
        if not {"event", "sample", "file"} & said.keys.keys():
            hint = "add `event: {…}`, `sample: true` or `file: EVENT.json`"
            self._report(said.node, "the case has no event", hint)
            return None
        if said.flag("sample") and "file" in said.keys:
            self._report(said.keys["file"], "the event is `sample` or `file`, not both", "remove one of them")
            return None
        base: Mapping[str, Any] | None = {}
        if said.flag("sample") and trigger_type is not None:
            base = self._sample(said, trigger_type)
        elif leaf := said.leaf("file"):
            base = self._event_file(leaf)
        own = said.given("event")
        return None if base is None else overlaid(base, own.data if own else {})

    def _sample(self, said: Branch, trigger_type: str) -> Mapping[str, Any] | None:
        try:
            return self.scope.sample(trigger_type)
        except CkfuncError as error:
            self._report(said.keys["sample"], f"there is no sample: {error.message}", "write the event out")
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
        except ValueError as error:
            line, column = getattr(error, "lineno", 0), getattr(error, "colno", 0)
            self.problems.append(Problem(name, line, column, f"this is not JSON: {getattr(error, 'msg', error)}"))
            return None
        if not isinstance(event, dict):
            self.problems.append(Problem(name, 1, 1, "an event is a JSON object", "such as {…}"))
            return None
        return event

    def _seed(self, file: Branch, said: Branch, event: Mapping[str, Any]) -> Seed:
        document = joined(_plain(said.branch("data")), _plain(file.branch("data")), mentioned(event))
        try:
            seed = read_seed(document)
            _require_everybody(document)
        except MalformedSeed as mistake:
            where = said.keys.get("data") or said.keys.get("event") or file.keys.get("data") or said.node
            self._report(where, f"invalid initial data: {mistake}")
            return Seed()
        return seed

    def _expectation(self, said: Branch) -> Expectation:
        expect = said.branch("expect")
        if expect is None:
            return Expectation()
        fails = "error" in expect.keys or "error_matches" in expect.keys
        status = Status(expect.text("status") or (Status.FAILED if fails else Status.SUCCEEDED))
        self._check_sense(expect, status, fails=fails)
        calls = expect.items("calls")
        return Expectation(
            status=status,
            result=_wanted(expect),
            error=expect.text("error"),
            error_matches=self._expression(expect.leaf("error_matches")),
            console=tuple(one.text for one in expect.items("console") or () if isinstance(one, Leaf)),
            calls=None if calls is None else tuple(_call(one) for one in calls if isinstance(one, Branch)),
            other_calls="other_calls" not in expect.values or expect.flag("other_calls"),
        )

    def _check_sense(self, expect: Branch, status: Status, *, fails: bool) -> None:
        wrong = ("error", "error_matches") if status is Status.SUCCEEDED else ("result", "result_includes")
        for name in wrong:
            if key := expect.keys.get(name):
                hint = "remove it, or change `status`" if "status" in expect.keys or not fails else "remove one of them"
                self._report(key, f"a run that has {status.value} has no {name.partition('_')[0]}", hint)
        if "result" in expect.keys and (key := expect.keys.get("result_includes")):
            self._report(key, "the result is expected exactly, or in part, not both", "remove one of them")
        if "other_calls" in expect.keys and "calls" not in expect.keys:
            self._report(expect.keys["other_calls"], "`other_calls` needs `calls`", "add `calls: []`")

    def _expression(self, leaf: Leaf | None) -> str | None:
        if leaf is None:
            return None
        try:
            re.compile(leaf.text)
        except (re.error, RecursionError, OverflowError) as error:
            self._report(leaf.node, f"error_matches is not a regular expression: {error}", "`error` takes plain text")
        return leaf.text

    def _now(self, leaf: Leaf | None) -> datetime:
        if leaf is None:
            return DEFAULT_NOW
        try:
            return parse_timestamp(leaf.text)
        except (ValueError, OverflowError):
            self._report(leaf.node, "now is not a time", 'such as "2026-01-15T09:30:00Z", in quotes')
            return DEFAULT_NOW

    def _reason(self, said: Branch, name: str) -> str | None:
        given = said.given(name)
        if given is None or given.data is False:
            return None
        if given.data is True:
            return ""
        if isinstance(given.data, str) and given.data.strip():
            return given.data
        self._report(said.keys[name], f"{name} must be a reason, or true", f"such as `{name}: waits for the new API`")
        return None

    def _report(self, where: Node, message: str, hint: str | None = None) -> None:
        self.problems.append(Problem(self.path, where.line, where.column, message, hint))


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with what `over` says instead: mappings are merged, everything else is replaced."""
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = overlaid(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _wanted(expect: Branch) -> Wanted | None:
    if exact := expect.given("result"):
        return Wanted(exact.data)
    part = expect.given("result_includes")
    return Wanted(part.data, subset=True) if part else None


def _call(said: Branch) -> ExpectedCall:
    body, status = said.given("body"), said.leaf("status")
    return ExpectedCall(
        method=said.text("method"),
        path=said.text("path"),
        body=Wanted(body.data, subset=True) if body else None,
        status=int(status.text) if status else None,
    )


def _environment(said: Branch) -> dict[str, str]:
    found = said.branch("environment")
    return {name: leaf.text for name, leaf in found.leaves().items()} if found else {}


def _plain(data: Branch | None) -> dict[str, Any]:
    """Return the seed that a valid `data` section is, in camelCase."""
    if data is None:
        return {}
    plain: dict[str, Any] = canonical({name: _value(one) for name, one in data.values.items()})
    return plain


def _value(one: Any) -> Any:
    if isinstance(one, Leaf):
        return one.data
    if isinstance(one, Given):
        return one.data
    if isinstance(one, Branch):
        return {name: _value(inner) for name, inner in one.values.items()}
    return [_value(inner) for inner in one.items]


def _require_everybody(document: Mapping[str, Any]) -> None:
    """Raise MalformedSeed for a user who is referred to and not there."""
    known = {one["name"] for one in document["users"]}
    for index, channel in enumerate(document["channels"]):
        senders = [one.get("user") for one in channel.get("messages") or ()]
        for name in (channel.get("creator"), *(channel.get("members") or ()), *senders):
            if name is not None and name not in known:
                hint = did_you_mean(name, known)
                message = f"user {name!r} is not under `users`" + (f" ({hint})" if hint else "")
                raise MalformedSeed(("channels", index), message)
