"""Controls of faults: list, add, remove, clear."""

from __future__ import annotations

from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.services import EmulatorServices
from ckfunc.wire.faults import read_fault, write_active_fault


def list_faults(_call: Call, services: EmulatorServices) -> Reply:
    """Answer with the active faults, oldest first."""
    return Reply({"faults": [write_active_fault(active) for active in services.faults.active]})


def add_fault(call: Call, services: EmulatorServices) -> Reply:
    """Add a fault, and answer with it."""
    return Reply(write_active_fault(services.faults.add(read_fault(call.json()))))


def remove_fault(call: Call, services: EmulatorServices) -> Reply:
    """Remove a fault, and answer with it."""
    return Reply(write_active_fault(services.faults.remove(call.id())))


def clear_faults(_call: Call, services: EmulatorServices) -> Reply:
    """Remove all faults, and answer with them."""
    return Reply({"faults": [write_active_fault(active) for active in services.faults.clear()]})


ROUTES = (
    Route("GET", "/emulator/faults", list_faults, Access.CONTROL),
    Route("POST", "/emulator/faults", add_fault, Access.CONTROL),
    Route("DELETE", "/emulator/faults", clear_faults, Access.CONTROL),
    Route("DELETE", "/emulator/faults/{id}", remove_fault, Access.CONTROL),
)
