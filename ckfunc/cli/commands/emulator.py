"""`ckfunc emulator`: run the local platform; manage its data and its faults."""

from __future__ import annotations

from pathlib import Path

import click

from ckfunc.base.errors import CkfuncError
from ckfunc.cli.app import App
from ckfunc.cli.data_directory import (
    data_dir_option,
    directory,
    directory_or_none,
    named_failure,
    say_secret,
    stored_data,
)
from ckfunc.cli.emulator_faults import faults
from ckfunc.cli.emulator_lists import channels, messages, users
from ckfunc.cli.emulator_snapshots import snapshots
from ckfunc.cli.options import (
    FILE,
    common_options,
    keep_invocations_option,
    open_option,
    pass_app,
    port_option,
    yes_option,
)
from ckfunc.emulator.data_directory import UnusableDirectory
from ckfunc.emulator.store.trouble import UnwritableDatabase

# The emulator is imported inside the functions: `--help` does not need it.


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  ckfunc emulator                     for this project
  ckfunc emulator --port 0            on any free port
  ckfunc emulator --ephemeral         save nothing
  ckfunc emulator --seed people.yaml  with users and messages
  ckfunc emulator messages -n 5       list messages, users or channels
  ckfunc emulator snapshots save v1   save its data under a name""",
)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen on this address.")
@port_option
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Store data in this directory.")
@click.option("--ephemeral", is_flag=True, help="Do not save data.")
@click.option("--seed", type=FILE, metavar="FILE", help="Add the users, channels and messages in this file.")
@keep_invocations_option
@open_option
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
    open_dashboard: bool,
) -> None:
    """Run the emulator until Ctrl-C.

    The first line on stdout is `ready http://ADDRESS:PORT`. The client id, client secret and API key are all
    `emulator`; the application's id is 1. Data is stored in the project's .ckfunc/emulator/ by default. The
    dashboard is at /, and the API is described at /docs.
    """
    if ctx.invoked_subcommand is not None:
        return
    from ckfunc.api.connection import is_loopback
    from ckfunc.emulator.options import EmulatorOptions
    from ckfunc.sandbox.stored_data import read_seed_file

    data = directory_or_none(app, data_dir, ephemeral)
    if not is_loopback(host.strip("[]")):
        app.output.warn(
            f"anyone who can reach {host} can run code on this machine, because the emulator's credentials are public"
        )

    def ready(url: str) -> None:
        app.output.line("ready ", url)
        app.output.flush()
        where = f"data in {app.output.path(data)}" if data else "data is not saved"
        app.output.talk(("emulator: ", "title"), f"{where}; client id and secret are `emulator`; Ctrl-C stops it")
        app.show_dashboard(url, open_browser=open_dashboard)

    planted = read_seed_file(app.directory / seed, app.output.path(app.directory / seed))[0] if seed else None
    try:
        options = EmulatorOptions(host=host, port=port, seed=planted, keep_invocations=keep_invocations)
        app.emulator(data, options).run_forever(ready)
    except (UnusableDirectory, UnwritableDatabase) as problem:
        if not problem.unwritable:
            raise
        hint = "choose another --data-dir, or use --ephemeral to save nothing"
        raise CkfuncError(problem.message, hint=hint) from None
    app.output.interrupted()


for subcommand in (users, channels, messages, snapshots, faults):
    emulator.add_command(subcommand)


@emulator.command(name="export")
@click.argument("file", type=FILE)
@data_dir_option
@common_options
@pass_app
def export_command(app: App, file: Path, data_dir: Path | None) -> None:
    """Copy all data of the emulator to FILE.

    The emulator may be running. FILE is an SQLite database for `ckfunc emulator import`; an existing file is replaced.
    """
    from ckfunc.emulator.data import export_data

    data, target = directory(app, data_dir), app.named(file)
    with app.writing(target):
        export_data(data, target)
    app.output.talk(("exported", "success"), f" {app.output.path(data)} to {app.output.path(target)}")
    say_secret(app)


@emulator.command(name="import")
@click.argument("file", type=FILE)
@data_dir_option
@yes_option
@common_options
@pass_app
def import_command(app: App, file: Path, data_dir: Path | None, yes: bool) -> None:
    """Replace the emulator's data with an export.

    The emulator must not be running. If it has data, you are asked for confirmation. The data is only replaced once
    all of FILE has been read.
    """
    from ckfunc.emulator.data import import_data

    data, source = directory(app, data_dir), app.directory / file
    with named_failure(f"cannot import {app.output.path(source)}"):
        data.mkdir(parents=True, exist_ok=True)
        if not import_data(source, data, lambda: yes or _agreed(app, "Replace", data)):
            app.output.talk("Nothing imported.")
            return
    app.output.talk(("imported", "success"), f" {app.output.path(source)} into {app.output.path(data)}")


@emulator.command(name="reset")
@data_dir_option
@yes_option
@common_options
@pass_app
def reset_command(app: App, data_dir: Path | None, yes: bool) -> None:
    """Delete all data of the emulator, after a confirmation.

    The emulator may be running: its clients are disconnected. Snapshots are not deleted; `ckfunc emulator snapshots
    save NAME` saves one.
    """
    stored = stored_data(app, data_dir)
    data = app.output.path(stored.directory)
    with named_failure(f"cannot reset {data}"):
        exists = stored.exists
        if exists and not yes and not _agreed(app, "Delete", stored.directory):
            app.output.talk("Nothing deleted.")
            return
        stored.reset()
    if exists:
        app.output.talk(("reset: ", "success"), f"{data} is empty")
    else:
        app.output.talk(f"nothing to reset: there is no data in {data}")


@emulator.command(
    name="seed",
    epilog="""\b
