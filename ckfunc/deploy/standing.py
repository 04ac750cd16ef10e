"""Whether the application still stands as the plan saw it: looked at again right before each write.

The platform has no conditional writes. What is left is to look as late as can be: a look that began at most FRESH_S
ago counts as now, so that writes side by side share one. Over a slow network that is not enough: a deploy of many
functions looks MOST_LOOKS times, spread evenly over its writes, and five hundred do not cost a tenth more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ckfunc.base.clock import Clock
from ckfunc.deploy.plan import CreateFunction, CreateVersion, Plan, Put
from ckfunc.deploy.remote import Remote
from ckfunc.deploy.resources import BY_KIND, Values
from ckfunc.deploy.snapshot import Snapshot, overview
from ckfunc.model.application import Runtime
from ckfunc.model.function import Function

FRESH_S = 0.1
MOST_LOOKS = 32
"""How often one deploy looks at the functions, at most, besides its first look."""


class Standing:
    """What is known of the application while a plan is carried out. Thread-safe. Every look may raise ApiFailure."""

    def __init__(self, plan: Plan, remote: Remote, clock: Clock) -> None:
        self._remote = remote
        self._clock = clock
        self._expected: dict[str, Values] = dict(plan.have)
        self._lock = threading.Lock()
        self._functions: Mapping[str, Function] = {}
        self._looked_s = float("-inf")
        writes = sum(not isinstance(one, Put) for one in plan.steps)
        self._share = -(-writes // MOST_LOOKS)
        self._shared_by = 0
        self._runtime: Runtime | None = None
        self._read_s = float("-inf")

    @contextmanager
    def look(self) -> Iterator[None]:
        """Read everything; what is asked inside is answered from that, however long it takes."""
        began = self._clock.monotonic_s()
        seen = overview(self._remote)
        with self._lock:
            self._functions, self._runtime = {one.type: one for one in seen.functions}, seen.runtime
            self._looked_s = self._read_s = float("inf")
        try:
            yield
        finally:
            with self._lock:
                self._looked_s = self._read_s = began
                self._shared_by = self._share

    def wrote(self, step: Put, runtime: Runtime) -> None:
        """Note what a write left: that is what is expected from here on, and what the platform said it is."""
        with self._lock:
            self._expected[step.kind] = step.values
            self._runtime, self._read_s = runtime, self._clock.monotonic_s()

    def agrees(self, step: Put) -> None:
        """Note that someone else has written what a step was to write."""
        with self._lock:
            self._expected[step.kind] = step.values

    def expire(self) -> None:
        """Let the next look be a new one."""
        with self._lock:
            self._looked_s, self._shared_by = float("-inf"), self._share

    def moved(self, step: CreateVersion | CreateFunction) -> Function | None:
        """Return the function as it is, when it is not as the plan saw it: another version, or there at all."""
        with self._lock:
            began = self._clock.monotonic_s()
            if began - self._looked_s > FRESH_S and self._shared_by >= self._share:
                self._functions = {one.type: one for one in self._remote.functions()}
                self._looked_s, self._shared_by = began, 0
            self._shared_by += 1
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
