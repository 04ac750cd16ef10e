"""What the subcommands of `ckfunc emulator` do with its data, and what they say of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ckfunc.base.errors import CkfuncError
from ckfunc.cli.app import App
from ckfunc.cli.asking import confirmed
from ckfunc.cli.emulating import data_directory
from ckfunc.model.job import Seeded
from ckfunc.sandbox.seeds import add_seed, read_seed_file


def export_to(app: App, given: Path | None, file: Path) -> None:
    """Write the data into a file."""
    from ckfunc.emulator.data import export_data

    data, target = _directory(app, given), app.named(file)
    with _file_trouble(f"cannot write {app.output.path(target)}"):
        export_data(data, target)
    app.output.talk(("exported", "success"), f" {app.output.path(data)} to {app.output.path(target)}")
    app.output.talk(("it holds the runtime's environment variables: treat it as a secret", "muted"))


def import_from(app: App, given: Path | None, file: Path, *, yes: bool) -> None:
    """Replace the data by a file's, after a question if there is any."""
    from ckfunc.emulator.data import import_data

    data, source = _directory(app, given), app.directory / file
    with _file_trouble(f"cannot import {app.output.path(source)}"):
        data.mkdir(parents=True, exist_ok=True)
        if not import_data(source, data, lambda: yes or _agreed(app, "Replace", data)):
            app.output.talk("Nothing imported.")
            return
    app.output.talk(("imported", "success"), f" {app.output.path(source)} into {app.output.path(data)}")


def reset(app: App, given: Path | None, *, yes: bool) -> None:
    """Forget the data, after a question if there is any."""
    from ckfunc.emulator.data import reset_data

    data = _directory(app, given)
    with _file_trouble(f"cannot reset {app.output.path(data)}"):
        there = reset_data(data, lambda: yes or _agreed(app, "Delete", data))
    if there is None:
        app.output.talk("Nothing deleted.")
    elif there:
        app.output.talk(("reset: ", "success"), f"{app.output.path(data)} is empty")
    else:
        app.output.talk(f"nothing to reset: there is no data in {app.output.path(data)}")


def seed_from(app: App, given: Path | None, file: Path) -> None:
    """Add what a seed file holds."""
    data = _directory(app, given)
    with _file_trouble(f"cannot write {app.output.path(data)}"):
        seed, document = read_seed_file(app.directory / file, app.output.path(app.directory / file))
        seeded = add_seed(seed, document, data, app.connect)
    if app.output.json:
        from ckfunc.wire.seeds import write_seeded

        app.output.document(write_seeded(seeded))
    else:
        app.output.talk(("seeded: ", "success"), _described(seeded))


def _agreed(app: App, verb: str, data: Path) -> bool:
    """Ask before data is lost. Raises NeedsYes."""
    return confirmed(
        app,
        f"{verb} all data of the emulator in {app.output.path(data)}?",
        shown=[(("`ckfunc emulator export FILE` keeps a copy of it", "muted"),)],
        refusal=f"{verb.lower().removesuffix('e')}ing the emulator's data requires confirmation; nothing was changed",
        hint="rerun with --yes; `ckfunc emulator export FILE` keeps a copy of the data",
    )


def _directory(app: App, given: Path | None) -> Path:
    found = data_directory(app, given)
    assert found is not None  # noqa: S101 - only an ephemeral emulator has none
    return found


@contextmanager
def _file_trouble(what: str) -> Iterator[None]:
    """Say what could not be done when the system refuses it."""
    try:
        yield
    except OSError as error:
        raise CkfuncError(f"{what}: {error.strerror or error}") from None


def _described(seeded: Seeded) -> str:
    """Return the counts of added rows, in words."""
    counts = (
        (seeded.users, "user"),
        (seeded.channels, "channel"),
        (seeded.members, "member"),
        (seeded.messages, "message"),
    )
    added = [f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count]
    return f"added {', '.join(added)}" if added else "nothing to add: all of it is there"
