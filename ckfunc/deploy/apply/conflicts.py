"""Conflicts with other deploys, found before each write.

On one machine, a lock allows one deploy at a time. Across machines, the platform has no conditional writes, so the
application is read as late as possible before each write. Concurrent writes share a read that began at most FRESH_S
ago. To limit the cost on slow networks, a deploy of many functions reads at most MOST_READS times, spread evenly over
its writes; five hundred functions then take less than a tenth longer.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ckfunc.base.clock import Clock, timestamp
from ckfunc.base.errors import Busy
from ckfunc.base.files import cache_dir, locked, read_file, write_atomically
from ckfunc.base.text import digest
from ckfunc.deploy.apply import idempotent
from ckfunc.deploy.apply.idempotent import Overtaken
from ckfunc.deploy.apply.report import DONE, Item, ItemState, items_of
from ckfunc.deploy.history import same_script
from ckfunc.deploy.plan.plan import CreateFunction, CreateVersion, Plan, Put, Step
from ckfunc.deploy.plan.snapshot import overview, read_part, snapshot_of
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS, RUNTIME, SETTINGS, Part, Remote, Values
from ckfunc.model.application import Function

FRESH_S = 0.1
MOST_READS = 32
"""How often a deploy reads the functions, at most, after the first read."""

_SAME = "someone else has just deployed the same"


class Preconditions:
    """The application's expected and current state while a plan is carried out.

    Thread-safe. Every method that reads may raise ApiFailure.
    """

    def __init__(self, plan: Plan, remote: Remote, clock: Clock) -> None:
        self._remote = remote
        self._clock = clock
        self._expected: dict[str, Values] = dict(plan.have)
        self._lock = threading.Lock()
        self._functions: Mapping[str, Function] = {}
        self._functions_read_s = float("-inf")
        writes = sum(not isinstance(step, Put) for step in plan.steps)
        self._writes_per_read = -(-writes // MOST_READS)
        self._writes_since_read = 0
        self._kinds = frozenset(step.kind for step in plan.steps if isinstance(step, Put))
        self._parts: dict[str, tuple[Part, float]] = {}
        """The runtime and the settings, by section, with the times when they were read."""

    @contextmanager
    def single_read(self) -> Iterator[None]:
        """Read the whole application once, and use that state for all checks inside the context."""
        began = self._clock.monotonic_s()
        snapshot = overview(self._remote, self._kinds)
        parts: dict[str, Part] = {RUNTIME: snapshot.runtime}
        if snapshot.settings is not None:
            parts[SETTINGS] = snapshot.settings
        with self._lock:
            self._functions = {function.type: function for function in snapshot.functions}
            self._functions_read_s = float("inf")
            self._parts = {section: (part, float("inf")) for section, part in parts.items()}
        try:
            yield
        finally:
            with self._lock:
                self._functions_read_s = began
                self._parts = {section: (part, began) for section, part in parts.items()}
                self._writes_since_read = self._writes_per_read

    def record_write(self, step: Put, part: Part) -> None:
        """Expect the values of a step that was written, and use the platform's response as the current state."""
        with self._lock:
            self._expected[step.kind] = step.values
            self._parts[BY_KIND[step.kind].section] = part, self._clock.monotonic_s()

    def expect(self, step: Put) -> None:
        """Expect the values of a step that someone else has already written."""
        with self._lock:
            self._expected[step.kind] = step.values

    def expire(self) -> None:
        """Make the next check read the functions again."""
        with self._lock:
            self._functions_read_s, self._writes_since_read = float("-inf"), self._writes_per_read

    def changed_function(self, step: CreateVersion | CreateFunction) -> Function | None:
        """Return the function if it has changed since the plan: a different version, or created in the meantime."""
        with self._lock:
            began = self._clock.monotonic_s()
            if began - self._functions_read_s > FRESH_S and self._writes_since_read >= self._writes_per_read:
                self._functions = {function.type: function for function in self._remote.functions()}
                self._functions_read_s, self._writes_since_read = began, 0
            self._writes_since_read += 1
            functions = self._functions
        if isinstance(step, CreateFunction):
            return functions.get(step.function.type)
        current = functions.get(step.type)
        # The platform reports a function that was removed, so it is not reported here.
        return None if current is None or current.current_version_number == step.base_version else current

    def changed_values(self, step: Put) -> Values | None:
        """Return the application's current values if they are not the expected ones."""
        section = BY_KIND[step.kind].section
        with self._lock:
            began = self._clock.monotonic_s()
            part, read_s = self._parts.get(section, (None, float("-inf")))
            if part is None or began - read_s > FRESH_S:
                part = read_part(self._remote, section)
                self._parts[section] = part, began
            expected = self._expected[step.kind]
        have = BY_KIND[step.kind].have(snapshot_of(part))
        return None if have == expected else have


