"""The control that fills a running emulator from a seed."""

from __future__ import annotations

import asyncio

from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.http.replies import Reply
from ckfunc.emulator.http.routing import MEBIBYTE, Access, Route
from ckfunc.emulator.resources.services import Services
from ckfunc.emulator.resources.turns import result
from ckfunc.emulator.store import seeds
from ckfunc.wire.seeds import read_seed, write_seeded

_LARGEST = 64 * MEBIBYTE


async def plant_seed(call: Call, services: Services) -> Reply:
    """Add what a seed holds and is not there yet, and answer with how much that was."""
    seed = await asyncio.to_thread(lambda: read_seed(call.json()))
    try:
        async with services.jobs.alone:
            return Reply(write_seeded(await result(seeds.in_steps(services.database, seed))))
    except seeds.SeedRefused as problem:
        raise Refused(problem.message) from None


ROUTES = (Route("POST", "/emulator/seed", plant_seed, Access.CONTROL, _LARGEST),)
