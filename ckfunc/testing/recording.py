"""Add recorded runs to test files: no secrets, and no change of other text."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckfunc.base.clock import timestamp
from ckfunc.base.documents import deeper_than
from ckfunc.base.errors import CkfuncError, InvalidManifest, Problem, UsageProblem
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.base.text import Line, printable
from ckfunc.manifest.edit import append, checked, data, end_of, spaced
from ckfunc.manifest.sources import Complaint, read_text, without_bom
from ckfunc.manifest.tree import MAX_DEPTH, Scalar, parse, scalar
from ckfunc.manifest.tree import Mapping as Tree
from ckfunc.manifest.tree import Sequence as TreeList
from ckfunc.model.application import ApiCall, Invocation, InvocationDetail, Status
from ckfunc.model.triggers import file_stem
from ckfunc.scaffold.stubs import TESTS_SCHEMA_FILE
from ckfunc.testing.case import CaseResult
from ckfunc.testing.reading import DIRECTORY, SUFFIXES, CaseScope, read_text_cases, refused
from ckfunc.testing.redacting import Redactor, ReplacedSecret
from ckfunc.testing.rendering import failure_lines

if TYPE_CHECKING:
    from ckfunc.model.outputs import AdditionJson


class CannotRecord(CkfuncError):
    """An invocation cannot become a test case."""


@frozen
class CaseFile:
    """A test file, existing or new, of the project at `root`. Messages call it `shown`."""

    path: Path
    root: Path
    shown: str


@frozen
class Addition:
    """The addition of a case: the new text of the test file, the case, and the secrets that were replaced."""

    path: Path
    text: str
    case: Mapping[str, Any]
    redactions: Sequence[ReplacedSecret]

    @property
    def case_text(self) -> str:
        """The YAML text of the case."""
        return case_text(self.case)

    def lines(self, result: CaseResult) -> Iterator[Line]:
        """Yield the replaced secrets, and the result of the case with the local handler."""
        for redaction in self.redactions:
            yield [("  redacted ", "warning"), (printable(str(redaction)), "plain")]
        if not self.redactions:
            yield [("  no secrets were found in it", "plain")]
        if not result.bad:
            yield [("  it passes", "success"), (" with the working copy", "plain")]
            return
        yield [("  it fails", "failure"), (" with the working copy:", "plain")]
        for line in failure_lines(result):
            yield [("    ", "plain"), *line]

    def to_json(self, result: CaseResult, *, written: bool) -> AdditionJson:
        """Return the case, its result and what was replaced in it, for `--json`."""
        return {
            "file": str(self.path),
            "case": dict(self.case),
            "redactions": [
                {"place": redaction.place, "why": redaction.reason, "placeholder": redaction.placeholder}
                for redaction in self.redactions
            ],
            "verdict": result.verdict.value,
            "failures": [miss.message for miss in result.misses],
            "written": written,
        }


@frozen
class Recorded:
    """A recorded case, and the secrets that were replaced in it."""

    case: Mapping[str, Any]
    redactions: tuple[ReplacedSecret, ...]


def test_file(root: Path, trigger_type: str, path: Path | None) -> Path:
    """Return the test file for a case, by default tests/TYPE.yaml. Raises UsageProblem for another kind of file."""
    if path is None:
        return root / DIRECTORY / f"{file_stem(trigger_type)}.yaml"
    if path.suffix not in SUFFIXES:
        raise UsageProblem(f"{str(path)!r} is not a test file", hint="its name must end in .yaml")
    return path


def addition_to(file: CaseFile, make: Callable[[str], Recorded], *, name: str) -> Addition:
    """Return the addition of a case to a test file; `make` gets a name that is free there. Writes nothing.

    Raises CannotAddCase, and InvalidCases for an unreadable file.
    """
    before = _text_of(file)
    addition = make(free_name(name, () if before is None else names_in(before)))
    if before is None:
        return Addition(file.path, new_file(addition.case, _schema_from(file)), addition.case, addition.redactions)
    bare = without_bom(before)
    text = before[: len(before) - len(bare)] + with_case(bare, addition.case, file.shown)
    return Addition(file.path, text, addition.case, addition.redactions)


def require_addable(file: CaseFile, scope: CaseScope, *, name: str | None) -> None:
    """Check that a conversation with this name can be added to a test file, before it is recorded.

    Raises what its addition would raise.
    """

    def example(free: str) -> Recorded:
        return Recorded({"name": free, "conversation": [{"user": "jane", "connects": {}}]}, ())

    trial = addition_to(file, example, name=name or "conversation")
    read_text_cases(file.root, file.path, trial.text, scope)


def _text_of(file: CaseFile) -> str | None:
    """Return the text of a file, or None if it does not exist."""
    if not os.path.lexists(file.path):
        return None
    text = read_text(file.path, file.shown)
    if isinstance(text, Complaint):
        raise refused([Problem(file.shown, text.line, text.column, text.message, text.hint)])
    return text


def _schema_from(file: CaseFile) -> str:
    """Return the path of the JSON schema of test files, relative to a test file."""
    schema = file.root.joinpath(*TESTS_SCHEMA_FILE.split("/"))
    try:
        return Path(os.path.relpath(schema, file.path.parent)).as_posix()
    except ValueError:  # another drive
        return schema.as_posix()


def recorded(
    invocation: Invocation,
    trigger_type: str,
    detail: InvocationDetail | None,
    *,
    name: str,
    environment: Iterable[tuple[str, Secret]],
) -> Recorded:
    """Return a finished run as a case. Raises CannotRecord.

    `environment` are the variables whose values are secret. A case that contained such a value sets the variable to the
    placeholder. `detail` are the emulator's details of the run.
    """
    if invocation.status is Status.RUNNING:
        raise CannotRecord(f"invocation {invocation.id} is still running", hint="try again when it has ended")
    event = dict(invocation.args)
    calls = [_call(call) for call in detail.calls] if detail is not None else []
    if any(deeper_than(part, MAX_DEPTH - 8) for part in (event, invocation.result, calls)):
        raise CannotRecord(
            f"invocation {invocation.id} is nested too deeply for a test case",
            hint="write the case by hand, with the event in a `file`",
        )
    redactor = Redactor(environment)
    outcome = outcome_of(invocation)
    redactor.learn(event, "event")
    redactor.learn(outcome, "expect")
    redactor.learn(calls, "calls")
    expect = redactor.redacted(outcome)
    if calls:
        expect["calls"] = redactor.redacted(calls)
        if detail is not None and not detail.calls_omitted:
            expect["other_calls"] = False
    case: dict[str, Any] = {"name": name, "type": trigger_type, "now": timestamp(invocation.created_time)}
    case["event"] = redactor.redacted(event)
    if redactor.variables:
        case["environment"] = redactor.variables
    return Recorded({**case, "expect": expect}, tuple(redactor.redactions))


def free_name(preferred: str, taken: Collection[str]) -> str:
    """Return `preferred`, with a number if the name is taken."""
    number = 2
    name = preferred
    while name in taken:
        name = f"{preferred} ({number})"
        number += 1
    return name


def outcome_of(invocation: Invocation) -> dict[str, Any]:
    """Return the expected outcome of a run like this one."""
    if invocation.status is Status.SUCCEEDED:
        return {"result": invocation.result.get("payload")}
    error = invocation.result.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    # An empty error message cannot be expected, only the failure.
    return {"error": message} if isinstance(message, str) and message.strip() else {"status": Status.FAILED.value}


def _call(recorded_call: ApiCall) -> dict[str, Any]:
    call: dict[str, Any] = {"method": recorded_call.method, "path": recorded_call.path}
    if recorded_call.body is not None and not _is_partial(recorded_call.body):
        call["body"] = recorded_call.body
    if recorded_call.status >= 100:
        call["status"] = recorded_call.status
    return call


def _is_partial(body: Any) -> bool:
    """Return whether a recorded body is incomplete: cut off, or with files."""
    return isinstance(body, dict) and any(
        name == "$cut" or (isinstance(value, dict) and "$file" in value) for name, value in body.items()
    )


_WIDTH = 110


class CannotAddCase(CkfuncError):
    """The format of a test file does not allow the addition of a case."""


def new_file(case: Mapping[str, Any], schema: str) -> str:
    """Return a test file with a single case. `schema` is the path of its JSON schema, relative to the file."""
    heading = [f"type: {scalar(str(case['type']))}", ""] if "type" in case else []
    lines = [f"# yaml-language-server: $schema={schema}", *heading, "cases:"]
    return "\n".join([*lines, *_item(_without_type(case), 2)]) + "\n"


def with_case(text: str, case: Mapping[str, Any], path: str) -> str:
    """Return the test file `text` with `case` as its last case, without its type if that is the file's.

    `path` is the file's name in messages. Raises CannotAddCase if the file would not be read as expected, and
    InvalidCases for a file that is not YAML.
    """
    root = _parsed(text, path)
    entries = {key.text: value for key, value in reversed(root.entries) if isinstance(key, Scalar)}
    cases, file_type = entries.get("cases"), entries.get("type")
    if not isinstance(cases, TreeList) or not cases.items or cases.flow:
        raise _unsupported(path)
    has_file_type = isinstance(file_type, Scalar) and file_type.text == case.get("type")
    entry = _without_type(case) if has_file_type else case
    column = cases.column - 1
    lines = _item(entry, column)
    want = data(root)
    want["cases"] = [*want["cases"], data(_parsed("\n".join(lines) + "\n", path, item=True))]
    edited = append(text, end_of(text, cases, column + 1), spaced(text, cases, lines))
    added = checked(text, edited, want, path)
    if added is None:
        raise _unsupported(path)
    return added


def names_in(text: str) -> tuple[str, ...]:
    """Return the names of the cases in a test file, even if it has mistakes."""
    try:
        root = parse(text.removeprefix("\ufeff"), "")
    except InvalidManifest:
        return ()
    document = data(root) if root is not None else None
    cases = document.get("cases") if isinstance(document, dict) else None
    names = [case.get("name") for case in cases if isinstance(case, dict)] if isinstance(cases, list) else []
    return tuple(name for name in names if isinstance(name, str))


def case_text(case: Mapping[str, Any]) -> str:
    """Return the YAML text of a case."""
    return "\n".join(_item(case, 2)) + "\n"


def _parsed(text: str, path: str, *, item: bool = False) -> Any:
    try:
        root = parse(text, path)
    except InvalidManifest as error:
        raise refused(error.problems) from None
    if item:
        return root.items[0] if isinstance(root, TreeList) else None
    if not isinstance(root, Tree) or root.flow:
        raise _unsupported(path)
    return root


def _unsupported(path: str) -> CannotAddCase:
    return CannotAddCase(
        f"ckfunc cannot add a case to {path} because of its format",
        hint="use another --file, or write `cases:` as a list whose items begin with `- `",
    )


def _without_type(case: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in case.items() if name != "type"}


def _item(case: Mapping[str, Any], column: int) -> list[str]:
    lines = _block(case)
    return [f"{' ' * column}- {lines[0]}", *(f"{' ' * column}  {line}" if line else "" for line in lines[1:])]


def _block(document: Mapping[str, Any] | list[Any], width: int = _WIDTH) -> list[str]:
    """Return the lines of a mapping or list. Short values are in braces."""
    lines: list[str] = []
    for name, value in document.items() if isinstance(document, Mapping) else ((None, item) for item in document):
        key = "-" if name is None else f"{scalar(_text(name))}:"
        flow = _flow(value)
        if not isinstance(value, dict | list) or not value or len(key) + 1 + len(flow) <= width:
            lines.append(f"{key} {flow}")
            continue
        inner = [f"  {line}" for line in _block(value, width - 2)]
        lines += [f"- {inner[0][2:]}", *inner[1:]] if name is None else [key, *inner]
    return lines


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(_text(name), flow=True)}: {_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str):
        return scalar(_text(value), flow=True)
    return json.dumps(value)


def _text(text: str) -> str:
    """Replace lone surrogates, which YAML cannot contain."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)
