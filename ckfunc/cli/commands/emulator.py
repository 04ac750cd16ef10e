"""`ckfunc emulator`: the local platform in the foreground, and what can be done with its data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ckfunc.cli.app import App
from ckfunc.cli.options import common_options, keep_invocations_option, pass_app

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path, dir_okay=False)


def _data_dir(function: F) -> F:
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Where the data is, if not in the project.",
        # `ckfunc emulator --data-dir DIR reset` means the same as the other order.
        default=lambda: _of_the_group("data_dir"),
    )(function)


def _yes(function: F) -> F:
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(function)


def _of_the_group(name: str) -> Any:
    parent = click.get_current_context().parent
    return None if parent is None else parent.params.get(name)


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  ckfunc emulator                     this project's emulator; deploy, watch and trigger find it
  ckfunc emulator --port 0            on any free port
  ckfunc emulator --ephemeral         forget everything on exit
  ckfunc emulator --seed people.yaml  begin with these users, channels and messages
  ckfunc emulator export backup.db    keep a copy of its data""",
)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen on this address.")
@click.option(
    "--port",
    default=4310,
    show_default=True,
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="0 takes any free one.",
)
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Keep data here.")
@click.option("--ephemeral", is_flag=True, help="Keep nothing after the end.")
@click.option("--seed", type=_FILE, metavar="FILE", help="Add what this file holds, unless it is there.")
@keep_invocations_option
@common_options
@pass_app
@click.pass_context
def emulator(
    ctx: click.Context,
    app: App,
    host: str,
    port: int,
    data_dir: Path | None,
    ephemeral: bool,
    seed: Path | None,
    keep_invocations: int,
) -> None:
    """Run the local platform until Ctrl-C.

    The first line on stdout is `ready http://ADDRESS:PORT`. Client id, client secret and API key are all `emulator`;
    the application's id is 1. Data lives in .ckfunc/emulator/ of the project unless told otherwise. /docs describes
    the API.
    """
    if ctx.invoked_subcommand is not None:
        return
    from ckfunc.cli.emulating import data_directory, run_in_foreground

    run_in_foreground(app, host, port, data_directory(app, data_dir, ephemeral), seed, keep_invocations)


@emulator.command(name="export")
@click.argument("file", type=_FILE)
@_data_dir
@common_options
@pass_app
def export_command(app: App, file: Path, data_dir: Path | None) -> None:
    """Copy everything the emulator knows into FILE, as it is now.

    The emulator may be running. FILE is an SQLite database for `ckfunc emulator import`; one that exists is replaced.
    """
    from ckfunc.cli.emulator_data import export_to

    export_to(app, data_dir, file)


@emulator.command(name="import")
@click.argument("file", type=_FILE)
@_data_dir
@_yes
@common_options
@pass_app
def import_command(app: App, file: Path, data_dir: Path | None, yes: bool) -> None:
    """Replace the emulator's data by what `export` wrote into FILE.

    The emulator must not be running. If there is data, you are asked first; it is lost once all of FILE has been read.
    """
    from ckfunc.cli.emulator_data import import_from

    import_from(app, data_dir, file, yes=yes)


@emulator.command(name="reset")
@_data_dir
@_yes
@common_options
@pass_app
def reset_command(app: App, data_dir: Path | None, yes: bool) -> None:
    """Delete everything the emulator knows, after a question.

    It must not be running. The next one begins with an empty application. `ckfunc emulator export FILE` keeps a copy.
    """
    from ckfunc.cli.emulator_data import reset

    reset(app, data_dir, yes=yes)


@emulator.command(
    name="seed",
    epilog="""\b
A seed, in YAML:
  users:
    - name: jane@example.com
      id: 7                         # default: the next free one; channels and messages too
      display_name: Jane            # default: the name
      is_guest: false               # default
      properties: {plan: free}      # default: none
    - name: agent
  channels:
    - name: support
      type: PUBLIC                  # default; or PRIVATE, or DIRECT, which has no name
      display_name: Support         # default: the name
      creator: agent                # default: nobody
      members: [jane@example.com, agent]
      messages:
        - {user: jane@example.com, body: Hello}
        - {body: A message of the system}""",
)
@click.argument("file", type=_FILE)
@_data_dir
@common_options
@pass_app
def seed_command(app: App, file: Path, data_dir: Path | None) -> None:
    """Add the users, channels, members and messages that FILE holds.

    The emulator may be running. What is there stays as it is, and no function runs: the same file twice changes
    nothing. Messages are added with their channel.
    """
    from ckfunc.cli.emulator_data import seed_from

    seed_from(app, data_dir, file)
