"""Long work, taken step by step between other requests."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TypeVar

from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.steps import Steps, give_back

T = TypeVar("T")


async def result(steps: Generator[None, None, T]) -> T:
    """Take steps and return their result; others are answered in between."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made
        await asyncio.sleep(0)


async def taken(database: Database, steps: Steps) -> None:
    """Take the steps of a deletion, then give its space back to the disk; others are answered in between."""
    for part in (steps, give_back(database)):
        await result(part)
