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
        self._injectors: dict[int, _Injector] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._injectors)

    @property
    def active(self) -> tuple[ActiveFault, ...]:
        """The faults, oldest first."""
        return tuple(injector.active for injector in self._injectors.values())

    def add(self, fault: Fault) -> ActiveFault:
        """Add a fault. Raises Refused if there are too many."""
        if len(self._injectors) >= MOST_FAULTS:
            raise Refused(f"there are {MOST_FAULTS} faults already; remove some")
        self._last_id += 1
        self.version += 1
        injector = self._injectors[self._last_id] = _Injector(self._last_id, fault)
        return injector.active

    def remove(self, fault_id: int) -> ActiveFault:
        """Remove a fault. Raises Missing."""
        injector = self._injectors.pop(fault_id, None)
        if injector is None:
            raise Missing(f"there is no fault {fault_id}")
        self.version += 1
        return injector.active

    def clear(self) -> tuple[ActiveFault, ...]:
        """Remove all faults, and return them."""
        removed = self.active
        self._injectors.clear()
        self.version += 1
        return removed

    def replace(self, faults: Iterable[Fault]) -> None:
        """Replace all faults. Their ids begin at 1 again."""
        self._injectors.clear()
        self._last_id = 0
        self.version += 1
        for fault in faults:
            self.add(fault)

    def for_request(self, operation: str) -> ActiveFault | None:
        """Count a request of an operation, and return the fault that applies to it, or None."""
        for injector in self._injectors.values():
            if injector.applies(operation):
                return injector.active
        return None


class _Injector:
    """An active fault with its counts and random numbers."""

    def __init__(self, fault_id: int, fault: Fault) -> None:
        self._id = fault_id
        self._fault = fault
        self._seen = self._hits = 0
        # Not seeded with the id: adding the same fault again repeats its choices.
        self._random = random.Random(f"{fault.seed} {fault.operation}")  # noqa: S311 - no secret

    @property
    def active(self) -> ActiveFault:
        return ActiveFault(self._id, self._fault, self._seen, self._hits)

    def applies(self, operation: str) -> bool:
        fault = self._fault
        if fault.operation not in (None, operation):
            return False
        self._seen += 1
        if fault.first is not None:
            applies = self._hits < fault.first
        else:
            applies = fault.rate_percent == 100 or self._random.random() * 100 < fault.rate_percent
        self._hits += applies
        return applies
