"""Verification of a deploy: read the application again and compare."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from sys import maxsize

from ckfunc.base.clock import Clock
from ckfunc.base.errors import CkfuncError
from ckfunc.deploy.apply.idempotent import SETTLE_S
from ckfunc.deploy.apply.report import DONE, WRONG, DeployReport, Ending, Item, ItemState, Ledger, in_order, untouched
from ckfunc.deploy.history import same_script
from ckfunc.deploy.plan.plan import Plan, ResourceChange, diff, disabled_warning
from ckfunc.deploy.plan.snapshot import overview, snapshot_of
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS, RESOURCES, WRITERS, Remote, Snapshot, script_of
from ckfunc.model.application import Function

_MOST_READS = 5
"""How often the first of several deploys reads the application, at most, until it is stable."""


def read_back(plan: Plan, ledger: Ledger, remote: Remote, clock: Clock) -> DeployReport:
    """Read the application again, compare, and return the final report.

    Reads nothing if nothing can have been written, after an interrupt, or if no more requests may be sent.
    """
    items = {(item.kind, item.name): item for item in untouched(plan)} | ledger.items
    warnings = list(plan.warnings)
    verified = False
    if ledger.may_have_written and not ledger.closed and ledger.ending is not Ending.INTERRUPTED:
        try:
            snapshot = overview(remote, plan.want)
            if ledger.first:
                snapshot = _restore_values(plan, ledger, remote, snapshot, warnings, clock.sleep)
        except CkfuncError as error:
            return _report(plan, ledger, _failed_verification(items, ledger, error), warnings, verified=False)
        except KeyboardInterrupt:
            ledger.ending = Ending.INTERRUPTED
            return _report(plan, ledger, items, warnings, verified=False)
        verified = True
        items = compare(plan, items, snapshot, _same_scripts(plan, items, snapshot, remote))
        warnings += _newly_disabled(items, snapshot, warnings)
    return _report(plan, ledger, items, warnings, verified)


def _restore_values(
    plan: Plan,
    ledger: Ledger,
    remote: Remote,
    snapshot: Snapshot,
    warnings: list[str],
    sleep: Callable[[float], None],
) -> Snapshot:
    """Restore the runtime and settings that this deploy wrote, if a later concurrent deploy has overwritten them.

    The later deploy stops as soon as it notices, but may already have written values that do not fit the versions of
    this deploy. If there are signs of a concurrent deploy, the application is read until it is stable. Returns the last
    snapshot.
    """
    contested = ledger.contested or _has_later_versions(ledger, snapshot)
    written = dict(ledger.values)
    for _ in range(_MOST_READS):
        lost = {kind: have for kind, values in written.items() if (have := BY_KIND[kind].have(snapshot)) != values}
        for kind, have in lost.items():
            part = WRITERS[kind](remote, written[kind])
            if BY_KIND[kind].have(snapshot_of(part)) == have:
                del written[kind]  # not a concurrent deploy: the platform itself changes these values
                continue
            contested = True
            warning = f"someone else changed the {BY_KIND[kind].title} during this deploy; the change was reverted"
            if warning not in warnings:
                warnings.append(warning)
        if not contested:
            break
        contested = bool(lost)  # the next read without a difference ends the loop
        sleep(SETTLE_S * 2)
        snapshot = overview(remote, plan.want)
    return snapshot


def _has_later_versions(ledger: Ledger, snapshot: Snapshot) -> bool:
    """Return whether there are later versions than those of this deploy."""
    numbers = {item.name: item.new_version or 0 for item in ledger.items.values() if item.kind == FUNCTIONS}
    return any(function.current_version_number > numbers.get(function.type, maxsize) for function in snapshot.functions)


def compare(
    plan: Plan, items: dict[tuple[str, str], Item], snapshot: Snapshot, same: Collection[str] = ()
) -> dict[tuple[str, str], Item]:
    """Return the items, with FAILED for those that the snapshot contradicts.

    `same` are the functions that run a different version than their item says, but with the wanted script.
    """
    compared = dict(items)
    planned = {(change.kind, change.name): change.action for change in plan.changes}
    for resource in RESOURCES:
        if resource.kind == FUNCTIONS or resource.kind not in plan.want:
            continue
        missing = {
            (change.kind, change.name): change
            for change in diff(resource.kind, plan.want[resource.kind], resource.have(snapshot))
        }
        for key, item in items.items():
            if key[0] == resource.kind and key not in missing and item.result is ItemState.FAILED:
                # The response was lost, but the write was done.
                compared[key] = replace(item, result=DONE[planned[key]], note=None, hint=None)
        for key, change in missing.items():
            item = compared.get(key) or Item(*key, ItemState.UNCHANGED)
            if item.result not in WRONG:
                compared[key] = replace(item, result=ItemState.FAILED, note=_mismatch_note(change, item.result))
    remote = {function.type: function for function in snapshot.functions}
    for key, item in items.items():
        if item.kind == FUNCTIONS and item.result is not ItemState.UNMANAGED:
            compared[key] = _verified_function(item, remote.get(item.name), item.name in same)
    return compared


def _mismatch_note(change: ResourceChange, result: ItemState) -> str:
    """Return how a value differs from the wanted one."""
    if result in (ItemState.UNCHANGED, ItemState.UNMANAGED):
        return "someone else changed it during this deploy"
    if result is ItemState.REMOVED:
        return "it was removed, but the application still has it"
    missing = change.before is None
    return f"it was written, but the application {'does not have it' if missing else 'has a different value'}"


def _same_scripts(
    plan: Plan, items: dict[tuple[str, str], Item], snapshot: Snapshot, remote: Remote
) -> tuple[str, ...]:
    """Return the functions that run a later version than their items say, but with the wanted script."""
    want = plan.want.get(FUNCTIONS, {})
    same = []
    for function in snapshot.functions:
        item = items.get((FUNCTIONS, function.type))
        if item is None or function.type not in want or item.result in (ItemState.SKIPPED, ItemState.CONFLICT):
            continue
        if function.current_version_number > (item.new_version or item.old_version or 0):
            with suppress(CkfuncError):
                if same_script(remote.current_version(function.id), script_of(want, function.type)):
                    same.append(function.type)
    return tuple(same)


def _verified_function(item: Item, function: Function | None, same: bool) -> Item:
    untried = item.new_version is None and item.result in (ItemState.SKIPPED, ItemState.FAILED)
    if item.result is ItemState.CONFLICT or (untried and (function is None or item.result is ItemState.SKIPPED)):
        return item
    if function is None:
        return replace(item, result=ItemState.FAILED, note="the application no longer lists this function")
    return _compared_version(item, function, same)


def _compared_version(item: Item, function: Function, same: bool) -> Item:
    deployed = function.current_version_number
    if same:
        # Either our own write, whose response was lost, or someone else's deploy of the same script.
        done = item.result if item.result not in WRONG else ItemState.UPDATED
        return replace(item, result=done, new_version=deployed, note=None, hint=None)
    if item.result is ItemState.FAILED:
        return _with_doubt(item, deployed)
    expected = item.new_version or 0
    if deployed == expected:
        return item
    if deployed < expected:
        note = f"v{expected} was created, but the application still runs v{deployed}"
    else:
        note = f"someone else deployed v{deployed} during this deploy"
    return replace(item, result=ItemState.FAILED, note=note, hint="check `ckfunc diff` before you deploy again")


def _with_doubt(item: Item, deployed: int) -> Item:
    """Add to a failed item's note what the application runs now, if the write may have been done."""
    if item.new_version is not None or deployed == item.old_version:
        return item
    now = "now has it" if item.old_version is None else f"now runs v{deployed}"
    return replace(item, note=f"{item.note}; nevertheless, the application {now}")