def superseded(step: Step, plan: Plan, preconditions: Preconditions, remote: Remote) -> tuple[Item, ...]:
    """Return the items of a step that must not be done any more; empty if it must be done. Raises ApiFailure."""
    if isinstance(step, Put):
        return _superseded_values(step, preconditions)
    function = preconditions.changed_function(step)
    # An interrupted deploy may leave a function without a version. This deploy then creates its first version.
    if function is None or (isinstance(step, CreateFunction) and not function.current_version_number):
        return ()
    return (_superseded_version(function, plan, remote),)


def conflict(plan: Plan, trigger_type: str, error: Overtaken) -> Item:
    """Return the CONFLICT item of a function that someone else has deployed."""
    old = plan.versions.get(trigger_type)
    return Item(FUNCTIONS, trigger_type, ItemState.CONFLICT, old, error.number, note=error.message, hint=error.hint)


def _superseded_values(step: Put, preconditions: Preconditions) -> tuple[Item, ...]:
    have = preconditions.changed_values(step)
    if have is None:
        return ()
    if have == step.values:
        return tuple(Item(change.kind, change.name, DONE[change.action], note=_SAME) for change in step.changes)
    note = f"someone else changed the {BY_KIND[step.kind].title} in the meantime; nothing was written"
    hint = "check the current state with `ckfunc diff`, then deploy again"
    return items_of(step.changes, ItemState.CONFLICT, note, hint)


def _superseded_version(function: Function, plan: Plan, remote: Remote) -> Item:
    name, old = function.type, plan.versions.get(function.type)
    theirs = idempotent.current(remote, function)
    if theirs is None:
        missing = Overtaken(f"the application no longer has a version of {name}", hint="check `ckfunc diff`")
        return conflict(plan, name, missing)
    script = next(step.script for step in plan.steps if isinstance(step, CreateVersion) and step.type == name)
    if same_script(theirs, script):
        done = ItemState.CREATED if old is None else ItemState.UPDATED
        return Item(FUNCTIONS, name, done, old, theirs.version_number, note=_SAME)
    return conflict(plan, name, idempotent.overtaken(function, theirs, script))


@contextmanager
def deploy_lock(identity: str | None, root: Path, clock: Clock) -> Iterator[None]:
    """Hold the lock of an application. The operating system releases it when the process ends, so it is never stale.

    Raises Busy if another process holds it.
    """
    if identity is None:
        yield
        return
    path = cache_dir() / "locks" / f"{digest(identity)[:32]}.lock"
    holder = path.with_suffix(".json")
    with locked(path, wait_s=0) as acquired:
        if not acquired:
            raise Busy(
                f"another ckfunc process is deploying to this application{_holder_text(holder)}; nothing was written",
                hint="wait until it has ended, check `ckfunc diff`, then deploy again",
            )
        with suppress(OSError):
            about = {"pid": os.getpid(), "since": timestamp(clock.now()), "project": str(root)}
            write_atomically(holder, json.dumps(about))
        try:
            yield
        finally:
            with suppress(OSError):
                holder.unlink()


def _holder_text(holder: Path) -> str:
    try:
        about = json.loads(read_file(holder))
        return f" (process {int(about['pid'])}, in {about['project']!s}, since {about['since']!s})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
