"""Which tables a new database gets: the families' own, in the order in which they refer to each other."""

from __future__ import annotations

from ckfunc.emulator.store import application

SCHEMA: tuple[str, ...] = (application.SCHEMA,)
