"""Controls of all data: snapshots and reset."""

from __future__ import annotations

from typing import Any

from ckfunc.emulator import replacement
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.resources.controls import health
from ckfunc.emulator.services import EmulatorServices
from ckfunc.wire.reading import optional, resource
from ckfunc.wire.seeds import write_snapshot


def list_snapshots(_call: Call, services: EmulatorServices) -> Reply:
    """Answer with the snapshots, newest first."""
    return Reply({"snapshots": [write_snapshot(snapshot) for snapshot in services.snapshots.all()]})


async def save_snapshot(call: Call, services: EmulatorServices) -> Reply:
    """Save all data as a snapshot, and answer with it; with `replace`, an existing one is replaced."""
    body: Any = call.json() if call.body else {}
    replace = optional(resource(body, "the body"), "replace", bool) or False
    return Reply(write_snapshot(await replacement.save(services, call.parameters["name"], replace=replace)))


async def restore_snapshot(call: Call, services: EmulatorServices) -> Reply:
    """Replace all data with a snapshot, and answer with it; clients are disconnected."""
    return Reply(write_snapshot(await replacement.restore(services, call.parameters["name"])))


def remove_snapshot(call: Call, services: EmulatorServices) -> Reply:
    """Delete a snapshot, and answer with it."""
    return Reply(write_snapshot(replacement.remove(services, call.parameters["name"])))


async def reset_data(call: Call, services: EmulatorServices) -> Reply:
    """Delete all data except snapshots, and answer with the new database's id; clients are disconnected."""
    await replacement.reset(services)
    return health(call, services)


ROUTES = (
    Route("GET", "/emulator/snapshots", list_snapshots, Access.CONTROL),
    Route("PUT", "/emulator/snapshots/{name}", save_snapshot, Access.CONTROL),
    Route("POST", "/emulator/snapshots/{name}/restore", restore_snapshot, Access.CONTROL),
    Route("DELETE", "/emulator/snapshots/{name}", remove_snapshot, Access.CONTROL),
    Route("POST", "/emulator/reset", reset_data, Access.CONTROL),
)
