"""What has to pass before a deploy writes anything: type check, tests, and a replay of what was recorded."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckfunc.base.errors import CkfuncError, InvalidFiles, UsageProblem
from ckfunc.base.text import Line, Segment, printable
from ckfunc.cli.app import App
from ckfunc.model.project import GATE

if TYPE_CHECKING:
    from ckfunc.deploy.plan.plan import Plan

MANIFEST = "manifest"
"""Stands for the gates that functions.yaml names."""

NONE = "none"

_MOST_DETAILS = 5


class GatesClosed(CkfuncError):
    """A gate did not pass."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one gate. `details` are lines that tell why it did not pass."""

    gate: str
    ok: bool
    summary: str
    seconds: float
    details: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the verdict for `--json`."""
        return {
            "gate": self.gate,
            "ok": self.ok,
            "summary": printable(self.summary),
            "seconds": round(self.seconds, 3),
            "details": [printable(one) for one in self.details],
        }


def wanted_gates(app: App, given: str) -> tuple[str, ...]:
    """Return the gates that `--gate` asks for: `manifest`, `none`, or a list with commas. Raises UsageProblem."""
    if given == MANIFEST:
        return app.sources().gates
    names = [one.strip() for one in given.split(",")] if given != NONE else []
    for name in names:
        if re.fullmatch(GATE, name) is None:
            hint = f"check, test, replay:50, several of them with commas, `{MANIFEST}`, or `{NONE}`"
            raise UsageProblem(f"{name!r} is not a gate", hint=hint)
    return tuple(dict.fromkeys(names))


def try_gates(app: App, gates: Sequence[str], plan: Plan) -> tuple[Verdict, ...]:
    """Try every gate, so that one run tells all that is wrong; prints nothing but progress."""
    types = {one.name for one in plan.changes if one.kind == "functions"}
    verdicts = []
    for gate in gates:
        begin = app.clock.monotonic_s()
        app.output.detail(f"gate {gate}")
        with app.output.progress(f"gate {gate}"):
            try:
                ok, summary, details = _tried(app, gate, types)
            except CkfuncError as problem:
                ok, summary = False, problem.message
                details = [str(one) for one in problem.problems] if isinstance(problem, InvalidFiles) else []
                details += [f"hint: {problem.hint}"] if problem.hint and not details else []
        took_s = app.clock.monotonic_s() - begin
        verdicts.append(Verdict(gate, ok, summary, took_s, _first(details) if not ok else ()))
    return tuple(verdicts)


def require_open(verdicts: Sequence[Verdict], *, deploys: bool = True) -> None:
    """Raise GatesClosed unless every gate passed. `deploys` is whether the command would deploy without gates."""
    closed = [one.gate for one in verdicts if not one.ok]
    if closed:
        names = dict.fromkeys(one.partition(":")[0] for one in closed)
        commands = [f"`ckfunc {one}{' TYPE' if one == 'replay' else ''}`" for one in names]
        shows = f"{' and '.join(commands)} {'show' if len(commands) > 1 else 'shows'} more"
        raise GatesClosed(
            f"{'the gates' if len(closed) > 1 else 'the gate'} {', '.join(closed)} did not pass; nothing was written",
            hint=f"{shows}; --gate none deploys without gates" if deploys else shows,
        )


def verdict_lines(verdicts: Sequence[Verdict]) -> list[Line]:
    """Return the verdicts for people."""
    lines: list[Line] = []
    width = max((len(one.gate) for one in verdicts), default=0)
    for one in verdicts:
        sign = Segment("  ✓ ", "success") if one.ok else Segment("  ✗ ", "failure")
        took = Segment(f"  ({one.seconds:.1f} s)", "muted")
        lines.append((sign, Segment(f"{one.gate.ljust(width)}  "), Segment(printable(one.summary)), took))
        lines += ((Segment(f"      {printable(detail)}", "muted"),) for detail in one.details)
    return lines


def verdicts_markdown(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts as a part of a comment."""
    from ckfunc.deploy.show.markdown import escaped

    if not verdicts:
        return ""
    whole = "all gates pass" if all(one.ok for one in verdicts) else "**a gate does not pass**"
    rows = [
        f"| {'✓' if one.ok else '✗'} | {escaped(one.gate)} | "
        f"{'<br>'.join(escaped(text) for text in (one.summary, *one.details))} |"
        for one in verdicts
    ]
    return "\n".join(["", f"#### Gates: {whole}", "", "| | gate | verdict |", "|---|---|---|", *rows, ""])


def _tried(app: App, gate: str, types: Collection[str]) -> tuple[bool, str, list[str]]:
    """Try one gate: whether it passes, a line about it, and lines that tell why not. Raises CkfuncError."""
    name, _, number = gate.partition(":")
    return _GATES[name](app, types, int(number or 0))


def _check(app: App, _types: Collection[str], _number: int) -> tuple[bool, str, list[str]]:
    found = app.check()
    return found.ok, found.summary, [str(one) for one in found.problems]


def _test(app: App, _types: Collection[str], _number: int) -> tuple[bool, str, list[str]]:
    from ckfunc.testing.running import run_tests, working_copy

    project = working_copy(app.root(), app.settings.target, app.environ, app.bundler())
    found = run_tests(project, app.toolchain(), allow_only=not app.environ.get("CI"))
    return (
        found.ok,
        str(found.tally),
        [f"{one.case.file}:{one.case.line}: {one.case.name}" for one in found.results if one.bad],
    )


def _replay(app: App, types: Collection[str], number: int) -> tuple[bool, str, list[str]]:
    from ckfunc.cli.replaying import USUAL_COUNT, replay_functions

    found = replay_functions(app, types, number or USUAL_COUNT)
    return found.ok, found.summary, list(found.details)


_GATES: dict[str, Callable[[App, Collection[str], int], tuple[bool, str, list[str]]]] = {
    "check": _check,
    "test": _test,
    "replay": _replay,
}


def _first(details: Sequence[str]) -> tuple[str, ...]:
    more = len(details) - _MOST_DETAILS
    return (*details[:_MOST_DETAILS], *([f"and {more} more"] if more > 0 else []))
