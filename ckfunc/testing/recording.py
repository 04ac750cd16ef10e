"""Add a recorded invocation to a test file, without secrets."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckfunc.base.clock import timestamp
from ckfunc.base.documents import deeper_than
from ckfunc.base.errors import CkfuncError, Problem, UsageProblem
from ckfunc.base.secrets import Secret
from ckfunc.base.text import Line
from ckfunc.manifest.sources import Complaint, read_text, without_bom
from ckfunc.manifest.tree import MAX_DEPTH
from ckfunc.model.application import ApiCall, Invocation, InvocationDetail, Status
from ckfunc.model.triggers import Trigger
from ckfunc.scaffold.stubs import TESTS_SCHEMA_FILE
from ckfunc.testing.case import CaseResult
from ckfunc.testing.reading import DIRECTORY, SUFFIXES, CaseScope, read_text_cases, refused
from ckfunc.testing.redacting import Redactor, ReplacedSecret
from ckfunc.testing.rendering import addition_lines
from ckfunc.testing.writing import case_text, names_in, new_file, with_case

if TYPE_CHECKING:
    from ckfunc.model.outputs import AdditionJson


class CannotRecord(CkfuncError):
    """An invocation cannot become a test case."""


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A test file, existing or new, of the project at `root`. Messages call it `shown`."""

    path: Path
    root: Path
    shown: str


@dataclass(frozen=True, slots=True)
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
        return addition_lines(self.redactions, result)

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


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded case, and the secrets that were replaced in it."""

    case: Mapping[str, Any]
    redactions: tuple[ReplacedSecret, ...]


def test_file(root: Path, trigger_type: str, path: Path | None) -> Path:
    """Return the test file for a case, by default tests/TYPE.yaml. Raises UsageProblem for another kind of file."""
    if path is None:
        return root / DIRECTORY / f"{Trigger(trigger_type, '').file_stem}.yaml"
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

    def made(free: str) -> Recorded:
        return Recorded({"name": free, "conversation": [{"user": "jane", "connects": {}}]}, ())

    trial = addition_to(file, made, name=name or "conversation")
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
    outcome = _outcome(invocation)
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


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Return `wanted`, with a number if the name is taken."""
    number = 2
    name = wanted
    while name in taken:
        name = f"{wanted} ({number})"
        number += 1
    return name


def _outcome(invocation: Invocation) -> dict[str, Any]:
    if invocation.status is Status.SUCCEEDED:
        return {"result": invocation.result.get("payload")}
    error = invocation.result.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    # An empty error message cannot be expected, only the failure.
    return {"error": message} if isinstance(message, str) and message.strip() else {"status": Status.FAILED.value}


def _call(made: ApiCall) -> dict[str, Any]:
    call: dict[str, Any] = {"method": made.method, "path": made.path}
    if made.body is not None and not _is_partial(made.body):
        call["body"] = made.body
    if made.status >= 100:
        call["status"] = made.status
    return call


def _is_partial(body: Any) -> bool:
    """Return whether a recorded body is incomplete: cut off, or with files."""
    return isinstance(body, dict) and any(
        name == "$cut" or (isinstance(value, dict) and "$file" in value) for name, value in body.items()
    )
