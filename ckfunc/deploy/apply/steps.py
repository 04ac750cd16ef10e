"""Carry out a plan step by step.

Every result is recorded. The deploy stops where going on would do harm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from ckfunc.base.clock import Clock
from ckfunc.base.errors import CkfuncError
from ckfunc.base.workers import AT_ONCE, each
from ckfunc.deploy.apply import idempotent
from ckfunc.deploy.apply.conflicts import Preconditions, conflict, superseded
from ckfunc.deploy.apply.idempotent import Overtaken
from ckfunc.deploy.apply.journal import Journal
from ckfunc.deploy.apply.report import DONE, WRONG, Ending, Item, ItemState, Ledger
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.plan.plan import CreateFunction, CreateVersion, Plan, Put, Step
from ckfunc.deploy.remote import Remote, Snapshot
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS, WRITERS
from ckfunc.model.function import Function

OnStep: TypeAlias = Callable[[Step | Item], object]
"""Hears of each step as it starts and each item as it ends, in the thread that deploys."""

_OTHERS = "someone else deploys to this application"
_BEFORE_REMOVALS = "a function that may still need it was not deployed"

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
    """Carry out the plan and return what became of every change.

    Additions come first and removals last, so that a failure in the middle leaves no function without what it needs. A
    failed runtime step stops everything after it, as the versions may need it; a failed function stops no other, but
    the removals. Somebody else's deploy stops everything: two of them must not become a mixture. So do rejected
    credentials, and a host that stays out of reach. An interrupt lets the requests under way end, so that the ledger is
    true. Never raises CkfuncError.
    """
    ledger = Ledger()
    work = _StepRunner(plan, remote, cache, ledger, on_step, journal, Preconditions(plan, remote, clock), clock)
    versions = [one for one in plan.steps if isinstance(one, CreateVersion)]
    puts = [one for one in plan.steps if isinstance(one, Put)]
    try:
        if work.preconditions_hold():
            work.all([one for one in puts if not one.last], work.put, at_once=1)
            work.all([one for one in plan.steps if isinstance(one, CreateFunction)], work.create_function, at_once)
            # The first one goes alone: it tells who wins when two deploys, on two machines, begin at the same moment.
            work.all(versions[:1], work.create_version, at_once=1)
            ledger.first = any(_made_next(ledger, one) for one in versions[:1])
            if ledger.contested and not ledger.first:
                work.wait_for_the_first()
            work.all(versions[1:], work.create_version, at_once)
            if any(one.result in WRONG for one in ledger.items.values()):
                ledger.stop(_BEFORE_REMOVALS, Ending.COMPLETE)
            work.all([one for one in puts if one.last], work.put, at_once=1)
    except KeyboardInterrupt:
        ledger.ending, ledger.reason = Ending.INTERRUPTED, "interrupted"
    for change in plan.changes:
        if (change.kind, change.name) not in ledger.items:
            ledger.enter(_skipped(plan, change.kind, change.name, f"not attempted: {ledger.reason}"))
    return ledger


@dataclass(frozen=True, slots=True)
class _StepRunner:
    """What every step needs. Steps enter their items into the ledger themselves, so that an interrupt loses none."""

    plan: Plan
    remote: Remote
    cache: VersionCache
    ledger: Ledger
    on_step: OnStep
    journal: Journal
    preconditions: Preconditions
    clock: Clock

    def all(self, steps: Sequence[AnyStep], do: Callable[[AnyStep], tuple[Item, ...]], at_once: int = AT_ONCE) -> None:
        """Do steps side by side, and report them."""
        results = each(
            steps, do, at_once=at_once, starting=self.on_step, stopped=lambda: self.ledger.stopped, finish=True
        )
        with closing(results):
            try:
                for items in results:
                    for item in items:
                        self.on_step(item)
            except KeyboardInterrupt:
                # Known before the requests under way are waited for: none of them is to be tried again.
                self.ledger.stop("interrupted", Ending.INTERRUPTED)
                raise

    def preconditions_hold(self) -> bool:
        """Look whether the application still is what the plan was made from; if not, nothing is begun."""
        try:
            with self.preconditions.look():
                theirs = [item for step in self.plan.steps for item in self._superseded(step)]
        except CkfuncError as error:
            self.ledger.failed(error)
            self.ledger.doubtful = False
            self.ledger.stop(f"the application could not be looked at again: {error.message}")
            return False
        if not any(one.result is ItemState.CONFLICT for one in theirs):
            return True
        for item in self.ledger.enter(*(one for one in theirs if one.result is ItemState.CONFLICT)):
            self.on_step(item)
        self.ledger.stop(_OTHERS)
        return False

    def wait_for_the_first(self) -> None:
        """Leave the rest to someone else who deploys the same: what they have not done by then is done here."""
        if not self.ledger.stopped:
            self.clock.sleep(2 * idempotent.SETTLE_S)
            self.preconditions.expire()

    def put(self, step: Put) -> tuple[Item, ...]:
        """Replace everything of one kind."""
        resource = BY_KIND[step.kind]
        try:
            # Who was first writes over what a later one wrote before it found out.
            if theirs := self._superseded(step):
                self.ledger.contested = True
                if theirs[0].result is not ItemState.CONFLICT:
                    self.preconditions.agrees(step)
                    self.ledger.values[step.kind] = step.values
                    return self._end(*theirs)
                if not self.ledger.first:
                    return self._end(*theirs)
            self.journal.start(step)
            runtime = idempotent.put(
                self.remote,
                WRITERS[step.kind],
                step.values,
                lambda runtime: resource.have(Snapshot(runtime, ())),
                self._pause,
            )
        except CkfuncError as error:
            self.ledger.failed(error)
            self.ledger.stop(f"the {resource.title} could not be written")
            failed = (
                Item(one.kind, one.name, ItemState.FAILED, note=error.message, hint=error.hint) for one in step.changes
            )
            return self._end(*failed)
        self.preconditions.wrote(step, runtime)
        self.ledger.values[step.kind] = step.values
        self.ledger.written()
        return self._end(*(Item(one.kind, one.name, DONE[one.action]) for one in step.changes))

    def create_function(self, step: CreateFunction) -> tuple[Item, ...]:
        """Create a function; its first version is a step of its own."""
        name = step.function.type
        try:
            found = self.preconditions.moved(step)
            if found is not None and not found.current_version_number:
                self.ledger.created[name] = found
                return ()
            if found is not None:
                self.ledger.contested = True
                return self._end(*self._superseded(step))
            self.journal.start(step)
            function = idempotent.create_function(self.remote, step.function, self._pause)
        except Overtaken as error:
            return self._end(conflict(self.plan, name, error))
        except CkfuncError as error:
            self.ledger.failed(error)
            return self._end(Item(FUNCTIONS, name, ItemState.FAILED, note=error.message, hint=error.hint))
        self.ledger.written()
        self.ledger.created[name] = function
        # What is true of it until the first version is there; not worth a line of its own.
        self.journal.created(name, function)
        self.ledger.enter(
            Item(FUNCTIONS, name, ItemState.SKIPPED, new_version=0, note="created, but without a version")
        )
        return ()

    def create_version(self, step: CreateVersion) -> tuple[Item, ...]:
        """Create a version, and look whether it is the one that the plan foresaw."""
        new = self.ledger.created.get(step.type)
        if step.function_id is None and new is None:
            return ()  # the function could not be created, as the ledger says already
        function = new or Function(step.function_id or 0, step.type, "", False, step.base_version)
        known = step.type in self.plan.versions
        item = Item(FUNCTIONS, step.type, ItemState.FAILED, old_version=step.base_version if known else None)
        try:
            if (new is None or self.ledger.contested) and (theirs := self._superseded(step)):
                self.ledger.contested = True
                return self._end(*theirs)
            self.journal.start(step)
            version = idempotent.create_version(self.remote, function, step.base_version, step.script, self._pause)
        except Overtaken as error:
            self.ledger.doubtful = True
            return self._end(conflict(self.plan, step.type, error))
        except CkfuncError as error:
            self.ledger.failed(error)
            note = error.message if known else f"created, but its first version was not: {error.message}"
            return self._end(replace(item, old_version=step.base_version, note=note, hint=error.hint))
        self.ledger.written()
        self.cache.keep_version(self.remote.identity, function.id, version)
        item = replace(item, new_version=version.version_number)
        if not idempotent.same_script(version, step.script):
            item = replace(item, note=f"the platform stored another script as v{item.new_version} than was sent")
        elif version.version_number <= step.base_version:
            item = replace(
                item, note=f"the platform numbered the new version v{item.new_version}, after v{step.base_version}"
            )
        else:
            item = replace(item, result=ItemState.UPDATED if known else ItemState.CREATED)
        return self._end(item)

    def _end(self, *items: Item) -> tuple[Item, ...]:
        if any(one.result is ItemState.CONFLICT for one in items):
            self.ledger.stop(_OTHERS)
        self.journal.end_step(items)
        return self.ledger.enter(*items)

    def _superseded(self, step: Step) -> tuple[Item, ...]:
        return superseded(step, self.plan, self.preconditions, self.remote)

    def _pause(self, seconds: float) -> bool:
        """Wait; False when the deploy has stopped meanwhile."""
        if seconds and not self.ledger.stopped:
            self.clock.sleep(seconds)
        return not self.ledger.stopped


def _made_next(ledger: Ledger, step: CreateVersion) -> bool:
    """Tell whether this deploy itself made the version that follows the one that was planned from."""
    item = ledger.items.get((FUNCTIONS, step.type))
    return item is not None and item.result not in WRONG and not item.note and item.new_version == step.base_version + 1


def _skipped(plan: Plan, kind: str, name: str, note: str) -> Item:
    old = plan.versions.get(name) if kind == FUNCTIONS else None
    return Item(kind, name, ItemState.SKIPPED, old_version=old, note=note)
