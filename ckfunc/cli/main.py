"""The table of commands, and the exit codes of failures."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ckfunc import __version__
from ckfunc.base.errors import EXIT_BUG, EXIT_FAILED, EXIT_OK, EXIT_USAGE, CkfuncError, UsageProblem
from ckfunc.base.interrupts import EXIT_INTERRUPTED, caused_by_interrupt, end_on_interrupt
from ckfunc.base.streams import ReaderGone, prepare_streams
from ckfunc.base.text import cut, nearest, printable
from ckfunc.cli.app import App
from ckfunc.cli.completion import read_bash_line
from ckfunc.cli.options import common_options

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Each command and its one-line help. The code of a command is in ckfunc/cli/commands/NAME.py, except for COMMAND_FILES.
COMMANDS: dict[str, str] = {
    "init": "Create a project: manifest, first handler, types.",
    "new": "Add a handler and its manifest entry.",
    "pull": "Create or update a project from an existing application.",
    "types": "Write type stubs and JSON schemas for editors.",
    "lock": "Lock the versions of npm packages.",
    "audit": "Find known vulnerabilities in npm packages.",
    "check": "Check the manifest, syntax and types.",
    "test": "Run the project's tests.",
    "replay": "Replay recorded invocations and compare the results.",
    "diff": "Show what a deploy would change.",
    "deploy": "Deploy the project to the application.",
    "versions": "List a function's versions.",
    "show": "Print the script of a deployed version.",
    "rollback": "Deploy an earlier version of a function.",
    "undo": "Revert the last deploy.",
    "dev": "Run the emulator, deploy on save, and show invocations.",
    "emulator": "Run the emulator, and manage its data.",
    "watch": "Deploy on save and stream logs.",
    "logs": "List or follow invocations.",
    "invoke": "Run a handler of the working copy once.",
    "trigger": "Fire an event in the emulator.",
    "chat": "Chat on the emulator as a user.",
    "login": "Log in and save credentials in the system keyring.",
    "logout": "Remove saved credentials.",
    "whoami": "Show which application you're logged in to.",
    "api": "Send any request to the Platform API.",
    "doctor": "Check your setup.",
    "cache": "Show and clean the cache.",
    "completion": "Generate shell completions.",
    "help": "Show the help of a command.",
}
SECTIONS = {
    "init": "Project",
    "check": "Check and test",
    "diff": "Deploy",
    "dev": "Run",
    "login": "Application",
    "doctor": "Setup",
}
"""The titles of the sections of `--help`, by the first command of each."""

COMMAND_FILES = {
    "new": "init",
    "types": "init",
    "audit": "lock",
    "doctor": "check",
    "completion": "help",
    "login": "credentials",
    "logout": "credentials",
    "whoami": "credentials",
    "show": "versions",
    "rollback": "versions",
}
"""Modules in ckfunc/cli/commands with several commands of one subject."""

_LONGEST_VALUE = 60


class Commands(click.Group):
    """A group that imports a command when it is called, so that `--version` loads no command."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the command; return None if there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module = COMMAND_FILES.get(cmd_name, cmd_name)
        command = getattr(importlib.import_module(f"ckfunc.cli.commands.{module}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - an error in the table
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or raise UsageProblem with the nearest one."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS and not ctx.resilient_parsing:
            close = nearest(args[0], COMMANDS)
            hint = f"did you mean `ckfunc {close}`?" if close else "`ckfunc --help` lists the commands"
            raise UsageProblem(f"there is no command {args[0]!r}", hint=hint)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands from the table, without importing them, and options."""
        from click.shell_completion import CompletionItem

        commands = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands from the table, without importing them."""
        width = max(map(len, COMMANDS))
        for name, text in COMMANDS.items():
            if name in SECTIONS:
                formatter.write_paragraph()
                formatter.write_heading(SECTIONS[name])
            formatter.write(f"  {name:<{width}}  {text}\n")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ckfunc", message="%(prog)s %(version)s")
def cli() -> None:
    """Manage chat functions as code: deploy, watch, test and emulate them.

    \b
    Start here:
      ckfunc init my-chat && cd my-chat
      ckfunc deploy                 # to the local emulator
      ckfunc trigger user.attempted.start_session --data '{"username": "jane"}'
      ckfunc logs
    """


cli.params += common_options()


def main() -> NoReturn:
    """Run the command line; never returns."""
    prepare_streams()
    if sys.platform == "win32":  # older consoles would print control codes as text
        importlib.import_module("colorama").just_fix_windows_console()  # a dependency of click on Windows
    code = run(sys.argv[1:])
    end_on_interrupt()
    sys.exit(code)


def run(args: list[str]) -> int:
    """Run one command and return its exit code; errors are printed on stderr."""
    if "_CKFUNC_COMPLETE" in os.environ:
        read_bash_line()
    app = App(os.environ)
    result: Any = EXIT_OK
    try:
        with app:
            result = cli.main(args, prog_name="ckfunc", standalone_mode=False, obj=app)
        app.output.flush()
    except SystemExit:
        return EXIT_OK  # click exits so if the reader of its help has closed the pipe
    except (Exception, KeyboardInterrupt) as error:
        if not isinstance(error, ReaderGone):  # a closed pipe is not a failure
            return _exit_code(app, error, args)
    return result if isinstance(result, int) else EXIT_OK


def _exit_code(app: App, error: BaseException, args: list[str]) -> int:
    """Print the error that ended the command, and return its exit code."""
    output = app.output
    if isinstance(error, CkfuncError):
        output.failure(error)
        return error.exit_code
    if isinstance(error, click.Abort) or caused_by_interrupt(error):
        if error.__cause__ is None:  # otherwise click has ended the line
            output.interrupted()
        return EXIT_INTERRUPTED
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return EXIT_USAGE
    if isinstance(error, click.ClickException):
        output.failure(usage_problem(error, args))
        return EXIT_USAGE
    if isinstance(error, OSError | MemoryError | RuntimeError | ImportError):
        from ckfunc.runtime.cache import refusal_of

        if (refusal := refusal_of(error)) is not None:
            output.results.discard()
            output.failure(refusal)
            return EXIT_FAILED
    output.bug(error, args, app.secrets())
    return EXIT_BUG


def usage_problem(error: click.ClickException, args: Sequence[str]) -> UsageProblem:
    """Return a usage error as one sentence with a hint. `args` is the command line."""
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    named = next((argument for argument in args if ctx is None and not argument.startswith("-")), "")
    see = f"see `{ctx.command_path if ctx else f'ckfunc {named}'.strip()} --help`"
    sentence, meant = _explained(error, ctx)
    return UsageProblem(printable(sentence), hint=f"did you mean {meant}? {see}" if meant else see)


def _explained(error: click.ClickException, ctx: click.Context | None) -> tuple[str, str | None]:
    """Return the sentence, and the option or command that was probably meant."""
    message, meant = error.format_message(), None
    sentence = message[:1].lower() + message[1:].rstrip(".")
    if isinstance(error, click.NoSuchOption):
        sentence, meant = f"there is no option {error.option_name}", _nearest_option(error.option_name, ctx)
    elif isinstance(error, click.BadOptionUsage):
        sentence = f"{error.option_name} {'takes no value' if 'not take' in message else 'needs a value'}"
    elif isinstance(error, click.MissingParameter):
        sentence = f"{_name(error.param)} is missing"
    elif isinstance(error, click.BadParameter):
        sentence = f"{_name(error.param)} {_accepted(error)}"
    elif match := re.search(r"unexpected extra arguments? \((.*)\)", message, re.DOTALL):
        sentence = f"unexpected argument: {match[1]}"
    elif (match := re.search("No such command '([^']*)'", message)) and ctx is not None:
        sentence = f"there is no command '{ctx.info_name} {match[1]}'"
        close = nearest(match[1], subcommands(ctx))
        meant = close and f"`{ctx.command_path} {close}`"
    return sentence, meant


def _nearest_option(name: str, ctx: click.Context | None) -> str | None:
    parameters = ctx.command.params if ctx else ()
    options = {name.lstrip("-"): name for each in parameters for name in (*each.opts, *each.secondary_opts)}
    return options.get(nearest(name.lstrip("-"), options) or "")


def _name(param: click.Parameter | None) -> str:
    """Return a parameter as the user writes it: `--port`, or `TYPE` for an argument."""
    if isinstance(param, click.Option):
        return "/".join(param.opts)
    shown = (param.metavar or (param.name or "").upper()) if param is not None else ""
    word = re.search("[A-Z_]+", shown)  # as `[DIR]` and `TYPE[@N]` are written
    return word[0] if word else "an argument"


def _accepted(error: click.BadParameter) -> str:
    """Return the problem with a value: what its type accepts, or click's message."""
    kind = error.param.type if error.param is not None else None
    quoted = re.match("(.+?) is not (?:a valid|in the range|one of) ", error.message, re.DOTALL)
    actual = f", not {cut(quoted[1], _LONGEST_VALUE)}" if quoted else ""
    if isinstance(kind, click.Choice):
        *first, last = map(str, kind.choices)
        return f"must be {', '.join(first)} or {last}{actual}"
    if isinstance(kind, click.IntRange | click.FloatRange):
        lowest, highest = kind.min, kind.max
        limits = f"of at least {lowest}" if highest is None else f"from {lowest} to {highest}"
        number = "whole number" if isinstance(kind, click.IntRange) else "number"
        return f"must be a {number} {limits}{actual}"
    return f"has a wrong value: {error.message[:1].lower()}{error.message[1:].rstrip('.')}"


def subcommands(ctx: click.Context) -> list[str]:
    """Return the names of the commands within the command of `ctx`."""
    command = ctx.command
    return command.list_commands(ctx) if isinstance(command, click.Group) else list(getattr(command, "commands", ()))
