"""Test runs: each case in a sandbox, several at a time, results in order."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.annotations import Annotation
from ckfunc.base.errors import CkfuncError, Problem
from ckfunc.base.frozen import frozen
from ckfunc.base.text import Line, with_hint
from ckfunc.base.workers import each_in
from ckfunc.bundle.project import Bundler
from ckfunc.deploy.gates import GateOutcome
from ckfunc.manifest.project import load
from ckfunc.model.application import Status
from ckfunc.model.execution import Determinism
from ckfunc.model.job import Seed
from ckfunc.model.project import Project
from ckfunc.runtime.host import OnCoverage
from ckfunc.sandbox.sandbox import Sandbox
from ckfunc.sandbox.scripts import Conditions, Ran, Scripts, Toolchain, scripts_of
from ckfunc.scaffold.templates import sample_event
from ckfunc.testing.case import (
    DEFAULT_NOW,
    Case,
    CaseKey,
    CaseOutcome,
    CaseResult,
    CaseRun,
    Miss,
    Shard,
    ShardedCases,
    StepRun,
    Tally,
    tally,
)
from ckfunc.testing.coverage import Coverage, CoverageMeter
from ckfunc.testing.judging import judge, step_misses
from ckfunc.testing.reading import DIRECTORY, CaseScope, find_files, read_cases, read_text_cases, refused, shown_path
from ckfunc.testing.rendering import annotations_of, failure_lines, json_of, summary_line
from ckfunc.testing.reports import junit, read_report

if TYPE_CHECKING:
    from ckfunc.model.outputs import TestsJson

LOCAL = "local"
"""The default target, whose environment cases use, so that tests do not need production secrets."""

MOST_JOBS = 64

Try = Callable[[Case], CaseRun]
"""Runs a case. Raises CkfuncError if the case cannot start."""

OpenBench = Callable[[], AbstractContextManager[Try]]
"""Opens a bench, which runs one case at a time."""


class NoTests(CkfuncError):
    """There are no cases to run."""


@frozen
class CaseOptions:
    """The cases to run, and how.

    The cases are those in `paths` (default: `tests/` of the project) whose file, name or type contains `selector`.
    `jobs` of them run at a time (default: one for each processor). Without `allow_only`, `only` in a case is a
    mistake. With `shard`, only its part of the cases runs, balanced by `durations_s`, the known durations of cases.
    """

    paths: Sequence[Path] = ()
    selector: str | None = None
    jobs: int | None = None
    allow_only: bool = True
    measures_coverage: bool = False
    shard: Shard | None = None
    durations_s: Mapping[CaseKey, float] = field(default_factory=dict)


@frozen
class CaseResults:
    """The results of a test run. `warnings` are sentences. `coverage` is None if it was not measured.

    `part` is set for a shard.
    """

    results: tuple[CaseResult, ...]
    seconds: float
    warnings: tuple[str, ...] = ()
    coverage: Coverage | None = None
    part: ShardedCases | None = None

    @property
    def tally(self) -> Tally:
        """The number of cases by verdict."""
        return tally(self.results)

    @property
    def ok(self) -> bool:
        """Whether no case failed."""
        return not self.tally.failed

    @property
    def gate_outcome(self) -> GateOutcome:
        """The outcome as a gate of a deploy."""
        bad = [f"{result.case.file}:{result.case.line}: {result.case.name}" for result in self.results if result.bad]
        return GateOutcome(self.ok, str(self.tally), bad)

    def junit_text(self) -> str:
        """Return the results as JUnit XML."""
        return junit(self.results, self.seconds, self.part)

    def summary_line(self) -> Line:
        """Return the last line of the text output."""
        line = summary_line(self.tally, self.seconds)
        return (
            line if self.part is None else [*line, (f" (shard {self.part.shard} of {self.part.cases} cases)", "muted")]
        )

    def lines(self, *, quiet: bool) -> Iterator[Line]:
        """Yield the failed cases, and unless `quiet` the coverage and the summary, with empty lines between them."""
        parts = [failure_lines(result) for result in self.results if result.bad]
        if not quiet:
            parts += [] if self.coverage is None else [self.coverage.table_lines()]
            parts.append(iter([self.summary_line()]))
        for number, part in enumerate(parts):
            if number or not quiet:
                yield []
            yield from part

    def annotations(self) -> Iterator[Annotation]:
        """Yield an annotation for each failed case."""
        return annotations_of(self.results)

    def to_json(self) -> TestsJson:
        """Return the results for `--json`."""
        document = json_of(self.results, self.tally, self.seconds)
        if self.part is not None:
            document["shard"] = {"shard": str(self.part.shard), "cases": self.part.cases}
        if self.coverage is not None:
            document["coverage"] = self.coverage.to_json()
        return document


def working_copy(root: Path, target: str | None, environ: Mapping[str, str], bundler: Bundler) -> Project:
    """Return the project with bundled scripts for `target` (default: local).

    References to variables without a value stay unresolved. Raises InvalidManifest and InvalidModules.
    """
    return bundler.project(load(root, target or LOCAL, environ, lenient=True))


def run_tests(
    project: Project,
    tools: Toolchain,
    options: CaseOptions = CaseOptions(),
    *,
    on_result: Callable[[CaseResult], None] | None = None,
) -> CaseResults:
    """Run the project's test cases and return their results.

    `on_result` is called with each result, in the order of the cases. Raises NoTests, InvalidCases, and the errors of
    starting Node.
    """
    begin = time.monotonic()
    selector = options.selector
    cases = find_cases(project, options.paths)
    selected = matching(cases, selector)
    if not selected:
        raise NoTests(f"no case has {selector!r} in its file, name or type", hint=f"the tests have {len(cases)} cases")
    shard = options.shard
    if (shard or not options.allow_only) and (only := [case for case in selected if case.only]):
        hint = "remove it: it would silently skip the other cases"
        context = "in shards" if options.allow_only else "in CI"
        raise refused(
            Problem(case.file, case.line, 1, f"the case {case.name!r} has `only`, which is not allowed {context}", hint)
            for case in only
        )
    part = None if shard is None else ShardedCases(shard, len(selected))
    if shard is not None:
        selected = shard.of(selected, options.durations_s)
    results = []
    benches: list[Bench] = []
    meter = CoverageMeter(project, tools.compiler) if options.measures_coverage else None
    on_coverage = None if meter is None else meter.add

    @contextmanager
    def bench() -> Iterator[Try]:
        with ExitStack() as stack:
            opened = Bench(tools, scripts_of(project), stack, on_coverage)
            benches.append(opened)
            yield opened.attempt

    def stop() -> None:
        for bench in list(benches):
            bench.stop()

    with closing(run_all(selected, bench, jobs=options.jobs or _processors(), cut_short=stop)) as running:
        for result in running:
            results.append(result)
            if on_result is not None:
                on_result(result)
    coverage = None if meter is None else meter.coverage()
    warnings = tuple(map(str, project.warnings))
    return CaseResults(tuple(results), time.monotonic() - begin, warnings, coverage, part)


def recorded_durations_s(directory: Path, file: Path) -> Mapping[CaseKey, float]:
    """Return the durations of cases in a JUnit report, whose path is relative to `directory`. Raises InvalidReport."""
    return read_report(directory, file).durations_s()


def run_last_case(project: Project, tools: Toolchain, path: Path, text: str) -> CaseResult:
    """Run the last case that the test file `path` would have with this text. Raises InvalidCases."""
    case = read_text_cases(project.root, path, text, scope_of(project))[-1]
    with ExitStack() as stack:
        return judge(case, Bench(tools, scripts_of(project), stack).attempt(case))


def find_cases(project: Project, paths: Sequence[Path]) -> tuple[Case, ...]:
    """Return all cases in `paths`, which are absolute. Raises NoTests and InvalidCases."""
    files = find_files(project.root, paths)
    if not files:
        searched = ", ".join(shown_path(project.root.resolve(), path) for path in paths) or f"{DIRECTORY}/"
        hint = f"write {DIRECTORY}/NAME.yaml, or record an invocation with `ckfunc test add --invocation ID`"
        raise NoTests(f"there are no test files in {searched}", hint=hint)
    return read_cases(project.root, files, scope_of(project))


def scope_of(project: Project) -> CaseScope:
    """Return the trigger types and samples that cases of this project may refer to."""
    return CaseScope(project.types, sample_event)


def matching(cases: Sequence[Case], selector: str | None) -> tuple[Case, ...]:
    """Return the cases whose file, name or type contains `selector`, ignoring letter case. None selects all."""
    if selector is None:
        return tuple(cases)
    text = selector.casefold()
    return tuple(case for case in cases if text in f"{case.file} › {case.name} › {case.type}".casefold())


def run_all(
    cases: Sequence[Case], open_bench: OpenBench, *, jobs: int, cut_short: Callable[[], None] = lambda: None
) -> Generator[CaseResult]:
    """Yield the result of each case, in the order of the cases, as soon as possible.

    `jobs` cases run at a time, each on a bench of its own, which is opened when it is first needed. If the caller stops
    early, `cut_short` is called to end the running cases. Raises the errors of opening a bench.
    """
    any_only = any(case.only for case in cases)
    results = [_result_without_run(case, any_only=any_only) for case in cases]
    to_run = [(index, case) for index, case in enumerate(cases) if results[index] is None]

    @contextmanager
    def worker() -> Iterator[Callable[[tuple[int, Case]], tuple[int, CaseResult]]]:
        with open_bench() as attempt:
            yield lambda numbered: (numbered[0], _result_of_run(numbered[1], attempt))

    with closing(each_in(to_run, worker, at_once=jobs, cut_short=cut_short)) as done:
        for index in range(len(results)):
            while (result := results[index]) is None:
                at, results[at] = next(done)
            yield result
        next(done, None)  # closes all benches


def _result_without_run(case: Case, *, any_only: bool) -> CaseResult | None:
    """Return the result of a case that does not run, or None if it must run."""
    if case.skip is not None:
        return CaseResult(case, CaseOutcome.SKIPPED)
    return CaseResult(case, CaseOutcome.LEFT_OUT) if any_only and not case.only else None


def _result_of_run(case: Case, attempt: Try) -> CaseResult:
    try:
        return judge(case, attempt(case))
    except CkfuncError as error:
        reason = with_hint(f"it could not run: {error.message}", error.hint)
        return CaseResult(case, CaseOutcome.BROKEN, (Miss("case", reason),))


class Bench:
    """Runs cases one at a time. No case sees traces of an earlier one."""

    def __init__(
        self, tools: Toolchain, scripts: Scripts, stack: ExitStack, on_coverage: OnCoverage | None = None
    ) -> None:
        self._tools = tools
        self._on_coverage = on_coverage
        self._scripts = scripts
        self._opened = stack
        self._sandboxes: dict[bool, Sandbox] = {}
        self._planted: dict[bool, Seed] = {}
        self._stopped = False

    def attempt(self, case: Case) -> CaseRun:
        """Run a case. Raises CkfuncError if the case cannot start."""
        scripts = replace(self._scripts, environment={**self._scripts.environment, **case.environment})
        sandbox = self._sandbox(case, scripts)
        if self._planted.get(case.network) == case.seed:
            sandbox.restore_data()
        else:
            self._plant(sandbox, case)
        sandbox.set_faults(case.faults)
        if case.steps:
            run = _conversation(sandbox, case)
        else:
            run = observed(sandbox.run(case.type, case.event, determinism=_determinism(case.now)))
        if not case.faults:
            return run
        return replace(
            run, unmet=tuple(active.fault for active in sandbox.faults() if active.is_certain and not active.hits)
        )

    def stop(self) -> None:
        """End the running case, from any thread. No further case can run."""
        self._stopped = True
        for sandbox in list(self._sandboxes.values()):
            sandbox.stop()

    def _plant(self, sandbox: Sandbox, case: Case) -> None:
        try:
            sandbox.set_seed(case.seed)
        except CkfuncError:
            del self._sandboxes[case.network]  # the next case must not see a part of the seed
            self._planted.pop(case.network, None)
            raise
        self._planted[case.network] = case.seed

    def _sandbox(self, case: Case, scripts: Scripts) -> Sandbox:
        sandbox = self._sandboxes.get(case.network)
        if sandbox is None:
            # A fixed time, because code outside of handlers must not see the time of the first case.
            conditions = Conditions(
                determinism=_determinism(DEFAULT_NOW),
                network=case.network,
                renewable=True,
                on_coverage=self._on_coverage,
            )
            sandbox = self._opened.enter_context(Sandbox(self._tools, scripts, conditions))
            self._sandboxes[case.network] = sandbox
            if self._stopped:  # during the set-up
                raise CkfuncError("the tests were stopped")
        else:
            sandbox.reset_hosts()
            sandbox.use(scripts)
        return sandbox


def observed(ran: Ran) -> CaseRun:
    """Return the parts of a run that can be expected."""
    error = ran.invocation.result.get("error") or {}
    return CaseRun(
        status=ran.invocation.status,
        payload=ran.invocation.result.get("payload"),
        error_name=str(error.get("name") or ""),
        error=str(error.get("message") or "") if error else None,
        stack=str(error.get("stack") or ""),
        console=ran.detail.console,
        calls=ran.detail.calls,
        duration_ms=ran.detail.duration_ms or 0.0,
    )


def _conversation(sandbox: Sandbox, case: Case) -> CaseRun:
    """Perform the steps of a conversation, up to the first one with other consequences than expected."""
    steps: list[StepRun] = []
    with sandbox.conversation(case.now) as perform:
        for step in case.steps:
            caused = perform(step.act)
            steps.append(StepRun(step, caused, tuple((run.type, observed(run.ran)) for run in caused.runs)))
            if any(step_misses(steps[-1])):
                break
    runs = [run for step in steps for _, run in step.runs]
    return CaseRun(
        Status.SUCCEEDED,
        console=tuple(line for run in runs for line in run.console),
        calls=tuple(call for run in runs for call in run.calls),
        duration_ms=sum(run.duration_ms for run in runs),
        steps=tuple(steps),
    )


def _determinism(now: datetime) -> Determinism:
    return Determinism(round(now.timestamp() * 1000), 1)


def _processors() -> int:
    usable = getattr(os, "process_cpu_count", os.cpu_count)() or 1
    return max(1, min(usable, MOST_JOBS))