def _newly_disabled(items: dict[tuple[str, str], Item], snapshot: Snapshot, reported: list[str]) -> list[str]:
    """Return warnings about functions that have a new version but are disabled."""
    written = {
        item.name
        for item in items.values()
        if item.kind == FUNCTIONS and item.new_version and item.old_version != item.new_version
    }
    disabled = (
        disabled_warning(function.type)
        for function in snapshot.functions
        if function.type in written and not function.enabled
    )
    return [warning for warning in disabled if warning not in reported]


def _failed_verification(
    items: dict[tuple[str, str], Item], ledger: Ledger, error: CkfuncError
) -> dict[tuple[str, str], Item]:
    """Return the items, with FAILED for all that were written or may have been, because they could not be verified."""
    failed = dict(items)
    for key, item in items.items():
        if item.result in (ItemState.CREATED, ItemState.UPDATED, ItemState.REMOVED):
            note = "it was written, but could not be verified"
        elif key in ledger.unclear:
            note = f"{item.note}; it may have been written, but could not be verified"
        else:
            continue
        failed[key] = replace(item, result=ItemState.FAILED, note=f"{note}: {error.message}", hint=error.hint)
    return failed


def _report(
    plan: Plan, ledger: Ledger, items: dict[tuple[str, str], Item], warnings: list[str], verified: bool
) -> DeployReport:
    return DeployReport(
        target=plan.target.name,
        application_id=plan.application_id,
        items=in_order(items.values()),
        warnings=tuple(warnings),
        ending=ledger.ending,
        verified=verified,
    )
