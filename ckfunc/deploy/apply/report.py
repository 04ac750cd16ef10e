"""Results of a deploy, one for each resource."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, CredentialsRejected, Unreachable
from ckfunc.base.frozen import frozen
from ckfunc.base.interrupts import EXIT_INTERRUPTED
from ckfunc.base.text import printable
from ckfunc.base.workers import AT_ONCE
from ckfunc.deploy.apply.idempotent import is_unclear
from ckfunc.deploy.plan.plan import ChangeAction, Plan, ResourceChange
from ckfunc.deploy.resources import RESOURCES, DesiredValues

if TYPE_CHECKING:
    from ckfunc.model.application import Function
    from ckfunc.model.outputs import ItemJson, ReportJson


class ItemState(StrEnum):
    """The result of an item. SKIPPED: planned but not attempted. CONFLICT: someone else deploys at the same time."""

    CREATED = "created"
    UPDATED = "updated"
    REMOVED = "removed"
    UNCHANGED = "unchanged"
    UNMANAGED = "unmanaged"
    FAILED = "failed"
    CONFLICT = "conflict"
    SKIPPED = "skipped"


WRONG = (ItemState.FAILED, ItemState.CONFLICT, ItemState.SKIPPED)
"""Results that make a deploy incomplete."""

DONE = {
    ChangeAction.CREATE: ItemState.CREATED,
    ChangeAction.UPDATE: ItemState.UPDATED,
    ChangeAction.REMOVE: ItemState.REMOVED,
}


class Ending(StrEnum):
    """How a deploy ended. STOPPED: a failure made the remaining steps pointless."""

    COMPLETE = "complete"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    DECLINED = "declined"


@frozen
class Item:
    """The result for one resource. Only functions have versions. `note` and `hint` explain a failure."""

    kind: str
    name: str
    result: ItemState
    old_version: int | None = None
    new_version: int | None = None
    note: str | None = None
    hint: str | None = None

    def to_json(self) -> ItemJson:
        """Return the item for `--json`, without fields that do not apply."""
        document: ItemJson = {"kind": self.kind, "name": printable(self.name), "result": self.result.value}
        if self.old_version is not None:
            document["old_version"] = self.old_version
        if self.new_version is not None:
            document["new_version"] = self.new_version
        if self.note is not None:
            document["note"] = printable(self.note)
        if self.hint is not None:
            document["hint"] = printable(self.hint)
        return document


@frozen
class DeployReport:
    """The result of a deploy. `verified` says that the application was read again and compared."""

    target: str
    application_id: int | None
    items: tuple[Item, ...]
    warnings: tuple[str, ...] = ()
    ending: Ending = Ending.COMPLETE
    verified: bool = False

    @property
    def declined(self) -> bool:
        """Whether the user has declined the deploy."""
        return self.ending is Ending.DECLINED

    @property
    def ok(self) -> bool:
        """Whether the application matches the manifest now."""
        return self.ending is Ending.COMPLETE and not self.count(*WRONG)

    @property
    def exit_code(self) -> int:
        """The exit code of the command."""
        if self.ending is Ending.INTERRUPTED:
            return EXIT_INTERRUPTED
        return EXIT_OK if self.ok else EXIT_FAILED

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return bool(self.count(*DONE.values()))

    @property
    def attempted(self) -> bool:
        """Whether anything was to be written, and the deploy came to its end."""
        attempted = self.count(*DONE.values(), ItemState.FAILED, ItemState.CONFLICT)
        return bool(attempted) and self.ending is not Ending.INTERRUPTED

    def count(self, *results: ItemState) -> int:
        """Return how many items have one of `results`."""
        return sum(item.result in results for item in self.items)

    def to_json(self) -> ReportJson:
        """Return the report for `--json`."""
        counts = Counter(item.result for item in self.items)
        return {
            "target": self.target,
            "application": self.application_id,
            "ok": self.ok,
            "ending": self.ending.value,
            "verified": self.verified,
            "summary": {result.value: counts[result] for result in ItemState},
            "items": [item.to_json() for item in self.items],
            "warnings": [printable(warning) for warning in self.warnings],
        }


def items_of(
    changes: Iterable[ResourceChange], result: ItemState, note: str | None = None, hint: str | None = None
) -> tuple[Item, ...]:
    """Return items of values, which have no versions, with the same result."""
    return tuple(Item(change.kind, change.name, result, note=note, hint=hint) for change in changes)


def in_order(items: Iterable[Item]) -> tuple[Item, ...]:
    """Sort items by kind, in the order of writing, and then by name."""
    places = {resource.kind: place for place, resource in enumerate(RESOURCES)}
    return tuple(sorted(items, key=lambda item: (places[item.kind], item.name)))


def untouched(plan: Plan) -> tuple[Item, ...]:
    """Return the items of a plan that a deploy does not change."""
    return (
        *(Item(entry.kind, entry.name, ItemState.UNCHANGED, entry.version, entry.version) for entry in plan.unchanged),
        *(Item(entry.kind, entry.name, ItemState.UNMANAGED, entry.version, entry.version) for entry in plan.unmanaged),
    )


def nothing_done(plan: Plan, ending: Ending, note: str) -> DeployReport:
    """Return the report of a plan that was not attempted (for an empty plan: a successful report)."""
    skipped = (
        Item(change.kind, change.name, ItemState.SKIPPED, old_version=plan.versions.get(change.name), note=note)
        for change in plan.changes
    )
    return DeployReport(
        plan.target.name, plan.application_id, in_order((*skipped, *untouched(plan))), plan.warnings, ending=ending
    )


@dataclass(slots=True)
class Ledger:
    """Results of the steps so far. The threads that run the steps write to it, each for its own items.

    `may_have_written` is set once a write was done or may have been done: only then is a verification useful.
    `unclear` are the failed items whose write may have been done. `closed` is set by a failure after which no request
    is sent, not even to verify. `created` are the created functions, by type, and `values` the values written to the
    runtime, by kind. `contested` says that someone else deploys at the same time. `first` says that this deploy was
    first: it continues, and the others stop.
    """

    items: dict[tuple[str, str], Item] = field(default_factory=dict)
    created: dict[str, Function] = field(default_factory=dict)
    values: dict[str, DesiredValues] = field(default_factory=dict)
    ending: Ending = Ending.COMPLETE
    reason: str | None = None
    may_have_written: bool = False
    unclear: set[tuple[str, str]] = field(default_factory=set)
    closed: bool = False
    first: bool = False
    contested: bool = False
    consecutive_unreachable: int = 0

    @property
    def stopped(self) -> bool:
        """Whether no further step may start."""
        return self.reason is not None

    def stop(self, reason: str, ending: Ending = Ending.STOPPED) -> None:
        """Prevent further steps from starting. The first reason is kept."""
        if self.reason is None:
            self.ending, self.reason = ending, reason

    def record(self, *items: Item) -> tuple[Item, ...]:
        """Record items, and return them."""
        self.items.update({(item.kind, item.name): item for item in items})
        return items

    def record_write(self) -> None:
        """Record that a write was done."""
        self.may_have_written, self.consecutive_unreachable = True, 0

    def record_failure(self, error: CkfuncError, *items: Item) -> None:
        """Record a failure: whether the write of `items` may have been done anyway, and whether to stop."""
        if isinstance(error, CredentialsRejected):
            self.closed = True
            self.stop("the credentials were rejected")
        elif is_unclear(error):
            self.may_have_written = True
            self.unclear.update((item.kind, item.name) for item in items)
        # A single lost connection is an accident. After as many in a row as there are workers, further attempts would
        # only make the user wait.
        self.consecutive_unreachable = self.consecutive_unreachable + 1 if isinstance(error, Unreachable) else 0
        if self.consecutive_unreachable >= AT_ONCE:
            self.closed = True
            self.stop("the API is unreachable")
