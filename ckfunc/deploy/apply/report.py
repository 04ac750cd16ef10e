"""Results of a deploy, one for each resource."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ckfunc.base.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, CkfuncError, CredentialsRejected, Unreachable
from ckfunc.base.text import printable
from ckfunc.base.workers import AT_ONCE
from ckfunc.deploy.apply.idempotent import is_unclear
from ckfunc.deploy.plan.diff import ChangeAction
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.resources import RESOURCES, Wanted
from ckfunc.model.function import Function


class ItemState(StrEnum):
    """What became of an item. SKIPPED was planned and not attempted; CONFLICT: someone else deploys, too."""

    CREATED = "created"
    UPDATED = "updated"
    REMOVED = "removed"
    UNCHANGED = "unchanged"
    UNMANAGED = "unmanaged"
    FAILED = "failed"
    CONFLICT = "conflict"
    SKIPPED = "skipped"


WRONG = (ItemState.FAILED, ItemState.CONFLICT, ItemState.SKIPPED)
"""What keeps a deploy from being complete."""

DONE = {
    ChangeAction.CREATE: ItemState.CREATED,
    ChangeAction.UPDATE: ItemState.UPDATED,
    ChangeAction.REMOVE: ItemState.REMOVED,
}


class Ending(StrEnum):
    """How a deploy came to its end. STOPPED: a failure made the rest pointless."""

    COMPLETE = "complete"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one thing. Versions are a function's, before and after; `note` and `hint` explain a failure."""

    kind: str
    name: str
    result: ItemState
    old_version: int | None = None
    new_version: int | None = None
    note: str | None = None
    hint: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the item for `--json`; what does not apply is left out."""
        found = {
            "kind": self.kind,
            "name": printable(self.name),
            "result": self.result.value,
            "old_version": self.old_version,
            "new_version": self.new_version,
            "note": self.note and printable(self.note),
            "hint": self.hint and printable(self.hint),
        }
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class DeployReport:
    """What a deploy came to. `verified` says that the application was read again and compared."""

    target: str
    application_id: int | None
    items: tuple[Item, ...]
    warnings: tuple[str, ...] = ()
    ending: Ending = Ending.COMPLETE
    verified: bool = False

    @property
    def ok(self) -> bool:
        """Whether the application matches the manifest now."""
        return self.ending is Ending.COMPLETE and not self.count(*WRONG)

    @property
    def exit_code(self) -> int:
        """The exit code that says so."""
        if self.ending is Ending.INTERRUPTED:
            return EXIT_INTERRUPTED
        return EXIT_OK if self.ok else EXIT_FAILED

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return bool(self.count(*DONE.values()))

    def count(self, *results: ItemState) -> int:
        """Return how many items came to one of `results`."""
        return sum(one.result in results for one in self.items)

    def to_json(self) -> dict[str, Any]:
        """Return the report for `--json`."""
        counts = Counter(one.result for one in self.items)
        return {
            "target": self.target,
            "application": self.application_id,
            "ok": self.ok,
            "ending": self.ending.value,
            "verified": self.verified,
            "summary": {result.value: counts[result] for result in ItemState},
            "items": [one.to_json() for one in self.items],
            "warnings": [printable(one) for one in self.warnings],
        }


def in_order(items: Iterable[Item]) -> tuple[Item, ...]:
    """Sort items by kind, as they are written, and then by name."""
    places = {resource.kind: place for place, resource in enumerate(RESOURCES)}
    return tuple(sorted(items, key=lambda one: (places[one.kind], one.name)))


def untouched(plan: Plan) -> tuple[Item, ...]:
    """Return the items of a plan that a deploy does nothing about."""
    return (
        *(Item(one.kind, one.name, ItemState.UNCHANGED, one.version, one.version) for one in plan.unchanged),
        *(Item(one.kind, one.name, ItemState.UNMANAGED, one.version, one.version) for one in plan.unmanaged),
    )


def nothing_done(plan: Plan, ending: Ending, note: str) -> DeployReport:
    """Return the report of a plan of which nothing was attempted (of an empty plan: that all is well)."""
    skipped = (
        Item(one.kind, one.name, ItemState.SKIPPED, old_version=plan.versions.get(one.name), note=note)
        for one in plan.changes
    )
    return DeployReport(
        plan.target.name, plan.application_id, in_order((*skipped, *untouched(plan))), plan.warnings, ending=ending
    )


@dataclass(slots=True)
class Ledger:
    """Written to by the threads that do the steps, each for its own items.

    `doubtful` is true once a write was done or may have been done: only then is reading back of use.
    `closed` is set by a failure after which nothing more is sent, not even to read back. `created` holds the functions
    that have been created, by type, and `values` what was written of the runtime, by kind. `first` says that whoever
    else deploys at the same time came later: their deploys stop, and what this one wrote is to stay. `contested` says
    that someone else deploys too.
    """

    items: dict[tuple[str, str], Item] = field(default_factory=dict)
    created: dict[str, Function] = field(default_factory=dict)
    values: dict[str, Wanted] = field(default_factory=dict, repr=False)
    ending: Ending = Ending.COMPLETE
    reason: str | None = None
    doubtful: bool = False
    closed: bool = False
    first: bool = False
    contested: bool = False
    lost_in_a_row: int = 0

    @property
    def stopped(self) -> bool:
        """Whether no further step may start."""
        return self.reason is not None

    def stop(self, reason: str, ending: Ending = Ending.STOPPED) -> None:
        """Let no further step start; the first reason stays."""
        if self.reason is None:
            self.ending, self.reason = ending, reason

    def enter(self, *items: Item) -> tuple[Item, ...]:
        """Note, and return, what became of some changes."""
        self.items.update({(one.kind, one.name): one for one in items})
        return items

    def written(self) -> None:
        """Note that a write was done."""
        self.doubtful, self.lost_in_a_row = True, 0

    def failed(self, error: CkfuncError) -> None:
        """Note what a failure means for the steps to come, and whether the write may have been done all the same."""
        if isinstance(error, CredentialsRejected):
            self.closed = True
            self.stop("the credentials were rejected")
        elif is_unclear(error):
            self.doubtful = True
        # One lost connection is an accident; as many in a row as run at a time means that each further one would
        # only cost the user another wait.
        self.lost_in_a_row = self.lost_in_a_row + 1 if isinstance(error, Unreachable) else 0
        if self.lost_in_a_row >= AT_ONCE:
            self.closed = True
            self.stop("the API stayed out of reach")
