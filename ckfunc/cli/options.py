"""The declarations of commands, options and arguments.

An option is declared as `--help` prints it, `@option("--jobs", "N", "Replay N at a time.", integer(1, 64))`: its name,
the placeholder of its value, its text, and the type of the value. `flag` and `choice` are short forms; options of
several commands are at the end. Other keywords are those of click. The help shows a `default`, unless `show_default`
is False.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import click

from ckfunc.base.files import templates
from ckfunc.cli.completion import complete_channels, complete_files, complete_only, complete_targets, complete_types
from ckfunc.emulator.data_directory import KEPT_INVOCATIONS

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])
Complete: TypeAlias = Callable[[click.Context, click.Parameter, str], list[str]]


class NamedPath(click.Path):
    """A path that is not empty: pathlib takes "", the value of an unset variable, for the current directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path of an argument."""
        if value == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the files in the directory of `-C`. Shells complete other paths, and absolute ones, by themselves."""
        items = super().shell_complete(ctx, param, incomplete)
        app = ctx.find_root().obj
        absolute = incomplete.startswith("~") or Path(incomplete).is_absolute()
        if app is None or app.settings.directory is None or absolute or param.name == "common_directory":
            return items
        item = type(items[0])  # not imported, because only completions need it
        names = complete_files(ctx, incomplete)
        return [item(name) for name in names if self.file_okay or name.endswith("/")]


PATH = NamedPath(path_type=Path)
"""A file or a directory, which need not exist; the same applies to the next two."""
FILE = NamedPath(path_type=Path, dir_okay=False)
DIRECTORY = NamedPath(path_type=Path, file_okay=False)


class integer(click.IntRange):  # noqa: N801 - reads as a type in declarations
    """`integer(1)` is a whole number of at least 1, `integer(1, 64)` one from 1 to 64."""

    def _describe_range(self) -> str:
        """Return the range that the help shows; none without an upper limit."""
        return "" if self.max is None else f"{self.min} to {self.max}"


