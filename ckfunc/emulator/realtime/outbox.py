"""Frames to clients, held until the writes of a turn are stored."""

from __future__ import annotations

import sqlite3
from typing import Protocol

from ckfunc.emulator.store.database import Database


class HeldClient(Protocol):
    """A client whose frames are held."""

    def release(self, failure: sqlite3.Error | None) -> None:
        """Send the frames, or discard them if what they report could not be stored. Never raises."""


class Outbox:
    """The clients with frames that are held. Clients never learn of what may still be undone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._clients: list[HeldClient] = []

    def hold(self, client: HeldClient) -> None:
        """Release a client's frames when what was written is stored, at the latest at the end of this turn."""
        if not self._clients:
            self._database.when_settled(self._release)
        self._clients.append(client)

    def flush(self) -> None:
        """Store what this turn has written so far, and release all frames."""
        if self._clients:
            self._database.commit()
            self._release(self._database.failure)

    def _release(self, failure: sqlite3.Error | None) -> None:
        clients, self._clients = self._clients, []
        for client in clients:
            client.release(failure)
