"""`ckfunc emulator`: run the local platform; manage its data and its faults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ckfunc.base.errors import CkfuncError, UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.emulator_data import directory, export_command, import_command, reset_command, seed_command, snapshots
from ckfunc.cli.emulator_faults import faults
from ckfunc.cli.emulator_lists import channels, messages, users
from ckfunc.cli.options import (
    DIRECTORY,
    file_option,
    flag,
    group,
    keep_invocations_option,
    open_option,
    option,
    port_option,
)
from ckfunc.emulator.data_directory import UnusableDirectory
from ckfunc.emulator.store.trouble import UnwritableDatabase


@group("""
  ckfunc emulator                     for this project
  ckfunc emulator --port 0            on any free port
  ckfunc emulator --ephemeral         save nothing
  ckfunc emulator --seed people.yaml  with users and messages
  ckfunc emulator messages -n 5       list messages, users or channels
  ckfunc emulator snapshots save v1   save its data under a name
""")
@option("--host", "ADDRESS", "Listen on this address.", default="127.0.0.1")
@port_option
@option("--data-dir", None, "Store data in this directory.", DIRECTORY)
@flag("--ephemeral", "Do not save data.")
@file_option("--seed", "Add the users, channels and messages in this file.")
@keep_invocations_option
@open_option
def emulator(
    app: App,
    host: str,
    port: int,
    data_dir: Path | None,
    ephemeral: bool,
    seed: Path | None,
    keep_invocations: int,
    open_dashboard: bool,
) -> None:
    """Run the emulator until Ctrl-C.

    The first line on stdout is `ready http://ADDRESS:PORT`. The client id, client secret and API key are all
    `emulator`; the application's id is 1. Data is stored in the project's .ckfunc/emulator/ by default. The
    dashboard is at /, and the API is described at /docs.
    """
    from ckfunc.emulator.options import EmulatorOptions
    from ckfunc.emulator.stored_data import read_seed_file

    if data_dir and ephemeral:
        raise UsageProblem("--data-dir and --ephemeral can't be used together", hint="--ephemeral saves no data")
    data = None if ephemeral else directory(app, data_dir, otherwise="--data-dir DIR or --ephemeral")
    options = EmulatorOptions(host=host, port=port, keep_invocations=keep_invocations)
    if options.is_public:
        app.output.warn(
            f"anyone who can reach {host} can run code on this machine, because the emulator's credentials are public"
        )

    def ready(url: str) -> None:
        app.output.line("ready ", url)
        app.output.flush()
        where = f"data in {app.output.path(data)}" if data else "data is not saved"
        app.output.talk(("emulator: ", "title"), f"{where}; client id and secret are `emulator`; Ctrl-C stops it")
        app.show_dashboard(url, open_browser=open_dashboard)

    planted = read_seed_file(app.directory / seed)[0] if seed else None
    try:
        app.emulator(data, replace(options, seed=planted)).run_forever(ready)
    except (UnusableDirectory, UnwritableDatabase) as problem:
        if not problem.unwritable:
            raise
        hint = "choose another --data-dir, or use --ephemeral to save nothing"
        raise CkfuncError(problem.message, hint=hint) from None
    app.output.interrupted()


for subcommand in (
    *(users, channels, messages, snapshots, faults),
    *(export_command, import_command, reset_command, seed_command),
):
    emulator.add_command(subcommand)
