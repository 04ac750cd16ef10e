"""`ckfunc test`: run the project's tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, UsageProblem
from ckfunc.base.files import write_atomically
from ckfunc.base.messages import writing
from ckfunc.cli.app import App
from ckfunc.cli.options import FILE, command, format_option
from ckfunc.cli.test_additions import add, project_for_cases, record
from ckfunc.cli.test_reports import lcov_option, lcov_path, merge, read_report, threshold_option

if TYPE_CHECKING:
    from ckfunc.testing.case import CaseResult
    from ckfunc.testing.running import CaseResults
    from ckfunc.testing.sharding import Shard

# The rooms are imported inside the functions: `--help` and completion need none of them.


def _shard(_ctx: click.Context, _param: click.Parameter, text: str | None) -> Shard | None:
    from ckfunc.testing.sharding import MOST_SHARDS, read_shard

    if text is None:
        return None
    shard = read_shard(text)
    if shard is None:
        raise UsageProblem(
            f"--shard {text!r} is not a part such as 2/4",
            hint=f"the parts of 4 are 1/4, 2/4, 3/4 and 4/4; there can be {MOST_SHARDS} parts",
        )
    return shard


class _Test(click.Command):
    """A command that takes paths, with the subcommands `add`, `record` and `merge`."""

    @property
    def commands(self) -> dict[str, click.Command]:
        """The subcommands, as in a group."""
        return {"add": add, "record": record, "merge": merge}

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args and args[0] in self.commands:
            return self.commands[args[0]].make_context(f"{info_name} {args[0]}", args[1:], parent=parent, **extra)
        return super().make_context(info_name, args, parent=parent, **extra)


@command(
    """
  ckfunc test                               every case in tests/
  ckfunc test tests/start.yaml              the cases of one file
  ckfunc test --filter greets               cases with this text
  ckfunc test --junit report.xml            for CI, as JUnit XML
  ckfunc test --shard 2/4                   the second of four parts
  ckfunc test --coverage                    show lines that no case runs
  ckfunc test --coverage-threshold 80       fail below 80% of the lines
  ckfunc test --format github               for CI: github, gitlab, sarif
  ckfunc test add --invocation 4711         create a case from a run
  ckfunc test record                        record a conversation
  ckfunc test merge --help                  merge the reports of shards

\b
A test file, tests/start.yaml:
  type: user.attempted.start_session
  cases:
    - name: a known user is let in
      data: {users: [{name: jane@example.com}]}
      event: {username: jane@example.com, authParams: {}}
      expect:
        result_includes: {isNew: false}
        console: welcome back
        calls: [{method: GET, path: /users}]
    - name: a wrong code is refused
      event: {username: jane@example.com, authParams: {staffCode: "1"}}
      expect: {error: not the staff code}
    - name: a customer gets an answer
      conversation:
        - {user: jane@example.com, connects: {displayName: Jane}}
        - user: jane@example.com
          says: /help
          channel: support
          expect: {messages: [{system: true, body_includes: You can}]}
    """,
    cls=_Test,
)
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--filter", "selector", metavar="TEXT", help="Only cases whose file, name or type contains TEXT.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Run N cases at a time (default: the number of processors).",
)
@click.option("--junit", type=FILE, metavar="FILE", help="Also write the results as JUnit XML.")
@click.option(
    "--shard",
    metavar="I/N",
    callback=_shard,
    help="Only run part I of N parts of about equal duration, for several machines.",
)
@click.option(
    "--durations",
    type=FILE,
    metavar="FILE",
    help="With --shard: balance by the durations in this JUnit report.",
)
@click.option("--coverage", is_flag=True, help="Measure line coverage: print a table, and write coverage/lcov.info.")
@lcov_option("Measure line coverage, and write it to this lcov file.")
@threshold_option
@format_option
def test(
    app: App,
    paths: tuple[Path, ...],
    selector: str | None,
    jobs: int | None,
    junit: Path | None,
    shard: Shard | None,
    durations: Path | None,
    coverage: bool,
    lcov: Path | None,
    threshold: float | None,
) -> int:
    """Run the cases of test files (default: tests/), each with its own data and in a fresh Node process.

    A case is an event, the data on the platform, and the expected outcome: status, result, error, console output and
    calls to the platform. It can also be a conversation: steps of users and of the system, for which all functions
    run, and the expected consequences of each step. The environment is that of the target `local` unless you pass
    --target. Exits 1 if a case fails, or if there are no cases.
    """
    from ckfunc.testing.running import CaseOptions, run_tests

    if durations is not None and shard is None:
        raise UsageProblem("--durations needs --shard", hint="add --shard I/N, or remove --durations")
    output = app.output
    report = None if junit is None else app.named(junit)
    coverage_file = lcov_path(app, lcov) if coverage or lcov or threshold is not None else None
    durations_s = {} if durations is None else read_report(app, durations).durations_s()
    progress = _Progress(app)
    with progress.waiting():
        tested = run_tests(
            project_for_cases(app, app.settings.target),
            app.toolchain(),
            CaseOptions(
                [app.directory / path for path in paths],
                selector=selector,
                jobs=jobs,
                allow_only=not app.environ.get("CI"),
                measures_coverage=coverage_file is not None,
                shard=shard,
                durations_s=durations_s,
            ),
            on_result=progress.result,
        )
    for warning in tested.warnings:
        output.warn(warning)
    try:
        if report is not None:
            with writing(report):
                write_atomically(report, tested.junit_text())
        if coverage_file is not None and tested.coverage is not None:
            with writing(coverage_file):
                write_atomically(coverage_file, tested.coverage.to_lcov())
    finally:
        _print_results(app, tested)
    if tested.coverage is not None and threshold is not None:
        tested.coverage.require(threshold)
    return EXIT_OK if tested.ok else EXIT_FAILED


def _print_results(app: App, tested: CaseResults) -> None:
    output = app.output
    if output.annotates:
        output.annotate(tested.annotations(), app.root())
    if output.format is not None:
        output.talk(*tested.summary_line())
        return
    if output.json:
        output.document(tested.to_json())
        return
    for number, lines in enumerate(tested.failures()):
        if number or not output.quiet:
            output.line()
        output.lines(lines)
    if output.quiet:
        return
    if tested.coverage is not None:
        output.line()
        output.lines(tested.coverage.table_lines())
    output.line()
    output.line(*tested.summary_line())


class _Progress:
    """Prints each result as soon as it is known: a heading per file, a line per case."""

    def __init__(self, app: App) -> None:
        self._output = app.output
        self._waiting = ExitStack()
        self._file = ""

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Show progress until the first result."""
        with self._waiting:
            self._waiting.enter_context(self._output.progress("running the tests"))
            yield

    def result(self, result: CaseResult) -> None:
        """Print one result."""
        from ckfunc.testing.rendering import result_line

        self._waiting.close()
        if self._output.json or self._output.format or self._output.quiet or result.left_out:
            return
        if result.case.file != self._file:
            self._file = result.case.file
            self._output.line((self._file, "title"))
        self._output.line(*result_line(result))
        self._output.flush()
