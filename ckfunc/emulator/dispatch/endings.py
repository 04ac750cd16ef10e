"""How runs end in the database, even when it cannot be written for a while: what it does not take is tried again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from ckfunc.emulator.dispatch.recording import Recorder
from ckfunc.emulator.store import invocations
from ckfunc.emulator.store.database import Database
from ckfunc.model.execution import Outcome


class Endings:
    """Stores what became of runs. `on_event` is told when that fails."""

    def __init__(self, database: Database, recorder: Recorder, on_event: Callable[[str], None]) -> None:
        self._database = database
        self._recorder = recorder
        self._on_event = on_event
        self._waiting: dict[int, Outcome] = {}

    def store(self, invocation_id: int, outcome: Outcome) -> None:
        """Note what a run came to, now or as soon as the database takes it. Never raises for a full disk."""
        self._waiting[invocation_id] = outcome
        self.catch_up()

    def catch_up(self) -> None:
        """Store what could not be stored before."""
        while self._waiting:
            invocation_id, outcome = next(iter(self._waiting.items()))
            try:
                invocations.end(self._database, invocation_id, outcome, *self._recorder.shown(invocation_id))
            except sqlite3.DatabaseError as error:
                self._on_event(f"the end of run {invocation_id} cannot be stored yet: {error}")
                return
            del self._waiting[invocation_id]
            self._recorder.end(invocation_id)
