"""Runs of a function that are added to an emulator's database while a deploy is watched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from faults.world import World

from ckfunc.emulator.store import invocations
from ckfunc.emulator.store.database import Database, connect
from ckfunc.model.execution import HandlerError, Outcome


def add_runs(database: Database, function_type: str, version: int, *failed: bool) -> None:
    """Add a run of a version for each of `failed`, which says whether it failed."""
    (number,) = database.one("SELECT id FROM functions WHERE type = ?", function_type) or (0,)
    for fails in failed:
        outcome = Outcome(None, HandlerError("TypeError", "broken\x1b[2J", "")) if fails else Outcome("null", None)
        invocations.end(database, invocations.begin(database, number, version, {}).id, outcome)


@contextmanager
def failing_once_deployed(world: World, function_type: str, version: int, *, count: int) -> Iterator[None]:
    """Add failed runs of a version as soon as it exists."""
    ended = threading.Event()

    def wait() -> None:
        with closing(connect(world.directory / "emulator/emulator.db")) as database:
            while not ended.wait(0.05):
                if database.one(
                    "SELECT 1 FROM functions f JOIN function_versions v ON v.function_id = f.id"
                    " WHERE f.type = ? AND v.version_number = ?",
                    function_type,
                    version,
                ):
                    add_runs(database, function_type, version, *[True] * count)
                    return

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
