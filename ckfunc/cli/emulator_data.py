"""Commands for the data of an emulator: export, import, reset, seed, snapshots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, NoProject, naming, writing
from ckfunc.base.text import size_text
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_snapshots
from ckfunc.cli.options import FILE, argument, command, data_dir_option, group, yes_option
from ckfunc.model.job import snapshot_table
from ckfunc.wire.jobs import write_seeded, write_snapshot

if TYPE_CHECKING:
    from ckfunc.emulator.stored_data import StoredData
    from ckfunc.model.job import DataSnapshot


def directory(app: App, *, otherwise: str = "--data-dir DIR") -> Path:
    """Return the directory of the emulator's data. Raises NoProject, with a hint to pass `otherwise`."""
    try:
        return app.emulator_data
    except NoProject as problem:
        raise NoProject(problem.message, hint=f"run it in a project, or pass {otherwise}") from None


def stored_data(app: App) -> StoredData:
    """Return the data of an emulator that may be running. Raises NoProject."""
    from ckfunc.emulator.stored_data import StoredData

    return StoredData(directory(app), app.connect)


def say_secret(app: App) -> None:
    """Print that the copy of the data that was just written contains secrets."""
    text = "the copy contains the values of environment variables; treat it as a secret"
    app.output.talk(("note: ", "warning"), text)


@group
@data_dir_option()
def snapshots(app: App) -> None:
    """List, save and restore snapshots of the emulator's data.

    A snapshot is a named copy of all data: users, channels, messages, files, functions, runtime and invocations. The
    emulator may be running.
    """
    saved = stored_data(app).snapshots()
    empty = (("no snapshots", "muted"), "; `ckfunc emulator snapshots save NAME` saves one")
    app.output.result([write_snapshot(snapshot) for snapshot in saved], snapshot_table(saved), empty)


@snapshots.subcommand
@argument("name")
@data_dir_option()
@yes_option()
def save(app: App, name: str, yes: bool) -> int:
    """Save all data of the emulator as a snapshot.

    If there is a snapshot of this name, you are asked whether to replace it. NAME may contain letters, digits, dots,
    hyphens and underscores.
    """
    stored = stored_data(app)
    with naming("cannot save the snapshot"):
        replace = any(snapshot.name == name for snapshot in stored.snapshots())
        if replace and not app.output.confirmed(f"Replace snapshot {name}?", yes=yes, cancelled="Nothing was saved."):
            return EXIT_FAILED
        with app.output.progress("saving"):
            saved = stored.save(name, replace=replace)
    _report(app, "saved ", saved)
    say_secret(app)
    return EXIT_OK


@snapshots.subcommand
@argument("name", complete=complete_snapshots)
@data_dir_option()
@yes_option()
def restore(app: App, name: str, yes: bool) -> int:
    """Replace the emulator's data with a snapshot.

    Asks for confirmation first. The emulator may be running: its clients are disconnected, and can connect again.
    `ckfunc dev` and `ckfunc watch` then deploy the working copy again.
    """
    stored = stored_data(app)
    with naming("cannot restore the snapshot"):
        snapshot = stored.snapshot(name)
        question = f"Replace all data in {app.output.path(stored.directory)} with snapshot {snapshot.name}?"
        if stored.exists and not app.output.confirmed(question, yes=yes, cancelled="Nothing was restored."):
            return EXIT_FAILED
        with app.output.progress("restoring"):
            restored = stored.restore(name)
    _report(app, "restored ", restored)
    return EXIT_OK


@snapshots.subcommand
@argument("name", complete=complete_snapshots)
@data_dir_option()
@yes_option()
def remove(app: App, name: str, yes: bool) -> int:
    """Remove a snapshot, after a confirmation."""
    stored = stored_data(app)
    with naming("cannot remove the snapshot"):
        snapshot = stored.snapshot(name)
        if not app.output.confirmed(f"Remove snapshot {snapshot.name}?", yes=yes, cancelled="Nothing was removed."):
            return EXIT_FAILED
        removed = stored.remove(name)
    _report(app, "removed ", removed)
    return EXIT_OK


def _report(app: App, word: str, snapshot: DataSnapshot) -> None:
    description = f"snapshot {snapshot.name} ({size_text(snapshot.size_bytes)})"
    app.output.result(write_snapshot(snapshot), (), [(word, "success"), description])


@command
@argument("file", kind=FILE)
@data_dir_option()
def export_command(app: App, file: Path) -> None:
    """Copy all data of the emulator to FILE.

    The emulator may be running. FILE is an SQLite database for `ckfunc emulator import`; an existing file is replaced.
    """
    stored, target = stored_data(app), app.named(file)
    with writing(target):
        stored.export(target)
    app.output.talk(("exported", "success"), f" {app.output.path(stored.directory)} to {app.output.path(target)}")
    say_secret(app)


@command
@argument("file", kind=FILE)
@data_dir_option()
@yes_option()
def import_command(app: App, file: Path, yes: bool) -> int:
    """Replace the emulator's data with an export.

    The emulator must not be running. If it has data, you are asked for confirmation. The data is only replaced once
    all of FILE has been read.
    """
    stored, source = stored_data(app), app.directory / file
    data = stored.directory
    with naming(f"cannot import {app.output.path(source)}"):
        if not stored.import_from(source, lambda: _deletion_agreed(app, "Replace", data, "imported", yes=yes)):
            return EXIT_FAILED
    app.output.talk(("imported", "success"), f" {app.output.path(source)} into {app.output.path(data)}")
    return EXIT_OK


@command
@data_dir_option()
@yes_option()
def reset_command(app: App, yes: bool) -> int:
    """Delete all data of the emulator, after a confirmation.

    The emulator may be running: its clients are disconnected. Snapshots are not deleted; `ckfunc emulator snapshots
    save NAME` saves one.
    """
    stored = stored_data(app)
    data = app.output.path(stored.directory)
    with naming(f"cannot reset {data}"):
        exists = stored.exists
        if exists and not _deletion_agreed(app, "Delete", stored.directory, "deleted", yes=yes):
            return EXIT_FAILED
        stored.reset()
    if exists:
        app.output.talk(("reset: ", "success"), f"{data} is empty")
    else:
        app.output.talk(f"nothing to reset: there is no data in {data}")
    return EXIT_OK


@command
@argument("file", kind=FILE)
@data_dir_option()
def seed_command(app: App, file: Path) -> None:
    """Add the users, channels, members and messages in FILE.

    The emulator may be running. Existing data is not changed, and no function runs, so adding the same file twice
    changes nothing. Messages are only added to channels that are new.
    """
    stored = stored_data(app)
    with naming(f"cannot write {app.output.path(stored.directory)}"):
        seeded = stored.seed(app.directory / file)
    text = f"added {seeded.summary}" if seeded.summary else "nothing to add: the users and channels already exist"
    app.output.result(write_seeded(seeded), (), [text])


def _deletion_agreed(app: App, verb: str, data: Path, done: str, *, yes: bool) -> bool:
    """Ask for confirmation before data is deleted; after a no, print that nothing was `done`. Raises NeedsYes."""
    return app.output.confirmed(
        f"{verb} all data of the emulator in {app.output.path(data)}?",
        yes=yes,
        shown=[(("`ckfunc emulator export FILE` saves a copy of the data", "muted"),)],
        cancelled=f"Nothing was {done}.",
        hint="rerun with --yes; `ckfunc emulator export FILE` saves a copy of the data",
    )


DATA_COMMANDS = (snapshots, export_command, import_command, reset_command, seed_command)
