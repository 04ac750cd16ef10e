"""Carry out a plan step by step.

Every result is recorded. The deploy stops when further steps could do harm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TypeAlias, TypeVar

from ckfunc.base.clock import Clock
from ckfunc.base.errors import CkfuncError
from ckfunc.base.frozen import frozen
from ckfunc.base.workers import AT_ONCE, each
from ckfunc.deploy.apply import idempotent
from ckfunc.deploy.apply.conflicts import Preconditions, conflict, superseded
from ckfunc.deploy.apply.idempotent import Overtaken
from ckfunc.deploy.apply.journal import Journal
from ckfunc.deploy.apply.report import DONE, WRONG, Ending, Item, ItemState, Ledger, items_of
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.history import same_script
from ckfunc.deploy.plan.plan import CreateFunction, CreateVersion, Plan, Put, Step
from ckfunc.deploy.plan.snapshot import read_part, snapshot_of
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS, WRITERS, Remote
from ckfunc.model.application import Function

OnStep: TypeAlias = Callable[[Step | Item], object]
"""Called with each step when it starts and each item when it ends, in the thread that deploys."""

_OTHERS = "someone else is deploying to this application"
_BEFORE_LAST = "a function that may depend on it was not deployed"

AnyStep = TypeVar("AnyStep", Put, CreateFunction, CreateVersion)


def apply(
    plan: Plan,
    remote: Remote,
    cache: VersionCache,
    on_step: OnStep,
    *,
    journal: Journal,
    clock: Clock,
    at_once: int = AT_ONCE,
) -> Ledger:
    """Carry out the plan, and return the results of all changes.

    Additions come first, removals and settings last, so that a failure in between leaves no function without what it
    needs. A failed runtime step stops everything after it, because versions may need it. A failed function only stops
    removals and settings.
    A concurrent deploy stops everything, so that the results do not mix; so do rejected credentials and an unreachable
    host. After an interrupt, active requests are completed, so that the ledger is correct. Never raises CkfuncError.
    """
    ledger = Ledger()
    runner = _StepRunner(plan, remote, cache, ledger, on_step, journal, Preconditions(plan, remote, clock), clock)
    versions = [step for step in plan.steps if isinstance(step, CreateVersion)]
    puts = [step for step in plan.steps if isinstance(step, Put)]
    try:
        if runner.preconditions_hold():
            runner.run_all([put for put in puts if not put.last], runner.put, at_once=1)
            runner.run_all(
                [step for step in plan.steps if isinstance(step, CreateFunction)], runner.create_function, at_once
            )
            # The first version is created alone: it decides which of two concurrent deploys wins.
            runner.run_all(versions[:1], runner.create_version, at_once=1)
            ledger.first = any(_created_next(ledger, version) for version in versions[:1])
            if ledger.contested and not ledger.first:
                runner.wait_for_first_deploy()
            runner.run_all(versions[1:], runner.create_version, at_once)
            if any(item.result in WRONG for item in ledger.items.values()):
                ledger.stop(_BEFORE_LAST, Ending.COMPLETE)
            runner.run_all([put for put in puts if put.last], runner.put, at_once=1)
    except KeyboardInterrupt:
        ledger.ending, ledger.reason = Ending.INTERRUPTED, "interrupted"
    for change in plan.changes:
        if (change.kind, change.name) not in ledger.items:
            old = plan.versions.get(change.name) if change.kind == FUNCTIONS else None
            note = f"not attempted: {ledger.reason}"
            ledger.record(Item(change.kind, change.name, ItemState.SKIPPED, old_version=old, note=note))
    return ledger


@frozen
class _StepRunner:
    """Runs steps. Each step records its own items in the ledger, so that an interrupt loses none."""

    plan: Plan
    remote: Remote
    cache: VersionCache
    ledger: Ledger
    on_step: OnStep
    journal: Journal
    preconditions: Preconditions
    clock: Clock

    def run_all(
        self, steps: Sequence[AnyStep], do: Callable[[AnyStep], tuple[Item, ...]], at_once: int = AT_ONCE
    ) -> None:
        """Run steps concurrently, and report their items."""
        results = each(
            steps, do, at_once=at_once, starting=self.on_step, stopped=lambda: self.ledger.stopped, finish=True
        )
        with closing(results):
            try:
                for items in results:
                    for item in items:
                        self.on_step(item)
            except KeyboardInterrupt:
                # Recorded before active requests are waited for, so that none of them is retried.
                self.ledger.stop("interrupted", Ending.INTERRUPTED)
                raise

    def preconditions_hold(self) -> bool:
        """Return whether the application is still in the state that the plan was computed from. If not, stop."""
        try:
            with self.preconditions.single_read():
                conflicts = [item for step in self.plan.steps for item in self._superseded(step)]
        except CkfuncError as error:
            self.ledger.record_failure(error)
            self.ledger.may_have_written = False
            self.ledger.stop(f"the application could not be read again: {error.message}")
            return False
        if not any(item.result is ItemState.CONFLICT for item in conflicts):
            return True
        for item in self.ledger.record(*(item for item in conflicts if item.result is ItemState.CONFLICT)):
            self.on_step(item)
        self.ledger.stop(_OTHERS)
        return False

    def wait_for_first_deploy(self) -> None:
        """Give a concurrent deploy of the same state, which was first, time to finish. The rest is done here."""
        if not self.ledger.stopped:
            self.clock.sleep(2 * idempotent.SETTLE_S)
            self.preconditions.expire()

    def put(self, step: Put) -> tuple[Item, ...]:
        """Replace all values of a kind."""
        resource = BY_KIND[step.kind]
        try:
            # The first deploy overwrites values that a later deploy wrote before it noticed the conflict.
            if conflicts := self._superseded(step):
                self.ledger.contested = True
                if conflicts[0].result is not ItemState.CONFLICT:
                    self.preconditions.expect(step)
                    self.ledger.values[step.kind] = step.values
                    return self._end(*conflicts)
                if not self.ledger.first:
                    return self._end(*conflicts)
            self.journal.start(step)
            part = idempotent.put(
                lambda: WRITERS[step.kind](self.remote, step.values),
                lambda: read_part(self.remote, resource.section),
                lambda part: resource.have(snapshot_of(part)) == step.values,
                self._pause,
            )
        except CkfuncError as error:
            failed = items_of(step.changes, ItemState.FAILED, error.message, error.hint)
            self.ledger.record_failure(error, *failed)
            self.ledger.stop(f"the {resource.title} could not be written")
            return self._end(*failed)
        self.preconditions.record_write(step, part)
        self.ledger.values[step.kind] = step.values
        self.ledger.record_write()
        return self._end(*(Item(change.kind, change.name, DONE[change.action]) for change in step.changes))

    def create_function(self, step: CreateFunction) -> tuple[Item, ...]:
        """Create a function. Its first version is a separate step."""
        name = step.function.type
        try:
            current = self.preconditions.changed_function(step)
            if current is not None and not current.current_version_number:
                self.ledger.created[name] = current
                return ()
            if current is not None:
                self.ledger.contested = True
                return self._end(*self._superseded(step))
            self.journal.start(step)
            function = idempotent.create_function(self.remote, step.function, self._pause)
        except Overtaken as error:
            return self._end(conflict(self.plan, name, error))
        except CkfuncError as error:
            failed = Item(FUNCTIONS, name, ItemState.FAILED, note=error.message, hint=error.hint)
            self.ledger.record_failure(error, failed)
            return self._end(failed)
        self.ledger.record_write()
        self.ledger.created[name] = function
        # The result in case its first version is not created; not reported as a line of its own.
        self.journal.created(name, function)
        self.ledger.record(
            Item(FUNCTIONS, name, ItemState.SKIPPED, new_version=0, note="created, but without a version")
        )
        return ()

    def create_version(self, step: CreateVersion) -> tuple[Item, ...]:
        """Create a version, and check that its script and number are the expected ones."""
        new = self.ledger.created.get(step.type)
        if step.function_id is None and new is None:
            return ()  # the function could not be created, which the ledger already contains
        function = new or Function(step.function_id or 0, step.type, "", False, step.base_version)
        exists = step.type in self.plan.versions
        item = Item(FUNCTIONS, step.type, ItemState.FAILED, old_version=step.base_version if exists else None)
        try:
            if (new is None or self.ledger.contested) and (conflicts := self._superseded(step)):
                self.ledger.contested = True
                return self._end(*conflicts)
            self.journal.start(step)
            version = idempotent.create_version(self.remote, function, step.base_version, step.script, self._pause)
        except Overtaken as error:
            self.ledger.may_have_written = True
            return self._end(conflict(self.plan, step.type, error))
        except CkfuncError as error:
            self.ledger.record_failure(error, item)
            note = error.message if exists else f"created, but its first version was not: {error.message}"
            return self._end(replace(item, old_version=step.base_version, note=note, hint=error.hint))
        self.ledger.record_write()
        self.cache.store_version(self.remote.identity, function.id, version)
        item = replace(item, new_version=version.version_number)
        if not same_script(version, step.script):
            item = replace(item, note=f"the platform stored v{item.new_version} with a different script than was sent")
        elif version.version_number <= step.base_version:
            item = replace(
                item, note=f"the platform numbered the new version v{item.new_version}, after v{step.base_version}"
            )
        else:
            item = replace(item, result=ItemState.UPDATED if exists else ItemState.CREATED)
        return self._end(item)

    def _end(self, *items: Item) -> tuple[Item, ...]:
        if any(item.result is ItemState.CONFLICT for item in items):
            self.ledger.stop(_OTHERS)
        self.journal.end_step(items)
        return self.ledger.record(*items)

    def _superseded(self, step: Step) -> tuple[Item, ...]:
        return superseded(step, self.plan, self.preconditions, self.remote)

    def _pause(self, seconds: float) -> bool:
        """Wait, and return False if the deploy has stopped in the meantime."""
        if seconds and not self.ledger.stopped:
            self.clock.sleep(seconds)
        return not self.ledger.stopped


def _created_next(ledger: Ledger, step: CreateVersion) -> bool:
    """Return whether this deploy created the version right after the one that the plan was computed from."""
    item = ledger.items.get((FUNCTIONS, step.type))
    return item is not None and item.result not in WRONG and not item.note and item.new_version == step.base_version + 1
