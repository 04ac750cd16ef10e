"""How the user's own tests are run, each case on an emulator of its own, and how that is told."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, Problem
from ckfunc.base.files import write_atomically
from ckfunc.cases.case import DEFAULT_NOW, Case, Observed, Result, Verdict
from ckfunc.cases.reading import DIRECTORY, Scope, find_files, read_cases, refused
from ckfunc.cases.running import Try, chosen, run_all
from ckfunc.cases.tally import Tally, tally
from ckfunc.cli.app import App
from ckfunc.model.execution import Steady

if TYPE_CHECKING:
    from ckfunc.model.job import Seed
    from ckfunc.model.project import Project
    from ckfunc.sandbox.sandbox import Sandbox
    from ckfunc.sandbox.scripts import Ran, Scripts

LOCAL = "local"
"""The target whose environment cases run in, unless told otherwise: no test should need a production secret."""

MOST_JOBS = 64


class NoTests(CkfuncError):
    """There is nothing to run."""


@dataclass(frozen=True, slots=True)
class Tested:
    """What the tests came to. `warnings` are sentences."""

    results: tuple[Result, ...]
    seconds: float
    warnings: tuple[str, ...] = ()

    @property
    def tally(self) -> Tally:
        """How many cases had which end."""
        return tally(self.results)

    @property
    def passed(self) -> int:
        """How many cases passed."""
        return self.tally.passed

    @property
    def failed(self) -> int:
        """How many cases failed, or could not be tried."""
        return self.tally.failed

    @property
    def ok(self) -> bool:
        """Whether no case failed."""
        return not self.failed

    @property
    def summary(self) -> str:
        """The whole in one line."""
        first = next((one for one in self.results if one.bad), None)
        where = f"; first: {first.case.file}:{first.case.line} {first.case.name}" if first else ""
        return f"{self.tally}{where}"


def run_tests(
    app: App,
    paths: Sequence[Path] = (),
    *,
    wanted: str | None = None,
    jobs: int | None = None,
    target: str | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> Tested:
    """Run the cases of `paths` (default: `tests/` of the project) and return what came of them; prints nothing.

    `wanted` takes only cases whose file, name or type holds this text; `jobs` run at a time (default: one for each
    processor); `target` is whose environment they run in (default: local). `on_result` gets each result, in the order
    of the cases. Raises NoTests, InvalidCases, InvalidManifest, InvalidModules, and what keeps Node from running.
    """
    begin = time.monotonic()
    project = working_copy(app, target)
    cases = find_cases(app, project, paths)
    picked = chosen(cases, wanted)
    if not picked:
        raise NoTests(f"no case has {wanted!r} in its file, name or type", hint=f"there are {len(cases)} cases")
    if app.environ.get("CI") and (only := [one for one in picked if one.only]):
        hint = "it is for the desk: in CI it would hide that the other cases were not run"
        raise refused(Problem(one.file, one.line, 1, f"the case {one.name!r} has `only`", hint) for one in only)
    results = []
    benches: list[Bench] = []

    def cut_short() -> None:
        for bench in list(benches):
            bench.stop()

    places = partial(_places, app, project, benches)
    with closing(run_all(picked, places, jobs=jobs or _processors(), cut_short=cut_short)) as running:
        for result in running:
            results.append(result)
            if on_result is not None:
                on_result(result)
    return Tested(tuple(results), time.monotonic() - begin, project.warnings)


def working_copy(app: App, target: str | None) -> Project:
    """Return the project as it would run, a variable without a value left as it is written."""
    from ckfunc.manifest import load

    return app.bundler().project(load(app.root(), target or LOCAL, app.environ, lenient=True))


def find_cases(app: App, project: Project, paths: Sequence[Path]) -> tuple[Case, ...]:
    """Return all cases; raises NoTests and InvalidCases."""
    files = find_files(app.root(), [app.directory / one for one in paths])
    if not files:
        where = ", ".join(map(str, paths)) or f"{DIRECTORY}/"
        hint = f"write {DIRECTORY}/NAME.yaml, or make one of what happened: ckfunc test add --invocation ID"
        raise NoTests(f"there are no test files in {where}", hint=hint)
    return read_cases(app.root(), files, scope_of(project))


def scope_of(project: Project) -> Scope:
    """Return what cases of this project may refer to."""
    from ckfunc.scaffold.samples import sample_event

    return Scope(tuple(one.type for one in project.functions or ()), sample_event)


@contextmanager
def _places(app: App, project: Project, benches: list[Bench]) -> Iterator[Try]:
    """Make a place where cases are tried: an emulator, and a Node process that is as new for each case."""
    with ExitStack() as opened:
        bench = Bench(app, project, opened)
        benches.append(bench)
        yield bench.attempt


class Bench:
    """Tries one case after the other; what a case leaves behind is gone before the next."""

    def __init__(self, app: App, project: Project, opened: ExitStack) -> None:
        from ckfunc.sandbox.scripts import scripts_of

        self._app = app
        self._scripts = scripts_of(project)
        self._opened = opened
        self._sandboxes: dict[bool, tuple[Sandbox, Scripts]] = {}
        self._planted: dict[bool, Seed] = {}
        self._stopped = False

    def attempt(self, case: Case) -> Observed:
        """Run one case. Raises CkfuncError when it cannot begin."""
        scripts = replace(self._scripts, environment={**self._scripts.environment, **case.environment})
        sandbox = self._sandbox(case, scripts)
        if self._planted.get(case.network) == case.seed:
            sandbox.begin_again()
        else:
            self._plant(sandbox, case)
        return observed(sandbox.run(case.type, case.event, steady=_steady(case.now)))

    def stop(self) -> None:
        """End what is being tried, from any thread; nothing more can be tried."""
        self._stopped = True
        for sandbox, _ in list(self._sandboxes.values()):
            sandbox.stop()

    def _plant(self, sandbox: Sandbox, case: Case) -> None:
        try:
            sandbox.plant(case.seed)
        except CkfuncError:
            del self._sandboxes[case.network]  # the next case shall not find half of it
            self._planted.pop(case.network, None)
            raise
        self._planted[case.network] = case.seed

    def _sandbox(self, case: Case, scripts: Scripts) -> Sandbox:
        from ckfunc.sandbox.sandbox import Sandbox
        from ckfunc.sandbox.scripts import Conditions

        known = self._sandboxes.get(case.network)
        if known is None:
            # What runs outside of handlers must not see the time of whichever case came first.
            conditions = Conditions(steady=_steady(DEFAULT_NOW), network=case.network, renewable=True)
            sandbox = self._opened.enter_context(Sandbox.repeatable(self._app.toolchain(), scripts, conditions))
            self._sandboxes[case.network] = (sandbox, scripts)
            if self._stopped:  # while it was set up
                raise CkfuncError("the tests were ended")
        else:
            sandbox = known[0]
            sandbox.begin_anew()
            if known[1] != scripts:
                sandbox.use(scripts)
        self._sandboxes[case.network] = (sandbox, scripts)
        return sandbox


def observed(ran: Ran) -> Observed:
    """Return what judges want to know of a run."""
    error = ran.invocation.result.get("error") or {}
    return Observed(
        status=ran.invocation.status,
        payload=ran.invocation.result.get("payload"),
        error_name=str(error.get("name") or ""),
        error=str(error.get("message") or "") if error else None,
        stack=str(error.get("stack") or ""),
        console=ran.detail.console,
        calls=ran.detail.calls,
        duration_ms=ran.detail.duration_ms or 0.0,
    )


def _steady(now: datetime) -> Steady:
    return Steady(round(now.timestamp() * 1000), 1)


def _processors() -> int:
    usable = getattr(os, "process_cpu_count", os.cpu_count)() or 1
    return max(1, min(usable, MOST_JOBS))


# -- telling -----------------------------------------------------------------------------------------------------------


def test_project(app: App, paths: Sequence[Path], *, wanted: str | None, jobs: int | None, junit: Path | None) -> int:
    """Run the tests and show what came of them; return the exit code."""
    from ckfunc.cases import rendering
    from ckfunc.cases.junit import junit as junit_of

    output = app.output
    shown = _Shown(app)
    report = None if junit is None else app.named(junit)
    with shown.waiting():
        tested = run_tests(app, paths, wanted=wanted, jobs=jobs, target=app.settings.target, on_result=shown.result)
    for warning in tested.warnings:
        output.warn(warning)
    if report is not None:
        write_atomically(report, junit_of(tested.results, tested.seconds))
    if output.json:
        output.document(rendering.json_of(tested.results, tested.tally, tested.seconds))
        return EXIT_OK if tested.ok else EXIT_FAILED
    for number, result in enumerate(one for one in tested.results if one.bad):
        if number or not output.quiet:
            output.line()
        output.lines(rendering.failure_lines(result))
    if not output.quiet:
        output.line()
        output.line(*rendering.summary_line(tested.tally, tested.seconds))
    return EXIT_OK if tested.ok else EXIT_FAILED


class _Shown:
    """Prints results as they come: a heading for each file, a line for each case."""

    def __init__(self, app: App) -> None:
        self._output = app.output
        self._waiting = ExitStack()
        self._file = ""

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Show that something is under way until the first result is there."""
        with self._waiting:
            self._waiting.enter_context(self._output.progress("running the tests"))
            yield

    def result(self, result: Result) -> None:
        """Print one result."""
        from ckfunc.cases.rendering import result_line

        self._waiting.close()
        if self._output.json or self._output.quiet or result.verdict is Verdict.LEFT_OUT:
            return
        if result.case.file != self._file:
            self._file = result.case.file
            self._output.line((self._file, "title"))
        self._output.line(*result_line(result))
        self._output.flush()
