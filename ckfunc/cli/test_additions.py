"""`ckfunc test add` and `record`: create a test case from what happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, UsageProblem
from ckfunc.base.files import write_atomically
from ckfunc.base.interrupts import wait_for_interrupt
from ckfunc.base.secrets import Secret
from ckfunc.base.text import escaped, printable
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import PATH, argument, channel_option, command, flag, integer, option
from ckfunc.cli.output import NeedsYes

if TYPE_CHECKING:
    from ckfunc.model.project import Project
    from ckfunc.testing.drafts import AdditionMaker
    from ckfunc.testing.recording import Addition


def _case_name(name: str) -> str:
    if not name.strip() or escaped(name) != name or set(name) & set("\t\r\n"):
        raise UsageProblem("--name must be one line of plain text", hint='such as --name "a customer asks for help"')
    return name


@command("""
  ckfunc test add --invocation 4711 --target production
  ckfunc test add user.sent.message --invocation 4711 --name "no text"
  ckfunc test add --invocation 4711 --file tests/incidents.yaml --yes
  ckfunc test add --channel support --last 20 --target production
""")
@argument("trigger_type", "[TYPE]", complete=complete_types, required=False)
@option("--invocation", "ID", "The invocation, by the id that `ckfunc logs` shows.", integer(1))
@channel_option("Instead of an invocation: the newest messages of a channel, as a conversation.")
@option("--last", "N", "With --channel: the newest N messages, at most 200 (default: 50).", integer(1, 200))
@option("--name", "TEXT", "Name of the case (default: from the invocation or channel).", convert=_case_name)
@option("--file", "FILE", "Test file (default: in tests/, named after the type, or conversations.yaml).", PATH)
@flag("--yes", "Write without asking.")
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


@command("""
  ckfunc test record --name "a customer asks for help"
  ckfunc test record --file tests/support.yaml --yes
""")
@option("--name", "TEXT", "Name of the case (default: from the time).", convert=_case_name)
@option("--file", "FILE", "Test file (default: tests/conversations.yaml).", PATH)
@flag("--yes", "Write without asking.")
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
    recording = maker.begin_recording(case_file, app.emulator_data, app.clock)
    wait_for_interrupt(lambda: app.output.talk(("Recording.", "title"), " Press Ctrl-C to finish."))
    return _offer(app, maker.project, recording.finish(), yes=yes)


def _maker(app: App, file: Path | None, name: str | None) -> AdditionMaker:
    """Return what makes cases for the project's tests."""
    from ckfunc.testing.drafts import AdditionMaker

    return AdditionMaker(app.tested_project(), app.named, file, name, tuple(_own_values(app)))


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
    if not output.confirmed("Write this?", yes=yes, hint="review the case, then rerun with --yes"):
        return EXIT_FAILED
    write_atomically(path, addition.text)
    output.talk(("written", "success"), f" to {output.path(path)}")
    return EXIT_OK


def _own_values(app: App) -> Iterator[tuple[str, Secret]]:
    """Yield the environment values of the target and the credentials that are known here."""
    yield from (app.workspace.sources().runtime.environment or {}).items()
    yield from ((name, Secret(value)) for name, value in app.environ.items() if name.startswith("CHATKITTY_CLIENT_"))
