"""How a plan is carried out: step by step, every outcome kept, stopping where going on would do harm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from ckfunc.base.errors import CkfuncError, RequestRejected
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.ledger import Ledger
from ckfunc.deploy.parallel import AT_ONCE, each
from ckfunc.deploy.plan import CreateFunction, CreateVersion, Plan, Put, Step
from ckfunc.deploy.remote import Remote
from ckfunc.deploy.report import DONE, Ending, Item, Result
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS, WRITERS, newlines

OnStep: TypeAlias = Callable[[Step | Item], object]
"""Hears of each step as it starts and each item as it ends, in the thread that deploys."""

_PERHAPS_CREATED = "if another deploy has created it meanwhile, deploy again"

AnyStep = TypeVar("AnyStep", Put, CreateFunction, CreateVersion)


def apply(plan: Plan, remote: Remote, cache: VersionCache, on_step: OnStep) -> Ledger:
    """Carry out the plan and return what became of every change.

    A failed runtime step stops everything after it, as the versions may need it; a failed function stops no other.
    Rejected credentials, and a host that stays out of reach, stop everything. An interrupt lets the requests under way
    end, so that the ledger is true. Never raises CkfuncError.
    """
    ledger = Ledger()
    versions = {one.type: one for one in plan.steps if isinstance(one, CreateVersion)}
    work = _Work(plan, remote, cache, ledger, on_step, versions)
    try:
        work.all([one for one in plan.steps if isinstance(one, Put)], work.put, at_once=1)
        work.all([one for one in plan.steps if isinstance(one, CreateFunction)], work.create_function)
        work.all([one for one in versions.values() if one.function_id is not None], work.create_version)
    except KeyboardInterrupt:
        ledger.ending, ledger.reason = Ending.INTERRUPTED, "interrupted"
    for change in plan.changes:
        if (change.kind, change.name) not in ledger.items:
            old = plan.versions.get(change.name) if change.kind == FUNCTIONS else None
            note = f"not attempted: {ledger.reason}"
            ledger.enter(Item(change.kind, change.name, Result.SKIPPED, old_version=old, note=note))
    return ledger


@dataclass(frozen=True, slots=True)
class _Work:
    """What every step needs. Steps enter their items into the ledger themselves, so that an interrupt loses none.

    `versions` holds the version steps by type; creating a function fills in its id.
    """

    plan: Plan
    remote: Remote
    cache: VersionCache
    ledger: Ledger
    on_step: OnStep
    versions: dict[str, CreateVersion]

    def all(self, steps: Sequence[AnyStep], do: Callable[[AnyStep], tuple[Item, ...]], at_once: int = AT_ONCE) -> None:
        """Do steps side by side, and report them."""
        results = each(
            steps, do, at_once=at_once, starting=self.on_step, stopped=lambda: self.ledger.stopped, finish=True
        )
        with closing(results):
            for items in results:
                for item in items:
                    self.on_step(item)

    def put(self, step: Put) -> tuple[Item, ...]:
        """Replace everything of one kind."""
        try:
            WRITERS[step.kind](self.remote, step.values)
        except CkfuncError as error:
            self.ledger.failed(error)
            self.ledger.stop(f"the {BY_KIND[step.kind].title} could not be written")
            failed = (
                Item(one.kind, one.name, Result.FAILED, note=error.message, hint=error.hint) for one in step.changes
            )
            return self.ledger.enter(*failed)
        self.ledger.written()
        return self.ledger.enter(*(Item(one.kind, one.name, DONE[one.action]) for one in step.changes))

    def create_function(self, step: CreateFunction) -> tuple[Item, ...]:
        """Create a function; its first version is a step of its own."""
        name = step.function.type
        try:
            function = self.remote.create_function(step.function)
        except CkfuncError as error:
            self.ledger.failed(error)
            hint = _PERHAPS_CREATED if isinstance(error, RequestRejected) else error.hint
            return self.ledger.enter(Item(FUNCTIONS, name, Result.FAILED, note=error.message, hint=hint))
        self.ledger.written()
        self.versions[name] = replace(
            self.versions[name], function_id=function.id, base_version=function.current_version_number
        )
        # What is true of it until the first version is there; not worth a line of its own.
        self.ledger.enter(Item(FUNCTIONS, name, Result.SKIPPED, new_version=0, note="created, but without a version"))
        return ()

    def create_version(self, step: CreateVersion) -> tuple[Item, ...]:
        """Create a version, and look whether it is the one that the plan foresaw."""
        known = step.type in self.plan.versions
        item = Item(FUNCTIONS, step.type, Result.FAILED, old_version=step.base_version if known else None)
        function_id = step.function_id or 0
        try:
            version = self.remote.create_version(function_id, step.script)
        except CkfuncError as error:
            self.ledger.failed(error)
            note = error.message if known else f"created, but its first version was not: {error.message}"
            return self.ledger.enter(replace(item, old_version=step.base_version, note=note, hint=error.hint))
        self.ledger.written()
        self.cache.keep_version(self.remote.identity, function_id, version)
        number, base = version.version_number, step.base_version
        item = replace(item, new_version=number)
        if newlines(version.handler_script) != step.script:
            item = replace(item, note=f"the platform stored another script as v{number} than was sent")
        elif number != base + 1:
            item = replace(item, note=_overtaken(base, number), hint="look at their version before you deploy again")
        else:
            item = replace(item, result=Result.UPDATED if known else Result.CREATED)
        return self.ledger.enter(item)


def _overtaken(base: int, number: int) -> str:
    if number <= base:
        return f"the platform numbered the new version v{number}, after v{base}"
    theirs = f"v{base + 1}" if number == base + 2 else f"v{base + 1} to v{number - 1}"
    return f"someone else deployed {theirs} meanwhile; v{number}, of this project, replaced it"
