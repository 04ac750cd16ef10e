"""Conflicts with other deploys, found before each write.

On one machine a lock lets one deploy at a time through. Elsewhere the platform has no conditional writes, so the
application is read as late as possible: a read that began at most FRESH_S ago counts as current, so that concurrent
writes share it. Over a slow network that is not enough: a deploy of many functions reads MOST_LOOKS times, spread
evenly over its writes, and five hundred functions cost less than a tenth more.
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
from ckfunc.deploy.apply.report import DONE, Item, ItemState
from ckfunc.deploy.plan.plan import CreateFunction, CreateVersion, Plan, Put, Step
from ckfunc.deploy.plan.snapshot import overview
from ckfunc.deploy.remote import Remote, Snapshot
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS, Values
from ckfunc.model.application import Runtime
from ckfunc.model.function import Function

FRESH_S = 0.1
MOST_LOOKS = 32
"""How often one deploy looks at the functions, at most, besides its first look."""

_SAME = "someone else has just done the same"


class Preconditions:
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


def superseded(step: Step, plan: Plan, preconditions: Preconditions, remote: Remote) -> tuple[Item, ...]:
    """Return what becomes of a step that is not to be done any more; nothing when it is. Raises ApiFailure."""
    if isinstance(step, Put):
        return _superseded_values(step, preconditions)
    function = preconditions.moved(step)
    # A function without a version is what is left of a deploy that was cut off: its first version is still to come.
    if function is None or (isinstance(step, CreateFunction) and not function.current_version_number):
        return ()
    return (_superseded_version(function, plan, remote),)


def conflict(plan: Plan, trigger_type: str, error: Overtaken) -> Item:
    """Return the item of a function that someone else has deployed."""
    old = plan.versions.get(trigger_type)
    return Item(FUNCTIONS, trigger_type, ItemState.CONFLICT, old, error.number, note=error.message, hint=error.hint)


def _superseded_values(step: Put, preconditions: Preconditions) -> tuple[Item, ...]:
    have = preconditions.changed(step)
    if have is None:
        return ()
    if have == step.values:
        return tuple(Item(one.kind, one.name, DONE[one.action], note=_SAME) for one in step.changes)
    note = f"someone else changed the {BY_KIND[step.kind].title} meanwhile; nothing was written"
    hint = "`ckfunc diff` shows what it is now; then deploy again"
    return tuple(Item(one.kind, one.name, ItemState.CONFLICT, note=note, hint=hint) for one in step.changes)


def _superseded_version(function: Function, plan: Plan, remote: Remote) -> Item:
    name, old = function.type, plan.versions.get(function.type)
    theirs = idempotent.current(remote, function)
    if theirs is None:
        gone = Overtaken(f"the application has no version of {name} any more", hint="look at `ckfunc diff`")
        return conflict(plan, name, gone)
    script = next(one.script for one in plan.steps if isinstance(one, CreateVersion) and one.type == name)
    if idempotent.same_script(theirs, script):
        done = ItemState.CREATED if old is None else ItemState.UPDATED
        return Item(FUNCTIONS, name, done, old, theirs.version_number, note=_SAME)
    return conflict(plan, name, idempotent.overtaken(function, theirs, script))


@contextmanager
def deploy_lock(identity: str | None, root: Path, clock: Clock) -> Iterator[None]:
    """Hold the application's lock. The system frees it when the process ends, however it ends: it is never stale.

    Raises Busy when another process has it.
    """
    if identity is None:
        yield
        return
    path = cache_dir() / "locks" / f"{digest(identity)[:32]}.lock"
    holder = path.with_suffix(".json")
    with locked(path, wait_s=0) as got:
        if not got:
            raise Busy(
                f"another ckfunc deploys to this application right now{_who(holder)}; nothing was written",
                hint="wait until it has ended, look at `ckfunc diff`, then deploy again",
            )
        with suppress(OSError):
            about = {"pid": os.getpid(), "since": timestamp(clock.now()), "project": str(root)}
            write_atomically(holder, json.dumps(about))
        try:
            yield
        finally:
            with suppress(OSError):
                holder.unlink()


def _who(holder: Path) -> str:
    try:
        about = json.loads(read_file(holder))
        return f" (process {int(about['pid'])}, in {about['project']!s}, since {about['since']!s})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
