"""`ckfunc test`: run the project's own tests; `ckfunc test add`: make one of a recorded invocation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import common_options, pass_app


class _Test(click.Command):
    """A command that takes paths, but for the word `add`, which is a command of its own."""

    @property
    def commands(self) -> dict[str, click.Command]:
        """The commands within it, as a group has them."""
        return {"add": add}

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args[:1] == ["add"]:
            return add.make_context(f"{info_name} add", args[1:], parent=parent, **extra)
        return super().make_context(info_name, args, parent=parent, **extra)


@click.command(
    cls=_Test,
    epilog="""\b
Examples:
  ckfunc test                               every case in tests/
  ckfunc test tests/start.yaml              those of one file
  ckfunc test --filter greets               those whose file, name or type holds a text
  ckfunc test --junit report.xml            for CI
  ckfunc test add --invocation 4711         make a case of what happened (see `ckfunc test add --help`)

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
      expect: {error: not the staff code}""",
)
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--filter", "wanted", metavar="TEXT", help="Only cases whose file, name or type holds TEXT.")
@click.option("-j", "--jobs", type=click.IntRange(1, 64), metavar="N", help="N at a time (default: one a processor).")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write the results as JUnit XML too.")
@common_options
@pass_app
def test(app: App, paths: tuple[Path, ...], wanted: str | None, jobs: int | None, junit: Path | None) -> int:
    """Run the cases of test files (default: tests/), each on data of its own and as in a new Node process.

    A case is an event, what is there when it happens, and what must come of it: status, result, error, printed lines,
    calls to the platform. The environment is that of the target `local` unless --target says otherwise. Exits 1 when a
    case fails, and when there is none.
    """
    from ckfunc.cli.testing import test_project

    return test_project(app, paths, wanted=wanted, jobs=jobs, junit=junit)


@click.command(
    name="add",
    epilog="""\b
Examples:
  ckfunc test add --invocation 4711 --target production
  ckfunc test add user.sent.message --invocation 4711 --name "a cat in the message"
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
@click.option("--name", metavar="TEXT", help="What the case is called (default: after the invocation).")
@click.option(
    "--file", type=click.Path(path_type=Path), metavar="FILE", help="Where it goes (default: tests/ and the type)."
)
@click.option("--yes", is_flag=True, help="Write without asking.")
@common_options
@pass_app
def add(app: App, trigger_type: str | None, invocation: int, name: str | None, file: Path | None, yes: bool) -> int:
    """Make a test case of an invocation of the target, which is only read.

    Its event becomes the case's, what came of it becomes what is expected. Whatever looks like a secret is replaced
    first, authParams always; the case is shown and tried before it is written.
    """
    from ckfunc.cli.recording import add_case

    return add_case(app, trigger_type, invocation, name=name, file=file, yes=yes)
