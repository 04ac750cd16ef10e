"""The services of one emulator, shared by everything that answers requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ckfunc.emulator.dispatch.dispatcher import Dispatcher
from ckfunc.emulator.http.auth import Tokens
from ckfunc.emulator.jobs.runner import Jobs
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.steps import Steps, give_back
from ckfunc.runtime.pool import HostPool

T = TypeVar("T")

_REQUESTS_END_S = 5.0
"""How long to wait for the end of requests that handlers have begun."""


@dataclass(slots=True)
class EmulatorServices:
    """The services of one emulator."""

    database: Database
    tokens: Tokens
    dispatch: Dispatcher
    jobs: Jobs
    hosts: HostPool
    data_dir: Path | None
    unwritable: str | None = None
    """Why nothing may be changed: requests that would change something are refused with this reason."""

    async def idle(self) -> None:
        """Wait until nothing is in progress that would change the data."""
        while self.dispatch.running or self.jobs.busy:
            await asyncio.sleep(0.002)
        until = time.monotonic() + _REQUESTS_END_S
        while self.dispatch.recorder.busy and time.monotonic() < until:
            await asyncio.sleep(0.002)


async def result_of(steps: Generator[None, None, T]) -> T:
    """Take steps and return their result; other requests are answered in between."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made
        await asyncio.sleep(0)


async def delete_in_steps(database: Database, steps: Steps) -> None:
    """Take the steps of a deletion, then return its disk space; other requests are answered in between."""
    for part in (steps, give_back(database)):
        await result_of(part)
