"""`ckfunc test`: run the project's tests; `ckfunc test add` and `record`: create a test from what happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ckfunc.base.clock import SystemClock
from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, UsageProblem
from ckfunc.base.files import write_atomically
from ckfunc.base.interrupts import wait_for_interrupt
from ckfunc.base.secrets import Secret
from ckfunc.base.text import escaped, printable
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.coverage_options import lcov_option, lcov_path, threshold_option
from ckfunc.cli.options import FILE, common_options, format_option, pass_app
from ckfunc.cli.output import NeedsYes
from ckfunc.cli.test_merge import merge, read_report
from ckfunc.logs.finding import read_invocation

if TYPE_CHECKING:
    from ckfunc.model.project import Project
    from ckfunc.testing.case import CaseResult
    from ckfunc.testing.recording import Addition
    from ckfunc.testing.running import CaseResults
    from ckfunc.testing.sharding import Shard

# The rooms are imported inside the functions: `--help` and completion need none of them.


def _shard(_ctx: click.Context, _param: click.Parameter, text: str | None) -> Shard | None:
    from ckfunc.testing.sharding import read_shard

    if text is None:
        return None
    shard = read_shard(text)
    if shard is None:
        raise UsageProblem(
            f"--shard {text!r} is not a part such as 2/4", hint="the parts of 4 are 1/4, 2/4, 3/4 and 4/4"
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


@click.command(
    cls=_Test,
    epilog="""\b
Examples:
  ckfunc test                               every case in tests/
  ckfunc test tests/start.yaml              the cases of one file
  ckfunc test --filter greets               cases with this text
  ckfunc test --junit report.xml            for CI, as JUnit XML
  ckfunc test --shard 2/4                   the second of four parts
  ckfunc test --coverage                    show lines that no case runs
  ckfunc test --coverage-threshold 80       fail below 80 % of the lines
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
          expect: {messages: [{system: true, body_includes: You can}]}""",
)
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--filter", "wanted", metavar="TEXT", help="Only cases whose file, name or type contains TEXT.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Run N cases at a time (default: the number of processors).",
)
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Also write the results as JUnit XML.")
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
@common_options
@pass_app
def test(
    app: App,
    paths: tuple[Path, ...],
    wanted: str | None,
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
    from ckfunc.testing.coverage import require_coverage
    from ckfunc.testing.coverage_reports import lcov_text
    from ckfunc.testing.junit import junit as junit_of
    from ckfunc.testing.running import CaseOptions, run_tests

    if durations is not None and shard is None:
        raise UsageProblem("--durations is only for --shard", hint="add --shard I/N, or remove --durations")
    output = app.output
    report = None if junit is None else app.named(junit)
    coverage_file = lcov_path(app, lcov) if coverage or lcov or threshold is not None else None
    known = {} if durations is None else read_report(app, durations).durations_s()
    progress = _Progress(app)
    with progress.waiting():
        tested = run_tests(
            _working_copy(app, app.settings.target),
            app.toolchain(),
            CaseOptions(
                [app.directory / one for one in paths],
                wanted=wanted,
                jobs=jobs,
                allow_only=not app.environ.get("CI"),
                measures_coverage=coverage_file is not None,
                shard=shard,
                durations_s=known,
            ),
            on_result=progress.result,
        )
    for warning in tested.warnings:
        output.warn(warning)
    if report is not None:
        write_atomically(report, junit_of(tested.results, tested.seconds, tested.part))
    if coverage_file is not None and tested.coverage is not None:
        write_atomically(coverage_file, lcov_text(tested.coverage))
    _print_results(app, tested)
    if tested.coverage is not None and threshold is not None:
        require_coverage(tested.coverage, threshold)
    return EXIT_OK if tested.ok else EXIT_FAILED


def _print_results(app: App, tested: CaseResults) -> None:
    from ckfunc.testing.coverage_reports import coverage_lines

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
        output.lines(coverage_lines(tested.coverage))
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


def _working_copy(app: App, target: str | None) -> Project:
    from ckfunc.testing.running import working_copy

    return working_copy(app.root(), target, app.environ, app.workspace.bundler())


def _case_name(_ctx: click.Context, _param: click.Parameter, name: str | None) -> str | None:
    if name is not None and (not name.strip() or escaped(name) != name or set(name) & set("\t\r\n")):
        raise UsageProblem("--name is not one line of plain text", hint='such as --name "a customer asks for help"')
    return name


@click.command(
    name="add",
    epilog="""\b