A seed, in YAML:
  users:
    - name: jane@example.com
      id: 7                         # default: the next free one
      display_name: Jane            # default: the name
      is_guest: false               # default
      properties: {plan: free}      # default: none
    - name: agent
  channels:
    - name: support
      type: PUBLIC                  # or PRIVATE, or DIRECT
      display_name: Support         # default: the name
      creator: agent                # default: nobody
      members: [jane@example.com, agent]
      messages:
        - {user: jane@example.com, body: Hello}
        - {body: A message from the system}""",
)
@click.argument("file", type=FILE)
@data_dir_option
@common_options
@pass_app
def seed_command(app: App, file: Path, data_dir: Path | None) -> None:
    """Add the users, channels, members and messages in FILE.

    The emulator may be running. Existing data is not changed, and no function runs, so adding the same file twice
    changes nothing. Messages are only added to channels that are new.
    """
    from ckfunc.sandbox.stored_data import StoredData, read_seed_file

    data = directory(app, data_dir)
    with named_failure(f"cannot write {app.output.path(data)}"):
        seed, document = read_seed_file(app.directory / file, app.output.path(app.directory / file))
        seeded = StoredData(data, app.connect).seed(seed, document)
    if app.output.json:
        from ckfunc.wire.seeds import write_seeded

        app.output.document(write_seeded(seeded))
    else:
        app.output.talk(
            ("seeded: ", "success"),
            f"added {seeded.summary}" if seeded.summary else "nothing to add: the users and channels already exist",
        )


def _agreed(app: App, verb: str, data: Path) -> bool:
    """Ask for confirmation before data is deleted. Raises NeedsYes."""
    return app.output.confirmed(
        f"{verb} all data of the emulator in {app.output.path(data)}?",
        shown=[(("`ckfunc emulator export FILE` saves a copy of the data", "muted"),)],
        refusal=f"{verb.lower().removesuffix('e')}ing the emulator's data requires confirmation; nothing was changed",
        hint="rerun with --yes; `ckfunc emulator export FILE` saves a copy of the data",
    )
