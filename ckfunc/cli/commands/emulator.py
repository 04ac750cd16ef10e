"""`ckfunc emulator`: the local platform in the foreground."""

from __future__ import annotations

from pathlib import Path

import click

from ckfunc.cli.context import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc emulator                     this project's emulator; deploy, watch and trigger find it
  ckfunc emulator --port 0            on any free port
  ckfunc emulator --ephemeral         forget everything on exit"""
)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen on this address.")
@click.option("--port", default=4310, show_default=True, type=click.IntRange(0, 65535), help="0 takes any free port.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Keep data here.")
@click.option("--ephemeral", is_flag=True, help="Keep nothing after the end.")
@common_options
@pass_app
def emulator(app: App, host: str, port: int, data_dir: Path | None, ephemeral: bool) -> None:
    """Run the local platform until Ctrl-C.

    The first line on stdout is `ready http://ADDRESS:PORT`. Client id, client secret and API key are all `emulator`;
    the application's id is 1. Data lives in .ckfunc/emulator/ of the project unless told otherwise.
    """
    from ckfunc.cli.emulating import data_directory, run_in_foreground

    run_in_foreground(app, host, port, data_directory(app, data_dir, ephemeral))