Examples:
  ckfunc test add --invocation 4711 --target production
  ckfunc test add user.sent.message --invocation 4711 --name "no text"
  ckfunc test add --invocation 4711 --file tests/incidents.yaml --yes""",
)
@click.argument("trigger_type", metavar="[TYPE]", required=False, shell_complete=complete_types)
@click.option(
    "--invocation",
    type=click.IntRange(1),
    required=True,
    metavar="ID",
    help="The invocation, by the id that `ckfunc logs` shows.",
)
@click.option("--name", metavar="TEXT", callback=_case_name, help="Name of the case (default: from the invocation).")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Test file (default: in tests/, named after the type).",
)
@click.option("--yes", is_flag=True, help="Write without asking.")
@common_options
@pass_app
def add(app: App, trigger_type: str | None, invocation: int, name: str | None, file: Path | None, yes: bool) -> int:
    """Create a test case from an invocation. Nothing is written to the target.

    The event of the invocation becomes the case's event, and its outcome the expected outcome. All authParams and
    whatever looks like a secret are replaced first. The case is shown and run before it is written.
    """
    from ckfunc.testing.recording import added, test_file
    from ckfunc.testing.running import run_last_case

    output, project = app.output, _working_copy(app, None)
    with output.progress("reading"):
        entry = read_invocation(app.client(), invocation, trigger_type, target=app.target().name)
        known = [*app.client().runtime().environment.items(), *_own_values(app)]
    known += (project.runtime.environment or {}).items()
    path = app.named(test_file(app.root(), entry.type, file))
    addition = added(entry, path, root=app.root(), shown=output.path(path), name=name, environment=known)
    with output.progress("running the case"):
        result = run_last_case(project, app.toolchain(), path, addition.text)
    return _offer(app, addition, result, yes=yes)


@click.command(
    name="record",
    epilog="""\b
Examples:
  ckfunc test record --name "a customer asks for help"
  ckfunc test record --file tests/support.yaml --yes""",
)
@click.option("--name", metavar="TEXT", callback=_case_name, help="Name of the case (default: from the time).")
@click.option(
    "--file", type=click.Path(path_type=Path), metavar="FILE", help="Test file (default: tests/conversations.yaml)."
)
@click.option("--yes", is_flag=True, help="Write without asking.")
@common_options
@pass_app
def record(app: App, name: str | None, file: Path | None, yes: bool) -> int:
    """Record what happens on the project's running emulator until Ctrl-C, as a conversation.

    Chat with the dashboard, a web page, `ckfunc chat` or the API. Names, e-mail addresses, all authParams and whatever
    looks like a secret are replaced. The case is shown and run before it is written.
    """
    from ckfunc.sandbox.history import data_of, past_of
    from ckfunc.testing.past import PublicText, past_conversation
    from ckfunc.testing.recording import addition_to, require_addable, test_file
    from ckfunc.testing.running import run_last_case, scope_of

    output, project, clock = app.output, _working_copy(app, None), SystemClock()
    path = app.named(test_file(app.root(), "conversations", file))
    if app.running_emulator() is None:
        raise CkfuncError("the project's emulator is not running", hint="run `ckfunc dev` in another terminal")
    # A recording cannot be repeated like a command, so everything that could refuse it comes first.
    if not (yes or output.interactive):
        problem = "confirmation is required, but there is no terminal; nothing was recorded"
        raise NeedsYes(problem, hint="rerun with --yes")
    require_addable(path, scope_of(project), root=app.root(), shown=output.path(path), name=name)
    before, start = data_of(app.emulator_data), clock.now()
    wait_for_interrupt(lambda: output.talk(("Recording.", "title"), " Press Ctrl-C to finish."))
    past = past_of(app.emulator_data, before, start)
    while past.running:  # each run has a time limit
        clock.sleep(0.1)
        past = past_of(app.emulator_data, before, start)
    known = [*past.environment, *_own_values(app), *(project.runtime.environment or {}).items()]
    scripts = [function.handler.text for function in project.functions or ()]
    if project.runtime.initialization_script is not None:
        scripts.append(project.runtime.initialization_script.text)
    public = PublicText(project.runtime.literals, "\n".join(scripts))
    addition = addition_to(
        path,
        lambda free: past_conversation(past, name=free, start=start, environment=known, public=public),
        root=app.root(),
        shown=output.path(path),
        name=name or f"conversation of {start:%Y-%m-%d %H:%M}",
    )
    with output.progress("running the case"):
        result = run_last_case(project, app.toolchain(), path, addition.text)
    return _offer(app, addition, result, yes=yes)


def _offer(app: App, addition: Addition, result: CaseResult, *, yes: bool) -> int:
    """Show a case and its result, and write it once that is confirmed."""

    output, path = app.output, addition.path
    if output.json:
        output.document(addition.to_json(result, written=yes))
    elif not (yes and output.quiet):
        output.talk(("case for ", "title"), output.path(path))
        output.text(printable(addition.case_text))
        output.talks(addition.lines(result))
    if not yes and not output.confirmed("Write this?", hint="review the case, then rerun with --yes"):
        return EXIT_FAILED
    write_atomically(path, addition.text)
    output.talk(("written", "success"), f" to {output.path(path)}")
    return EXIT_OK


def _own_values(app: App) -> Iterator[tuple[str, Secret]]:
    """Yield the environment values of the target and the credentials that are known here."""
    yield from (app.workspace.sources().runtime.environment or {}).items()
    yield from ((name, Secret(value)) for name, value in app.environ.items() if name.startswith("CHATKITTY_CLIENT_"))
