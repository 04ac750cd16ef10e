"""Stored data of an emulator, running or not: seeds, snapshots, reset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ckfunc.api import Client, Connection
from ckfunc.api import emulator as controls
from ckfunc.api.connection import emulator_connection
from ckfunc.base.containment import require_plain
from ckfunc.base.errors import Busy, CkfuncError
from ckfunc.base.files import read_file
from ckfunc.base.messages import shown_path
from ckfunc.emulator.data import Snapshots, require_name, reset_data, restore_stored, save_stored, seed_data
from ckfunc.emulator.data_directory import DATABASE, find_running
from ckfunc.emulator.seed_text import read_seed_text
from ckfunc.model.job import DataSnapshot, Seed, Seeded

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredData:
    """The data of one emulator. `connect` creates a client for it while it runs.

    Methods raise Busy, UnusableDatabase, LeadsOutside, ApiFailure and OSError.
    """

    directory: Path
    connect: Callable[[Connection], Client]

    @property
    def exists(self) -> bool:
        """Whether there is data. Raises LeadsOutside."""
        require_plain(self.directory, DATABASE)
        return (self.directory / DATABASE).is_file()

    def seed(self, seed: Seed, document: Any) -> Seeded:
        """Add a seed. `document` is the seed as JSON."""
        return self._either(
            lambda client: controls.post_seed(client, document), lambda: seed_data(self.directory, seed)
        )

    def snapshots(self) -> tuple[DataSnapshot, ...]:
        """Return the snapshots, newest first."""
        return Snapshots(self.directory).all()

    def snapshot(self, name: str) -> DataSnapshot:
        """Return a snapshot. Raises NoSnapshot and InvalidSnapshotName."""
        return Snapshots(self.directory).get(name)

    def save(self, name: str, *, replace: bool) -> DataSnapshot:
        """Save all data as a snapshot. Raises NoData, SnapshotExists and InvalidSnapshotName."""
        require_name(name)
        return self._either(
            lambda client: controls.save_snapshot(client, name, replace=replace),
            lambda: save_stored(self.directory, name, replace=replace),
        )

    def restore(self, name: str) -> DataSnapshot:
        """Replace all data with a snapshot. Raises NoSnapshot and InvalidSnapshotName."""
        return self._either(
            lambda client: controls.restore_snapshot(client, name), lambda: restore_stored(self.directory, name)
        )

    def remove(self, name: str) -> DataSnapshot:
        """Delete a snapshot, and return it. Raises NoSnapshot and InvalidSnapshotName."""
        return Snapshots(self.directory).remove(name)

    def reset(self) -> None:
        """Delete all data except the snapshots."""
        self._either(controls.reset, lambda: reset_data(self.directory))

    def _either(self, running: Callable[[Client], T], stopped: Callable[[], T]) -> T:
        """Call `running` with a client of the emulator if it is running, else `stopped`."""
        url = find_running(self.directory)
        if url is None:
            try:
                return stopped()
            except Busy:
                # An emulator may have started since find_running.
                url = find_running(self.directory)
                if url is None:
                    raise
        with self.connect(emulator_connection(url)) as client:
            return running(client)


def read_seed_file(file: Path) -> tuple[Seed, Any]:
    """Return the seed in a YAML or JSON file, and the document itself.

    Raises InvalidFiles with the position of a mistake.
    """
    shown = shown_path(file)
    try:
        text = read_file(file, pipe=True).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CkfuncError(
            f"cannot read the seed {shown}: {_why(error)}", hint="a seed is a YAML or JSON file in UTF-8"
        ) from None
    return read_seed_text(text, shown)


def _why(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]
