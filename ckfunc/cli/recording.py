"""How a recorded invocation becomes a test case: read, cleaned of secrets, shown, tried, and written if agreed to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, Problem, UsageProblem
from ckfunc.base.files import write_atomically
from ckfunc.base.text import printable
from ckfunc.cases.case import Result, Verdict
from ckfunc.cases.judging import judge
from ckfunc.cases.reading import DIRECTORY, SUFFIXES, read_text_cases, refused
from ckfunc.cases.recording import free_name, recorded
from ckfunc.cases.rendering import failure_lines
from ckfunc.cases.writing import case_text, new_file, with_case
from ckfunc.cli.app import App
from ckfunc.cli.testing import Bench, scope_of, working_copy
from ckfunc.model.triggers import Trigger

if TYPE_CHECKING:
    from ckfunc.cases.redacting import Redaction
    from ckfunc.logs.entries import Entry
    from ckfunc.model.project import Project


@dataclass(frozen=True, slots=True)
class Addition:
    """A case that is about to be written: the file as it will be, and what came of the case when it was tried."""

    path: Path
    text: str
    case: Mapping[str, Any]
    redactions: Sequence[Redaction]
    result: Result


def add_case(
    app: App, trigger_type: str | None, invocation_id: int, *, name: str | None, file: Path | None, yes: bool
) -> int:
    """Make a case of an invocation of the target, and write it once it was shown and agreed to.

    Returns the exit code: 1 when it was not. Raises NoSuchInvocation, CannotRecord, CannotAddCase and InvalidCases.
    """
    project = working_copy(app, None)
    entry, variables = _read(app, trigger_type, invocation_id)
    invocation = entry.invocation
    variables += list((project.runtime.environment or {}).items())
    path = _path(app, entry.type, file)
    before = _before(app, path)
    wanted = name or f"invocation {invocation.id}"
    made = recorded(invocation, entry.type, entry.detail, name=free_name(wanted, _names(before)), environment=variables)
    text = (
        new_file(made.case, _schema_from(app, path))
        if before is None
        else _added(before, made.case, app.output.path(path))
    )
    addition = Addition(path, text, made.case, made.redactions, _tried(app, project, path, text))
    if app.output.json:
        app.output.document(_json(addition, written=yes))
    elif not (yes and app.output.quiet):
        _show(app, addition)
    if not yes:
        from ckfunc.cli.asking import confirmed

        if not confirmed(app, "Write this?", hint="look at it, then pass --yes"):
            return EXIT_FAILED
    write_atomically(path, text)
    app.output.talk(("written", "success"), f" to {app.output.path(path)}")
    return EXIT_OK


def _read(app: App, trigger_type: str | None, invocation_id: int) -> tuple[Entry, list[tuple[str, str]]]:
    """Read from the target, with GET alone: the invocation, and the environment's values."""
    from ckfunc.cli.invocations import read_invocation_of

    with app.output.progress("reading"):
        entry = read_invocation_of(app, invocation_id, trigger_type)
        return entry, [*app.client().runtime().environment.items(), *_own(app)]


def _own(app: App) -> Iterator[tuple[str, str]]:
    """Yield the values of the target itself, and the credentials that are known here."""
    yield from (app.sources().runtime.environment or {}).items()
    yield from ((name, value) for name, value in app.environ.items() if name.startswith("CHATKITTY_CLIENT_"))


def _path(app: App, trigger_type: str, file: Path | None) -> Path:
    if file is None:
        return app.named(app.root() / DIRECTORY / f"{Trigger(trigger_type, '').file_stem}.yaml")
    if file.suffix not in SUFFIXES:
        raise UsageProblem(f"{str(file)!r} is no test file", hint="its name ends in .yaml")
    return app.named(file)


def _before(app: App, path: Path) -> str | None:
    """Return what the file holds now, None when there is none. Raises InvalidCases for one that cannot be read."""
    from ckfunc.manifest.sources import Complaint, read_text

    if not os.path.lexists(path):
        return None
    shown = app.output.path(path)
    text = read_text(path, shown)
    if isinstance(text, Complaint):
        raise refused([Problem(shown, text.line, text.column, text.message, text.hint)])
    return text


def _names(text: str | None) -> tuple[str, ...]:
    """Return the names of the cases in a file, whatever else may be wrong with it."""
    from ckfunc.cases.writing import names_in

    return () if text is None else names_in(text)


def _added(before: str, case: Mapping[str, Any], shown: str) -> str:
    from ckfunc.manifest.sources import without_bom

    bare = without_bom(before)
    return before[: len(before) - len(bare)] + with_case(bare, case, shown)


def _schema_from(app: App, path: Path) -> str:
    from ckfunc.scaffold.stubs import TESTS_SCHEMA_FILE

    schema = app.root().joinpath(*TESTS_SCHEMA_FILE.split("/"))
    try:
        return Path(os.path.relpath(schema, path.parent)).as_posix()
    except ValueError:  # another drive
        return schema.as_posix()


def _tried(app: App, project: Project, path: Path, text: str) -> Result:
    """Run the new case, which is the last one of the file. Raises InvalidCases when the file has mistakes."""
    case = read_text_cases(app.root(), path, text, scope_of(project))[-1]
    with app.output.progress("trying it"), ExitStack() as opened:
        return judge(case, Bench(app, project, opened).attempt(case))


def _show(app: App, addition: Addition) -> None:
    output = app.output
    output.talk(("case for ", "title"), output.path(addition.path))
    output.text(printable(case_text(addition.case)))
    for one in addition.redactions:
        output.talk(("  redacted ", "warning"), f"{printable(one.place)}: {one.why} ({one.placeholder} stands for it)")
    if not addition.redactions:
        output.talk("  nothing in it looks like a secret")
    if addition.result.verdict is Verdict.PASSED:
        output.talk(("  it passes", "success"), " with the handler as it is here")
        return
    output.talk(("  it fails", "failure"), " with the handler as it is here:")
    output.talks([("    ", ""), *line] for line in failure_lines(addition.result))


def _json(addition: Addition, *, written: bool) -> dict[str, Any]:
    return {
        "file": str(addition.path),
        "case": dict(addition.case),
        "redactions": [
            {"place": one.place, "why": one.why, "placeholder": one.placeholder} for one in addition.redactions
        ],
        "verdict": addition.result.verdict.value,
        "failures": [one.message for one in addition.result.misses],
        "written": written,
    }
