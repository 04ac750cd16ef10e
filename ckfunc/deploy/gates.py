"""Gates of a deploy: checks that must pass before anything is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

from ckfunc.base.clock import Clock
from ckfunc.base.errors import CkfuncError, InvalidFiles, UsageProblem
from ckfunc.base.text import printable
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.resources import FUNCTIONS
from ckfunc.model.project import GATE

MANIFEST = "manifest"
"""Selects the gates that functions.yaml names."""

NONE = "none"

_MOST_DETAILS = 5


class GatesClosed(CkfuncError):
    """A gate did not pass."""


@dataclass(frozen=True, slots=True)
class GateOutcome:
    """Whether a gate passes, a line about it, and lines that explain why it does not."""

    ok: bool
    summary: str
    details: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """The verdict of one gate. `details` are lines that explain why it did not pass."""

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


GateRunner: TypeAlias = Callable[[Collection[str], int], GateOutcome]
"""Runs a gate for the trigger types that change; the number is that of `replay:50`, 0 for none. Raises CkfuncError."""


def wanted_gates(given: str, manifest: Callable[[], Sequence[str]]) -> tuple[str, ...]:
    """Return the gates that `--gate` names: `manifest`, `none`, or a list with commas. Raises UsageProblem."""
    if given == MANIFEST:
        return tuple(manifest())
    names = [one.strip() for one in given.split(",")] if given != NONE else []
    for name in names:
        if re.fullmatch(GATE, name) is None:
            hint = f"check, test, replay:50, several of them with commas, `{MANIFEST}`, or `{NONE}`"
            raise UsageProblem(f"{name!r} is not a gate", hint=hint)
    return tuple(dict.fromkeys(names))


def run_gates(
    gates: Sequence[str],
    plan: Plan,
    runners: Mapping[str, GateRunner],
    clock: Clock,
    progress: Callable[[str], AbstractContextManager[object]],
) -> tuple[GateVerdict, ...]:
    """Run every gate, so that one run reports everything that is wrong."""
    types = {one.name for one in plan.changes if one.kind == FUNCTIONS}
    verdicts = []
    for gate in gates:
        begin_s = clock.monotonic_s()
        name, _, number = gate.partition(":")
        with progress(f"gate {gate}"):
            try:
                outcome = runners[name](types, int(number or 0))
            except CkfuncError as problem:
                outcome = GateOutcome(False, problem.message, _explained(problem))
        details = () if outcome.ok else _first(outcome.details)
        verdicts.append(GateVerdict(gate, outcome.ok, outcome.summary, clock.monotonic_s() - begin_s, details))
    return tuple(verdicts)


def require_open(verdicts: Sequence[GateVerdict], *, deploys: bool = True) -> None:
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


def _explained(problem: CkfuncError) -> list[str]:
    if isinstance(problem, InvalidFiles) and problem.problems:
        return [str(one) for one in problem.problems]
    return [f"hint: {problem.hint}"] if problem.hint else []


def _first(details: Sequence[str]) -> tuple[str, ...]:
    more = len(details) - _MOST_DETAILS
    return (*details[:_MOST_DETAILS], *([f"and {more} more"] if more > 0 else []))
