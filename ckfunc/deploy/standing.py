"""Whether the application still stands as the plan saw it: looked at again right before each write.

The platform has no conditional writes. What is left is to look as late as can be: a look that began at most FRESH_S
ago counts as now, so that writes side by side share one, and five hundred writes do not cost five hundred looks.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from ckfunc.base.clock import Clock
from ckfunc.deploy.plan import CreateFunction, CreateVersion, Plan, Put
from ckfunc.deploy.remote import Remote
from ckfunc.deploy.resources import BY_KIND, Values
from ckfunc.deploy.snapshot import Snapshot, overview
from ckfunc.model.function import Function
from ckfunc.model.runtime import Runtime

FRESH_S = 0.1


class Standing:
    """What is known of the application while a plan is carried out. Thread-safe. Every look may raise ApiFailure."""

    def __init__(self, plan: Plan, remote: Remote, clock: Clock) -> None:
        self._remote = remote
        self._clock = clock
        self._expected: dict[str, Values] = dict(plan.have)
        self._lock = threading.Lock()
        self._functions: Mapping[str, Function] = {}
        self._looked_s = float("-inf")
        self._runtime: Runtime | None = None
        self._read_s = float("-inf")

    def look(self) -> None:
        """Read everything."""
        began = self._clock.monotonic_s()
        seen = overview(self._remote)
        with self._lock:
            self._functions, self._looked_s = {one.type: one for one in seen.functions}, began
            self._runtime, self._read_s = seen.runtime, began

    def wrote(self, step: Put, runtime: Runtime) -> None:
        """Note what a write left: that is what is expected from here on, and what the platform said it is."""
        with self._lock:
            self._expected[step.kind] = step.values
            self._runtime, self._read_s = runtime, self._clock.monotonic_s()

    def agrees(self, step: Put) -> None:
        """Note that someone else has written what a step was to write."""
        with self._lock:
            self._expected[step.kind] = step.values

    def moved(self, step: CreateVersion | CreateFunction) -> Function | None:
        """Return the function as it is, when it is not as the plan saw it: another version, or there at all."""
        with self._lock:
            began = self._clock.monotonic_s()
            if began - self._looked_s > FRESH_S:
                self._functions = {one.type: one for one in self._remote.functions()}
                self._looked_s = began
            functions = self._functions
        if isinstance(step, CreateFunction):
            return functions.get(step.function.type)
        found = functions.get(step.type)
        # A function that is gone will be refused by the platform, in its own words.
        return None if found is None or found.current_version_number == step.base_version else found

    def changed(self, step: Put) -> Values | None:
        """Return the values that the application has, when they are not those that are expected."""
        with self._lock:
            began = self._clock.monotonic_s()
            if self._runtime is None or began - self._read_s > FRESH_S:
                self._runtime, self._read_s = self._remote.runtime(), began
            runtime = self._runtime
            expected = self._expected[step.kind]
        have = BY_KIND[step.kind].have(Snapshot(runtime, ()))
        return None if have == expected else have
