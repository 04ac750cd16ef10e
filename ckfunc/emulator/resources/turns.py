"""Changes of much data, taken step by step between other requests."""

from __future__ import annotations

import asyncio

from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.steps import Steps, give_back


async def taken(database: Database, steps: Steps) -> None:
    """Take the steps of a deletion, then give its space back to the disk; others are answered in between."""
    for part in (steps, give_back(database)):
        for _ in part:
            await asyncio.sleep(0)
