"""The declaration of commands, and options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from ckfunc.cli.completion import complete_targets
from ckfunc.emulator.data_directory import KEPT_INVOCATIONS

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path, dir_okay=False)
"""A file, which need not exist."""


@dataclass(slots=True)
class Settings:
    """The common options, set while the command line is parsed."""

    directory: Path | None = None
    target: str | None = None
    data_dir: Path | None = None
    """The --data-dir of `ckfunc emulator`."""
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False
    format: str | None = None
    """The format of a report for continuous integration: a name in `FORMATS` of base/annotations.py."""


def _setting(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def keep(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        app = ctx.find_root().obj
        if app is not None and value not in (None, False, 0):
            setattr(app.settings, name, value)
            if app.settings.json and app.settings.format:
                raise click.UsageError("--json and --format can't be used together")

    return keep


def _common(*names: str, sets: str, **attributes: Any) -> click.Option:
    # A name of its own: a command may have an argument `directory`.
    return click.Option([*names, f"common_{sets}"], expose_value=False, callback=_setting(sets), **attributes)


def common_options() -> list[click.Option]:
    """Return the options that every command takes; they are stored in `App.settings`."""
    directory = click.Path(path_type=Path)
    return [
        _common(
            *("-C", "--directory"),
            sets="directory",
            type=directory,
            metavar="DIR",
            help="Run as if ckfunc was started in DIR.",
        ),
        _common(
            "--target",
            sets="target",
            metavar="NAME",
            shell_complete=complete_targets,
            help="Use this target of functions.yaml.",
        ),
        _common("--json", sets="json", is_flag=True, help="Print data as JSON."),
        _common("-q", "--quiet", sets="quiet", is_flag=True, help="Only print errors and results."),
        _common("-v", "--verbose", sets="verbose", is_flag=True, help="Print more details."),
        _common("--no-color", sets="no_color", is_flag=True, help="Disable color (same as setting NO_COLOR)."),
    ]


def command(
    examples: str = "", *, within: click.Group | None = None, **attributes: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a command with the common options, which gets the App as its first argument.

    `examples` ends the help. `within` is the group of a subcommand; `attributes` are those of click.
    """

    def made(function: Callable[..., Any]) -> click.Command:
        if examples:
            attributes["epilog"] = "\b\nExamples:\n" + examples.strip("\n").rstrip()
        result: click.Command = click.command(**attributes)(click.pass_obj(function))
        result.params += common_options()
        if within is not None:
            within.add_command(result)
        return result

    return made


def group(examples: str, **attributes: Any) -> Callable[[Callable[..., Any]], click.Group]:
    """Make a function a command with subcommands; see `command`."""

    def made(function: Callable[..., Any]) -> click.Group:
        return cast(click.Group, command(examples, cls=click.Group, **attributes)(function))

    return made


port_option = click.option(
    "--port",
    default=4310,
    show_default=True,
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Port to listen on; 0 picks a free one.",
)
open_option = click.option("--open", "open_dashboard", is_flag=True, help="Open the dashboard in your browser.")
keep_invocations_option = click.option(
    "--keep-invocations",
    type=click.IntRange(min=1),
    default=KEPT_INVOCATIONS,
    show_default=True,
    metavar="N",
    help="Keep the last N invocations.",
)
format_option = click.option(
    *("--format", "common_format"),
    expose_value=False,
    callback=_setting("format"),
    type=click.Choice(["github", "gitlab", "sarif"]),
    help="Print a report for CI: GitHub annotations, GitLab Code Quality, or SARIF.",
)
"""A report for continuous integration; it is stored in `App.settings`."""


def yes_option(text: str) -> Callable[[F], F]:
    """Add the option `--yes` of a command that asks for confirmation."""
    return click.option("-y", "--yes", is_flag=True, help=text)
