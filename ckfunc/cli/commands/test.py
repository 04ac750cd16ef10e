"""`ckfunc test`: run the project's tests."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, UsageProblem, writing
from ckfunc.base.files import write_atomically
from ckfunc.base.interrupts import wait_for_interrupt
from ckfunc.base.secrets import Secret
from ckfunc.base.text import escaped, printable
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import (
    FILE,
    PATH,
    Command,
    argument,
    channel_option,
    command,
    flag,
    format_option,
    integer,
    option,
    yes_option,
)
from ckfunc.cli.output import NeedsYes

if TYPE_CHECKING:
    from ckfunc.model.project import Project
    from ckfunc.testing.case import CaseResult, Shard
    from ckfunc.testing.drafts import AdditionMaker
    from ckfunc.testing.recording import Addition

DEFAULT_LCOV = Path("coverage", "lcov.info")
"""The lcov file, relative to the project."""


def _shard(text: str) -> Shard:
    from ckfunc.testing.case import read_shard

    return read_shard(text)


class _Percentage(click.FloatRange):
    """A number from 0 to 100."""

    def _describe_range(self) -> str:
        """Return the range that the help shows."""
        return "0 to 100"


def _number(percent: float) -> float:
    if math.isnan(percent):  # FloatRange accepts it, and no coverage is below it
        raise click.BadParameter("nan is not in the range 0<=x<=100.")
    return percent


threshold_option = option(
    "--coverage-threshold",
    "PERCENT",
    "Exit with 1 if fewer lines are covered.",
    _Percentage(0, 100),
    dest="threshold",
    convert=_number,
)


@command
@argument("files", "FILE...", FILE, nargs=-1, required=True)
@option("--junit", "FILE", "Write the merged JUnit report to this file.", FILE)
@option("--lcov", "FILE", "Write the merged coverage to this lcov file.", FILE)
@threshold_option
def merge(app: App, files: tuple[Path, ...], junit: Path | None, lcov: Path | None, threshold: float | None) -> None:
    """Merge the JUnit reports and lcov files of shards into one of each.

    Counts are added up. Exits 1 if the report of a shard is missing, a case is in several reports, or the coverage is
    too low, but not if a case has failed.
    """
    from ckfunc.testing.reports import merged_files

    uses_coverage = lcov is not None or threshold is not None
    merged = merged_files(app.directory, files, writes_junit=junit is not None, uses_coverage=uses_coverage)
    _write(app, junit, merged.junit_text)
    _write(app, lcov, merged.lcov_text)
    app.output.result(merged.to_json(), () if app.settings.quiet else merged.lines())
    if merged.coverage is not None and threshold is not None:
        merged.coverage.require(threshold)


def _write(app: App, path: Path | None, text: str | None) -> None:
    """Write a report to the file that an option names."""
    if path is not None and text is not None:
        with writing(place := app.named(path)):
            write_atomically(place, text)


def _case_name(name: str) -> str:
    if not name.strip() or escaped(name) != name or set(name) & set("\t\r\n"):
        raise UsageProblem("--name must be one line of plain text", hint='such as --name "a customer asks for help"')
    return name


@command
@argument("trigger_type", "[TYPE]", complete=complete_types, required=False)
@option("--invocation", "ID", "The invocation, by the id that `ckfunc logs` shows.", integer(1))
@channel_option("Instead of an invocation: the newest messages of a channel, as a conversation.")
@option("--last", "N", "With --channel: the newest N messages, at most 200 (default: 50).", integer(1, 200))
@option("--name", "TEXT", "Name of the case (default: from the invocation or channel).", convert=_case_name)
@option("--file", "FILE", "Test file (default: in tests/, named after the type, or conversations.yaml).", PATH)
@yes_option("Write the case without asking for confirmation.")
def add(
    app: App,
    trigger_type: str | None,
    invocation: int | None,
    channel: str | None,
    last: int | None,
    name: str | None,
    file: Path | None,
    yes: bool,
) -> int:
    """Create a test case from an invocation, or from the messages of a channel. Nothing is written to the target.

    The event of the invocation becomes the case's event, and its outcome the expected outcome. The messages of a
    channel become a conversation, which expects the results of the functions that ran for them. All authParams and
    whatever looks like a secret are replaced first, in a conversation also names and e-mail addresses. The case is
    shown and run before it is written.
    """
    if (invocation is None) == (channel is None):
        together = "--invocation and --channel can't be used together"
        problem = together if channel is not None else "--invocation or --channel is missing"
        raise UsageProblem(problem, hint="see `ckfunc test add --help`")
    if channel is not None and trigger_type is not None:
        raise UsageProblem("TYPE needs --invocation", hint="a conversation runs all functions")
    if last is not None and channel is None:
        raise UsageProblem("--last needs --channel", hint="remove it, or name a channel")
    maker = _maker(app, file, name)
    with app.output.progress("reading"):
        if channel is not None:
            addition = maker.of_channel(app.client(), channel, last or 50)
        else:
            addition = maker.of_invocation(app.client(), invocation or 0, trigger_type, target=app.target().name)
    return _offer(app, maker.project, addition, yes=yes)


@command
@option("--name", "TEXT", "Name of the case (default: from the time).", convert=_case_name)
@option("--file", "FILE", "Test file (default: tests/conversations.yaml).", PATH)
@yes_option("Write the case without asking for confirmation.")
def record(app: App, name: str | None, file: Path | None, yes: bool) -> int:
    """Record what happens on the project's running emulator until Ctrl-C, as a conversation.

    Chat with the dashboard, a web page, `ckfunc chat` or the API. Names, e-mail addresses, all authParams and whatever
    looks like a secret are replaced. The case is shown and run before it is written.
    """
    maker = _maker(app, file, name)
    case_file = maker.conversations_file()
    if app.running_emulator() is None:
        raise CkfuncError("the project's emulator is not running", hint="run `ckfunc dev` in another terminal")
    # A recording cannot be repeated like a command, so everything that could refuse it comes first.
    if not (yes or app.output.interactive):
        problem = "confirmation is required, but there is no terminal; nothing was recorded"
        raise NeedsYes(problem, hint="rerun with --yes")
    finish = maker.begin_recording(case_file, app.emulator_data, app.clock)
    wait_for_interrupt(lambda: app.output.talk(("Recording.", "title"), " Press Ctrl-C to finish."))
    return _offer(app, maker.project, finish(), yes=yes)


def _maker(app: App, file: Path | None, name: str | None) -> AdditionMaker:
    from ckfunc.testing.drafts import AdditionMaker

    project, environment = app.tested_project(), app.workspace.sources().runtime.environment or {}
    own = [(name, Secret(value)) for name, value in app.environ.items() if name.startswith("CHATKITTY_CLIENT_")]
    return AdditionMaker(project, app.named, file, name, (*environment.items(), *own))


def _offer(app: App, project: Project, addition: Addition, *, yes: bool) -> int:
    """Run a case, show it with its result, and write it once that is confirmed."""
    from ckfunc.testing.running import run_last_case

    output, path = app.output, addition.path
    with output.progress("running the case"):
        result = run_last_case(project, app.toolchain(), path, addition.text)
    if output.settings.json:
        output.document(addition.to_json(result, written=yes))
    elif not (yes and output.settings.quiet):
        output.talk(("case for ", "title"), output.path(path))
        output.text(printable(addition.case_text))
        output.talks(addition.lines(result))
    if not output.confirmed(
        f"Write this to {output.path(path)}?", yes=yes, hint="review the case, then rerun with --yes"
    ):
        return EXIT_FAILED
    write_atomically(path, addition.text)
    output.talk(("written", "success"), f" to {output.path(path)}")
    return EXIT_OK


class _Test(Command):
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


@partial(command, cls=_Test)
@argument("paths", "[PATH]...", PATH, nargs=-1)
@option("--filter", "TEXT", "Only cases whose file, name or type contains TEXT.", dest="selector")
@option("--jobs", "N", "Run N cases at a time (default: the number of processors).", integer(1, 64), short="-j")
@option("--junit", "FILE", "Also write the results as JUnit XML.", FILE)
@option("--shard", "I/N", "Only run part I of N, to split the cases between machines.", convert=_shard)
@option("--durations", "FILE", "With --shard: balance by the durations in this JUnit report.", FILE)
@flag("--coverage", "Measure line coverage: print a table, and write coverage/lcov.info.")
@option("--lcov", "FILE", "Measure line coverage, and write it to this lcov file.", FILE)
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
    from ckfunc.testing.rendering import ResultLines
    from ckfunc.testing.running import CaseOptions, recorded_durations_s, run_tests

    if durations is not None and shard is None:
        raise UsageProblem("--durations needs --shard", hint="add --shard I/N, or remove --durations")
    output = app.output
    report = None if junit is None else app.named(junit)
    measures = coverage or lcov or threshold is not None
    coverage_file = app.named(lcov or app.root() / DEFAULT_LCOV) if measures else None
    durations_s = {} if durations is None else recorded_durations_s(app.directory, durations)
    progress = ResultLines()

    def print_result(result: CaseResult) -> None:
        end_progress()
        if not (output.settings.json or output.settings.format or output.settings.quiet or result.left_out):
            output.lines(progress.next(result))
            output.flush()

    with output.progress("running the tests") as end_progress:
        tested = run_tests(
            app.tested_project(app.settings.target),
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
            on_result=print_result,
        )
    output.warn(*tested.warnings)
    try:
        _write(app, report, None if report is None else tested.junit_text())
        _write(app, coverage_file, None if tested.coverage is None else tested.coverage.to_lcov())
    finally:
        output.annotate(tested.annotations(), app.root())
        if output.settings.format is not None:
            output.talk(*tested.summary_line())
        else:
            output.result(tested.to_json(), tested.lines(quiet=output.settings.quiet))
    if tested.coverage is not None and threshold is not None:
        tested.coverage.require(threshold)
    return EXIT_OK if tested.ok else EXIT_FAILED
