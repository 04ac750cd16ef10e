"""The data directory of an emulator that a command uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ckfunc.base.containment import STATE_DIRECTORY
from ckfunc.base.errors import CkfuncError, NoProject, UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.options import F
from ckfunc.emulator.data_directory import find_running

if TYPE_CHECKING:
    from ckfunc.api import Client
    from ckfunc.sandbox.stored_data import StoredData


def data_dir_option(function: F) -> F:
    """Add the option that names the data directory; it may also precede the subcommand."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Use the data in this directory (default: the project's).",
        # `ckfunc emulator --data-dir DIR reset` means the same as the other order.
        default=lambda: _of_the_group("data_dir"),
    )(function)


def _of_the_group(name: str) -> Any:
    parent = click.get_current_context().parent
    return None if parent is None else parent.params.get(name)


def directory_or_none(app: App, given: Path | None, ephemeral: bool | None = None) -> Path | None:
    """Return the directory of the emulator's data, None to save none. Raises UsageProblem and NoProject.

    `ephemeral` is None for commands without this option.
    """
    app.settings.data_dir = given
    if given and ephemeral:
        raise UsageProblem("--data-dir and --ephemeral can't be used together", hint="--ephemeral saves no data")
    if ephemeral:
        return None
    if given:
        return app.named(given / "data").parent
    try:
        return app.root() / STATE_DIRECTORY / "emulator"
    except NoProject as problem:
        hint = "run it in a project, or pass --data-dir DIR" + ("" if ephemeral is None else " or --ephemeral")
        raise NoProject(problem.message, hint=hint) from None


def directory(app: App, given: Path | None) -> Path:
    """Return the directory of the emulator's data, by default the project's. Raises NoProject."""
    data = directory_or_none(app, given)
    assert data is not None  # noqa: S101 - only an ephemeral emulator has none
    return data


@contextmanager
def named_failure(what: str) -> Iterator[None]:
    """Turn an OSError into an error that names the failed action."""
    try:
        yield
    except OSError as error:
        raise CkfuncError(f"{what}: {error.strerror or error}") from None


def stored_data(app: App, given: Path | None) -> StoredData:
    """Return the data of an emulator that may be running. Raises NoProject."""
    from ckfunc.sandbox.stored_data import StoredData

    return StoredData(directory(app, given), app.connect)


def say_secret(app: App) -> None:
    """Print that the copy of the data that was just written contains secrets."""
    app.output.talk(("it contains the runtime's environment variables: treat it as a secret", "muted"))


def stored_client(app: App, given: Path | None) -> Client:
    """Return a client of the emulator of a data directory. If none is running, it runs until the command ends.

    Raises NoData and NoProject.
    """
    from ckfunc.api.connection import emulator_connection
    from ckfunc.emulator.data import require_data
    from ckfunc.emulator.options import EmulatorOptions

    data = directory(app, given)
    require_data(data)
    return app.connect(
        emulator_connection(find_running(data) or app.start_emulator(EmulatorOptions(spares=False), data))
    )
