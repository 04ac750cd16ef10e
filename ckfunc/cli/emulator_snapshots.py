"""`ckfunc emulator snapshots`: list, save, restore and remove copies of all data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckfunc.base.text import Segment, size_text, table
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_snapshots
from ckfunc.cli.data_directory import data_dir_option, named_failure, say_secret, stored_data
from ckfunc.cli.options import common_options, pass_app, yes_option

if TYPE_CHECKING:
    from ckfunc.model.job import DataSnapshot

# The emulator is imported inside the functions: `ckfunc emulator --help` does not need it.

_HEADINGS = ("NAME", "SAVED", "SIZE")


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  ckfunc emulator snapshots                   list snapshots
  ckfunc emulator snapshots save empty-shop   save all data
  ckfunc emulator snapshots restore empty-shop
  ckfunc emulator snapshots remove empty-shop""",
)
@data_dir_option
@common_options
@pass_app
@click.pass_context
def snapshots(ctx: click.Context, app: App, data_dir: Path | None) -> None:
    """List, save and restore snapshots of the emulator's data.

    A snapshot is a named copy of all data: users, channels, messages, files, functions, runtime and invocations. The
    emulator may be running.
    """
    if ctx.invoked_subcommand is not None:
        return
    from ckfunc.wire.seeds import write_snapshot

    saved = stored_data(app, data_dir).snapshots()
    if app.output.json:
        app.output.document([write_snapshot(snapshot) for snapshot in saved])
    elif saved:
        rows = [
            [
                Segment(snapshot.name, "title"),
                Segment(f"{snapshot.created_time.astimezone():%Y-%m-%d %H:%M:%S}", "muted"),
                Segment(size_text(snapshot.size_bytes)),
            ]
            for snapshot in saved
        ]
        app.output.lines(table(_HEADINGS, rows))
    else:
        app.output.talk(("no snapshots", "muted"), "; `ckfunc emulator snapshots save NAME` saves one")


@snapshots.command(name="save")
@click.argument("name")
@data_dir_option
@yes_option
@common_options
@pass_app
def save(app: App, name: str, data_dir: Path | None, yes: bool) -> None:
    """Save all data of the emulator as a snapshot.

    If there is a snapshot of this name, you are asked whether to replace it. NAME has letters, digits, dots, hyphens
    and underscores.
    """
    stored = stored_data(app, data_dir)
    with named_failure("cannot save the snapshot"):
        replace = any(snapshot.name == name for snapshot in stored.snapshots())
        if replace and not yes and not _agreed(app, f"Replace snapshot {name}?", "Nothing was saved."):
            return
        with app.output.progress("saving"):
            made = stored.save(name, replace=replace)
    _report(app, "saved ", made)
    say_secret(app)


@snapshots.command(name="restore")
@click.argument("name", shell_complete=complete_snapshots)
@data_dir_option
@yes_option
@common_options
@pass_app
def restore(app: App, name: str, data_dir: Path | None, yes: bool) -> None:
    """Replace the emulator's data with a snapshot.

    Asks for confirmation first. The emulator may be running: its clients are disconnected, and can connect again.
    `ckfunc dev` and `ckfunc watch` then deploy the working copy again.
    """
    stored = stored_data(app, data_dir)
    with named_failure("cannot restore the snapshot"):
        snapshot = stored.snapshot(name)
        question = f"Replace all data in {app.output.path(stored.directory)} with snapshot {snapshot.name}?"
        if stored.exists and not yes and not _agreed(app, question, "Nothing was restored."):
            return
        with app.output.progress("restoring"):
            made = stored.restore(name)
    _report(app, "restored ", made)


@snapshots.command(name="remove")
@click.argument("name", shell_complete=complete_snapshots)
@data_dir_option
@yes_option
@common_options
@pass_app
def remove(app: App, name: str, data_dir: Path | None, yes: bool) -> None:
    """Delete a snapshot, after a confirmation."""
    stored = stored_data(app, data_dir)
    with named_failure("cannot remove the snapshot"):
        snapshot = stored.snapshot(name)
        if not yes and not _agreed(app, f"Delete snapshot {snapshot.name}?", "Nothing was deleted."):
            return
        removed = stored.remove(name)
    _report(app, "deleted ", removed)


def _report(app: App, word: str, snapshot: DataSnapshot) -> None:
    from ckfunc.wire.seeds import write_snapshot

    if app.output.json:
        app.output.document(write_snapshot(snapshot))
    else:
        app.output.talk((word, "success"), f"snapshot {snapshot.name} ({size_text(snapshot.size_bytes)})")


def _agreed(app: App, question: str, cancelled: str) -> bool:
    """Ask for confirmation. Raises NeedsYes."""
    return app.output.confirmed(
        question,
        cancelled=cancelled,
        refusal="confirmation is required, but there is no terminal; nothing was changed",
    )
