"""Test files of a sample project, and cases built in code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ckfunc.base.errors import UsageProblem
from ckfunc.model.application import ApiCall, ConsoleLine, Status
from ckfunc.model.job import Seed
from ckfunc.sandbox.acts import Act, Consequences, Verb
from ckfunc.testing.case import DEFAULT_NOW, Case, CaseRun, Expectation, Step, StepExpectation, StepRun
from ckfunc.testing.reading import CaseScope, find_files, read_cases

SENT = "user.sent.message"
START = "user.attempted.start_session"

SAMPLES: dict[str, dict[str, Any]] = {
    SENT: {"user": {"id": 1, "name": "jane"}, "message": {"body": "hi", "type": "TEXT"}}
}


def sample(trigger_type: str) -> dict[str, Any]:
    if trigger_type not in SAMPLES:
        raise UsageProblem(f"unknown trigger type {trigger_type!r}")
    return SAMPLES[trigger_type]


SCOPE = CaseScope((SENT, START), sample)


def read(root: Path, text: str, name: str = "a.yaml") -> tuple[Case, ...]:
    """Write one test file and read it."""
    file = root / "tests" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8", newline="")
    return read_cases(root, find_files(root), SCOPE)


def case(expect: Expectation | None = None, **changes: Any) -> Case:
    made: dict[str, Any] = {"file": "tests/a.yaml", "line": 3, "name": "a case", "type": SENT, "event": {}}
    return Case(**{**made, "seed": Seed(), "expect": expect or Expectation(), **changes})


def succeeded(payload: Any = None, *, console: tuple[str, ...] = (), calls: tuple[ApiCall, ...] = ()) -> CaseRun:
    lines = tuple(ConsoleLine("log", text) for text in console)
    return CaseRun(Status.SUCCEEDED, payload, console=lines, calls=calls, duration_ms=1.5)


def failed(message: str, *, name: str = "Error", stack: str = "") -> CaseRun:
    return CaseRun(Status.FAILED, error_name=name, error=message, stack=stack, duration_ms=1.5)


def step_run(expect: StepExpectation | None = None, caused: StepRun | None = None, **changes: Any) -> StepRun:
    """Return a performed step; `caused` has its consequences, or `changes` has some of them."""
    act, line = changes.pop("act", Act(Verb.SAYS, "jane", "desk", text="hello")), changes.pop("line", 3)
    step = Step(line, act, expect or StepExpectation())
    runs = changes.pop("runs", ())
    return StepRun(step, Consequences(DEFAULT_NOW, **changes), runs) if caused is None else replace(caused, step=step)
