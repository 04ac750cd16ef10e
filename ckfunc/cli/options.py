"""Options that every command takes, before its name or after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ckfunc.cli.completion import complete_targets
from ckfunc.emulator.data_directory import KEPT_INVOCATIONS

F = TypeVar("F", bound=Callable[..., Any])

pass_app = click.pass_obj
"""Passes the App as the command's first argument."""

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


def _option(*names: str, sets: str, **attributes: Any) -> Callable[[F], F]:
    # A name of its own: a command may have an argument `directory`.
    return click.option(*names, f"common_{sets}", expose_value=False, callback=_setting(sets), **attributes)


def port_option(function: F) -> F:
    """Add the option `--port` of emulators."""
    return click.option(
        "--port",
        default=4310,
        show_default=True,
        type=click.IntRange(0, 65535),
        metavar="PORT",
        help="Port to listen on; 0 picks a free one.",
    )(function)


def yes_option(function: F) -> F:
    """Add the option `--yes` of commands that always ask for confirmation."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")(function)


def open_option(function: F) -> F:
    """Add the option that opens the emulator's dashboard."""
    return click.option("--open", "open_dashboard", is_flag=True, help="Open the dashboard in your browser.")(function)


def keep_invocations_option(function: F) -> F:
    """Add the option `--keep-invocations` of emulators."""
    return click.option(
        "--keep-invocations",
        type=click.IntRange(min=1),
        default=KEPT_INVOCATIONS,
        show_default=True,
        metavar="N",
        help="Keep the last N invocations.",
    )(function)


def format_option(function: F) -> F:
    """Add the option of a report for continuous integration; it lands in `App.settings`."""
    return _option(
        "--format",
        sets="format",
        type=click.Choice(["github", "gitlab", "sarif"]),
        help="Print a report for CI: GitHub annotations, GitLab Code Quality, or SARIF.",
    )(function)


def common_options(function: F) -> F:
    """Add the options that every command takes; they are stored in `App.settings`."""
    for option in reversed(
        (
            _option(
                "-C",
                "--directory",
                sets="directory",
                type=click.Path(path_type=Path),
                metavar="DIR",
                help="Run as if ckfunc was started in DIR.",
            ),
            _option(
                "--target",
                sets="target",
                metavar="NAME",
                shell_complete=complete_targets,
                help="Use this target of functions.yaml.",
            ),
            _option("--json", sets="json", is_flag=True, help="Print data as JSON."),
            _option("-q", "--quiet", sets="quiet", is_flag=True, help="Only print errors and results."),
            _option("-v", "--verbose", sets="verbose", is_flag=True, help="Print more."),
            _option("--no-color", sets="no_color", is_flag=True, help="Disable color (same as setting NO_COLOR)."),
        )
    ):
        function = option(function)
    return function
