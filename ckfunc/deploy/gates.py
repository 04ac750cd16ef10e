"""Gates and hooks: checks that must pass, and commands around a deploy."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ckfunc.base.clock import Clock
from ckfunc.base.errors import CkfuncError, InvalidFiles, UsageProblem
from ckfunc.base.frozen import frozen
from ckfunc.base.text import cut, printable
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.resources import FUNCTIONS
from ckfunc.model.project import GATE, Project

if TYPE_CHECKING:
    from ckfunc.model.outputs import GateJson, PlanJson, ReportJson, ResumedWatchJson

MANIFEST = "manifest"
"""Selects the gates of functions.yaml."""
NONE = "none"
_MOST_DETAILS = 5
_MOST_COLUMNS = 60


class GatesFailed(CkfuncError):
    """A gate did not pass."""


@frozen
class GateOutcome:
    """Whether a gate passed, a summary line, and lines that explain a failure."""

    ok: bool
    summary: str
    details: Sequence[str] = ()


@frozen
class GateVerdict(GateOutcome):
    """The verdict of one gate: its outcome, with fewer details, and how long it took."""

    gate: str = ""
    seconds: float = 0.0

    def to_json(self) -> GateJson:
        """Return the verdict for `--json`."""
        return {
            "gate": self.gate,
            "ok": self.ok,
            "summary": printable(self.summary),
            "seconds": round(self.seconds, 3),
            "details": [printable(detail) for detail in self.details],
        }


GateRunner: TypeAlias = Callable[[Collection[str], int], GateOutcome]
"""Runs a gate for the changed trigger types. The number is the N of `replay:N`, or 0. Raises CkfuncError."""


def parse_gates(text: str, manifest: Callable[[], Sequence[str]]) -> tuple[str, ...]:
    """Return the gates of a `--gate` value: `manifest`, `none`, or a comma-separated list. Raises UsageProblem."""
    if text == MANIFEST:
        return tuple(manifest())
    names = [part.strip() for part in text.split(",")] if text != NONE else []
    for name in names:
        if re.fullmatch(GATE, name) is None:
            hint = f"use `{MANIFEST}`, `{NONE}`, or a comma-separated list of check, test and replay:N"
            raise UsageProblem(f"{name!r} is not a gate", hint=hint)
    return tuple(dict.fromkeys(names))


def run_gates(
    gates: Sequence[str],
    plan: Plan,
    runners: Mapping[str, GateRunner],
    clock: Clock,
    detail: Callable[[str], None],
    progress: Callable[[str], AbstractContextManager[object]],
) -> tuple[GateVerdict, ...]:
    """Run all gates, even after a failure, so that one run reports every problem.

    `detail` and `progress` show which gate runs.
    """
    types = {change.name for change in plan.changes if change.kind == FUNCTIONS}
    verdicts = []
    for gate in gates:
        begin_s = clock.monotonic_s()
        name, _, number = gate.partition(":")
        detail(f"gate {gate}")
        with progress(f"gate {gate}"):
            try:
                outcome = runners[name](types, int(number or 0))
            except CkfuncError as problem:
                outcome = GateOutcome(False, problem.message, _failure_details(problem))
        details = () if outcome.ok else _shortened(outcome.details)
        verdicts.append(GateVerdict(outcome.ok, outcome.summary, details, gate, clock.monotonic_s() - begin_s))
    return tuple(verdicts)


def require_passed(verdicts: Sequence[GateVerdict], *, deploys: bool = True) -> None:
    """Raise GatesFailed unless every gate passed. `deploys` says whether the command is a deploy."""
    failed = [verdict.gate for verdict in verdicts if not verdict.ok]
    if failed:
        names = dict.fromkeys(gate.partition(":")[0] for gate in failed)
        commands = [f"`ckfunc {name}{' TYPE' if name == 'replay' else ''}`" for name in names]
        shows = f"{' and '.join(commands)} {'show' if len(commands) > 1 else 'shows'} more"
        raise GatesFailed(
            f"{'the gates' if len(failed) > 1 else 'the gate'} {', '.join(failed)} did not pass; nothing was written",
            hint=f"{shows}; --gate none deploys without gates" if deploys else shows,
        )


def _failure_details(problem: CkfuncError) -> list[str]:
    if isinstance(problem, InvalidFiles) and problem.problems:
        return [str(line) for line in problem.problems]
    return [f"hint: {problem.hint}"] if problem.hint else []


def _shortened(details: Sequence[str]) -> tuple[str, ...]:
    more = len(details) - _MOST_DETAILS
    return (*details[:_MOST_DETAILS], *([f"and {more} more"] if more > 0 else []))


class HookFailed(CkfuncError):
    """A hook ended with an error."""


def run_before_deploy(project: Project, document: PlanJson) -> None:
    """Run the hook that precedes the first write of a plan. Raises HookFailed."""
    _run_hook("before_deploy", project.hooks.before_deploy, document, project.root, failed="nothing was written")


def run_after_deploy(project: Project, document: ReportJson | ResumedWatchJson, *, failed: str) -> None:
    """Run the hook that follows a deploy and its watch. Raises HookFailed, with a message that ends with `failed`."""
    _run_hook("after_deploy", project.hooks.after_deploy, document, project.root, failed=failed)


def _run_hook(name: str, command: str | None, document: object, root: Path, *, failed: str) -> None:
    """Run a command of functions.yaml in the shell, in the project's directory. Raises HookFailed.

    Its standard input is `document` as JSON. Its output goes to standard error, so that standard output only has the
    results of the deploy. `failed` is the end of the message about a failure.
    """
    if command is None:
        return
    import subprocess  # only deploys with hooks need it

    text = json.dumps(document, indent=2)
    process = subprocess.Popen(command, shell=True, cwd=root, stdin=subprocess.PIPE, stdout=2, encoding="utf-8")  # noqa: S602 - the project's own command
    with process:
        try:
            process.communicate(text)
        except BrokenPipeError:  # the hook does not read its input
            pass
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        shown = cut(printable(command).replace("\n", " "), _MOST_COLUMNS)
        raise HookFailed(
            f"the hook {name} (`{shown}`) {_ended(process.returncode)}; {failed}", _hint(process.returncode)
        )


def _ended(code: int) -> str:
    if code < 0:
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
    return f"failed with exit code {code}"


def _hint(code: int) -> str | None:
    """Return a hint for the exit codes with which POSIX shells report commands that they cannot run."""
    if code == 127:
        return "the command was not found: install it, or fix `hooks` in functions.yaml"
    if code == 126:
        return "the command cannot be executed: check its permissions, or fix `hooks` in functions.yaml"
    return None
