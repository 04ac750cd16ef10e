"""Which commands exist, and which exit code a failure becomes."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ckfunc import __version__
from ckfunc.base.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, CkfuncError, UsageProblem
from ckfunc.cli.options import common_options

if TYPE_CHECKING:
    from ckfunc.cli.output import Output

# name: what the list of commands says of it. The code is the command of that name in ckfunc/cli/commands/.
COMMANDS: dict[str, str] = {
    "init": "Start a project: manifest, first handler, types.",
    "new": "Add a handler and its manifest entry.",
    "pull": "Make a project of an application.",
    "types": "Write the type stubs and the manifest's schema.",
    "diff": "Show what a deploy would change.",
    "deploy": "Make the application match the manifest.",
    "versions": "List what a function was before.",
    "show": "Print the script of a deployed version.",
    "rollback": "Deploy an older script again.",
    "watch": "Deploy what changes, while logs stream.",
    "logs": "List or follow invocations.",
    "trigger": "Make the emulator fire an event.",
    "login": "Keep credentials in the system's keyring.",
    "logout": "Remove them from it.",
    "whoami": "Tell which application the credentials belong to.",
    "api": "Send any request to the Platform API.",
    "doctor": "Look whether everything that ckfunc needs is in order.",
    "completion": "Print what makes a shell complete commands.",
    "emulator": "Run the local platform in the foreground.",
}


class Commands(click.Group):
    """A group that imports a command only when it is called: `--version` must not load the rest."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the table's order, which is the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the command, or return None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"ckfunc.cli.commands.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - a mistake in the table, for us alone
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS and not ctx.resilient_parsing:
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean `ckfunc {close[0]}`?" if close else "`ckfunc --help` lists the commands"
            raise UsageProblem(f"there is no command {args[0]!r}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ckfunc", message="%(prog)s %(version)s")
@common_options
def cli() -> None:
    """Chat functions as code: deploy, watch, tail and emulate.

    \b
    Start here:
      ckfunc init my-chat && cd my-chat
      ckfunc deploy                 # to the local emulator
      ckfunc trigger user.attempted.start_session --data '{"username": "jane"}'
      ckfunc logs
    """


def main() -> NoReturn:
    """Run the command line; never returns."""
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """Run one command and return its exit code; everything that goes wrong is said on stderr."""
    from ckfunc.cli.context import App

    app = App(os.environ)
    try:
        with app:
            result: Any = cli.main(args, prog_name="ckfunc", standalone_mode=False, obj=app)
        app.output.flush()
    except (Exception, KeyboardInterrupt) as error:
        return _exit_code(app.output, error, args)
    return result if isinstance(result, int) else 0


def _exit_code(output: Output, error: BaseException, args: list[str]) -> int:
    """Say what ended the command, and return the exit code that stands for it."""
    from ckfunc.cli.output import ReaderGone

    if isinstance(error, CkfuncError):
        output.failure(error)
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        output.interrupted()
        return EXIT_INTERRUPTED
    if isinstance(error, ReaderGone):
        # Whoever reads has seen enough: no failure. What is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return EXIT_USAGE
    if isinstance(error, click.ClickException):
        output.failure(_usage_problem(error))
        return EXIT_USAGE
    output.bug(error, args)
    return EXIT_BUG


def _usage_problem(error: click.ClickException) -> UsageProblem:
    """Give click's own complaints the shape of ours."""
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    message = error.format_message().rstrip(".")
    message = message[:1].lower() + message[1:]
    return UsageProblem(message, hint=f"see `{ctx.command_path if ctx else 'ckfunc'} --help`")