def _setting(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def keep(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        app = ctx.find_root().obj
        if app is not None and value not in (None, False, 0):
            setattr(app.settings, name, value)
            if app.settings.json and app.settings.format:
                raise click.UsageError("--json and --format can't be used together")

    return keep


def _common(*names: str, **attributes: Any) -> click.Option:
    setting = names[-1].removeprefix("--").replace("-", "_")
    # A name of its own: a command may have an argument `directory`.
    return click.Option([*names, f"common_{setting}"], expose_value=False, callback=_setting(setting), **attributes)


def common_options() -> list[click.Option]:
    """Return the options that every command takes; they are stored in `App.settings`."""
    return [
        _common("-C", "--directory", type=PATH, metavar="DIR", help="Run as if ckfunc was started in DIR."),
        _common("--target", metavar="NAME", shell_complete=complete_targets, help="Use this target of functions.yaml."),
        _common("--json", is_flag=True, help="Print data as JSON."),
        _common("-q", "--quiet", is_flag=True, help="Only print errors and results."),
        _common("-v", "--verbose", is_flag=True, help="Print more details."),
        _common("--no-color", is_flag=True, help="Disable color (same as setting NO_COLOR)."),
    ]


class Command(click.Command):
    """A command whose examples are in templates/help; they are only read for its help."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, its subcommands, and the options of every command."""
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        own = [each for each in options if each in self.params and not is_common(each)]
        for title, listed in (("Options", own), ("Global options", [each for each in options if each not in own])):
            if rows := [record for each in listed if (record := each.get_help_record(ctx))]:
                with formatter.section(title):
                    formatter.write_dl(rows)
            if listed is own and isinstance(self, click.Group):
                self.format_commands(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        if text := examples(ctx):
            formatter.write_paragraph()
            formatter.write(text)


class CommandGroup(Command, click.Group):
    """A command with subcommands."""

    def subcommand(self, function: Callable[..., Any]) -> click.Command:
        """Make a function a command of this group; see `command`."""
        result = command(function)
        self.add_command(result)
        return result


def is_common(param: click.Parameter) -> bool:
    """Return whether every command has this parameter."""
    return (param.name or "").startswith("common_")


def examples(ctx: click.Context) -> str:
    """Return the examples of a command, from the file that is named after it; "" if there is none."""
    file = templates() / "help" / f"{ctx.command_path.removeprefix('ckfunc ').replace(' ', '-')}.txt"
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def command(function: Callable[..., Any], cls: type[Command] = Command, **attributes: Any) -> Command:
    """Make a function a command with the common options. Its first argument is the App.

    `attributes` are those of click.
    """
    result = click.command(cls=cls, **attributes)(click.pass_obj(function))
    result.params += common_options()
    return result


def group(function: Callable[..., Any], *, invoke_without_command: bool = True) -> CommandGroup:
    """Make a function a command with subcommands. It runs if none of these is called; see `command`."""

    def run(*arguments: Any, **options: Any) -> Any:
        alone = click.get_current_context().invoked_subcommand is None
        return function(*arguments, **options) if alone else None

    declared = command(update_wrapper(run, function), CommandGroup, invoke_without_command=invoke_without_command)
    return cast(CommandGroup, declared)


def option(
    name: str,
    placeholder: str | None,
    text: str,
    kind: click.ParamType[Any] | type | None = None,
    *,
    short: str | None = None,
    dest: str | None = None,
    complete: Complete | None = None,
    convert: Callable[[Any], object] | None = None,
    **attributes: Any,
) -> Callable[[F], F]:
    """Add an option with a value to a command.

    `short` is its one-letter name, `dest` the name of the function's parameter if it is not that of the option.
    `convert` turns a value that was passed into what the function gets, or raises.
    """
    if convert is not None:
        attributes["callback"] = lambda _ctx, _param, value: None if value is None else convert(value)
    if attributes.pop("show_default", "default" in attributes):
        text = f"{text.removesuffix('.')} (default: {attributes['default']})."
    return click.option(
        *filter(None, (short, name, dest)),
        metavar=placeholder,
        type=kind,
        help=text,
        shell_complete=complete,
        **attributes,
    )


def choice(
    name: str, values: Sequence[str], text: str, *, case_sensitive: bool = True, **attributes: Any
) -> Callable[[F], F]:
    """Add an option that takes one of several values; see `option`."""
    return option(name, None, text, click.Choice(values, case_sensitive=case_sensitive), **attributes)


def flag(name: str, text: str, **attributes: Any) -> Callable[[F], F]:
    """Add an option without a value; see `option`."""
    return option(name, None, text, is_flag=True, show_default=False, **attributes)


def argument(
    name: str,
    placeholder: str | None = None,
    kind: click.ParamType[Any] | None = None,
    *,
    complete: Complete | None = None,
    **attributes: Any,
) -> Callable[[F], F]:
    """Add an argument to a command; `nargs=-1` takes any number of them."""
    return click.argument(name, metavar=placeholder, type=kind, shell_complete=complete, **attributes)


type_argument = argument("trigger_type", "TYPE", complete=complete_types)
port_option = option("--port", "PORT", "Port to listen on; 0 picks a free one.", integer(0, 65535), default=4310)
open_option = flag("--open", "Open the dashboard in your browser.", dest="open_dashboard")
keep_invocations_option = option(
    "--keep-invocations", "N", "Keep the last N invocations.", integer(1), default=KEPT_INVOCATIONS
)
channel_option = partial(option, "--channel", "NAME|ID", complete=complete_channels)
"""`channel_option(TEXT)` selects a channel of the emulator."""
only_option = partial(option, "--only", "TYPE", complete=complete_only, multiple=True)
"""`only_option(TEXT)` selects parts of a plan."""
allow_removals_option = flag("--allow-removals", "Remove packages and variables that are not in functions.yaml.")
format_option = choice(
    "--format",
    ["github", "gitlab", "sarif"],
    "Print a report for CI: GitHub annotations, GitLab Code Quality, or SARIF.",
    dest="common_format",
    expose_value=False,
    callback=_setting("format"),
)
"""A report for continuous integration; it is stored in `App.settings`."""


def data_dir_option(text: str = "Use the data in this directory (default: the project's).") -> Callable[[F], F]:
    """Add the option that selects the data of an emulator; it is stored in `App.settings`."""
    return option("--data-dir", "DIR", text, DIRECTORY, expose_value=False, callback=_setting("data_dir"))


def gate_option(default: str, text: str) -> Callable[[F], F]:
    """Add the option that selects the gates of a plan."""
    return option("--gate", "GATES", text, default=default, show_default=False)


def yes_option(text: str = "Do not ask for confirmation.") -> Callable[[F], F]:
    """Add the option `--yes` of a command that asks for confirmation."""
    return flag("--yes", text, short="-y")
