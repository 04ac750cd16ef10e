"""Faults injected into requests to the Platform API.

They are in memory, and end with the emulator.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from ckfunc.emulator.http.problems import HttpProblem, Missing, Refused
from ckfunc.model.fault import ActiveFault, Fault

MOST_FAULTS = 100

CONNECTION = "ckfunc.connection"
"""The extension of an ASGI scope with the Exchange of the request (see `server`)."""


class FaultAnswer(HttpProblem):
    """The answer of a fault with a status."""

    error = "EmulatorFault"
    text = "The emulator injected this error"

    def __init__(self, active: ActiveFault) -> None:
        fault = active.fault
        headers = {} if fault.retry_after_s is None else {"retry-after": str(fault.retry_after_s)}
        operation = fault.operation or "all operations"
        super().__init__(f"fault {active.id}: {fault.effect}, {fault.requests} of {operation}", headers)
        self.status = fault.status or 500


class Faults:
    """The active faults. The first one that applies to a request takes effect."""

    def __init__(self) -> None:
        self.version = 0
        """Changes when faults are added or removed."""
        self._active: dict[int, ActiveFault] = {}
        self._randoms: dict[int, random.Random] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._active)

    @property
    def active(self) -> tuple[ActiveFault, ...]:
        """The faults, oldest first."""
        return tuple(self._active.values())

    def add(self, fault: Fault) -> ActiveFault:
        """Add a fault. Raises Refused if there are too many."""
        if len(self._active) >= MOST_FAULTS:
            raise Refused(f"there are {MOST_FAULTS} faults already; remove some")
        self._last_id += 1
        self.version += 1
        # Not seeded with the id: adding the same fault again repeats its choices.
        self._randoms[self._last_id] = random.Random(f"{fault.seed} {fault.operation}")  # noqa: S311 - no secret
        active = self._active[self._last_id] = ActiveFault(self._last_id, fault)
        return active

    def remove(self, fault_id: int) -> ActiveFault:
        """Remove a fault. Raises Missing."""
        removed = self._active.pop(fault_id, None)
        if removed is None:
            raise Missing(f"there is no fault {fault_id}")
        del self._randoms[fault_id]
        self.version += 1
        return removed

    def clear(self) -> tuple[ActiveFault, ...]:
        """Remove all faults, and return them."""
        removed = self.active
        self._active.clear()
        self._randoms.clear()
        self.version += 1
        return removed

    def replace(self, faults: Iterable[Fault]) -> None:
        """Replace all faults. Their ids begin at 1 again."""
        self.clear()
        self._last_id = 0
        for fault in faults:
            self.add(fault)

    def for_request(self, operation: str) -> ActiveFault | None:
        """Count a request of an operation, and return the fault that applies to it, or None."""
        for active in self.active:
            fault, hits = active.fault, active.hits
            if fault.operation not in (None, operation):
                continue
            if fault.first is not None:
                applies = hits < fault.first
            else:
                applies = fault.rate_percent == 100 or self._randoms[active.id].random() * 100 < fault.rate_percent
            counted = self._active[active.id] = ActiveFault(active.id, fault, active.seen + 1, hits + applies)
            if applies:
                return counted
        return None
