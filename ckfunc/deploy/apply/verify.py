"""Verification of a deploy: read the application again and compare."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from sys import maxsize

from ckfunc.base.clock import Clock
from ckfunc.base.errors import CkfuncError
from ckfunc.deploy.apply.idempotent import SETTLE_S, same_script
from ckfunc.deploy.apply.report import DONE, WRONG, DeployReport, Ending, Item, ItemState, Ledger, in_order, untouched
from ckfunc.deploy.plan.diff import ResourceChange, diff
from ckfunc.deploy.plan.plan import Plan, disabled_warning
from ckfunc.deploy.plan.snapshot import overview
from ckfunc.deploy.remote import Remote, Snapshot
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS, RESOURCES, WRITERS, script_of
from ckfunc.model.function import Function

_LOOKS = 5
"""How often the first of several deploys looks at the runtime until it stays as it is."""


def read_back(plan: Plan, ledger: Ledger, remote: Remote, clock: Clock) -> DeployReport:
    """Read the application again, compare, and return the final report.

    Nothing is read when nothing can have been written, after an interrupt, or when the API is closed to us.
    """
    items = {(one.kind, one.name): one for one in untouched(plan)} | ledger.items
    warnings = list(plan.warnings)
    verified = False
    if ledger.doubtful and not ledger.closed and ledger.ending is not Ending.INTERRUPTED:
        try:
            seen = overview(remote)
            if ledger.first:
                seen = _kept(ledger, remote, seen, warnings, clock.sleep)
        except CkfuncError as error:
            return _report(plan, ledger, _unread(items, error), warnings, verified=False)
        except KeyboardInterrupt:
            ledger.ending = Ending.INTERRUPTED
            return _report(plan, ledger, items, warnings, verified=False)
        verified = True
        items = compare(plan, items, seen, _scripts(plan, items, seen, remote))
        warnings += _newly_disabled(items, seen, warnings)
    return _report(plan, ledger, items, warnings, verified)


def _kept(
    ledger: Ledger, remote: Remote, seen: Snapshot, warnings: list[str], sleep: Callable[[float], None]
) -> Snapshot:
    """Put the runtime back that this deploy, the first, wrote, where one that came later wrote over it.

    That one stops as soon as it finds out, but may have written a part of the runtime by then: it is not to stay beside
    versions that were made for another. Where there are signs of one, the runtime is looked at until it stays as it is.
    Returns the application as it is then.
    """
    contested = ledger.contested or _others(ledger, seen)
    kept = dict(ledger.values)
    for _ in range(_LOOKS):
        lost = {kind: have for kind, values in kept.items() if (have := BY_KIND[kind].have(seen)) != values}
        for kind, have in lost.items():
            runtime = WRITERS[kind](remote, kept[kind])
            if BY_KIND[kind].have(Snapshot(runtime, ())) == have:
                del kept[kind]  # nobody's: that is what the platform itself makes of it
                continue
            contested = True
            warning = f"someone else changed the {BY_KIND[kind].title} while this deploy ran; it was put back"
            if warning not in warnings:
                warnings.append(warning)
        if not contested:
            break
        contested = bool(lost)  # then a calm look ends it
        sleep(SETTLE_S * 2)
        seen = overview(remote)
    return seen


def _others(ledger: Ledger, seen: Snapshot) -> bool:
    """Tell whether there are versions after those of this deploy."""
    numbers = {one.name: one.new_version or 0 for one in ledger.items.values() if one.kind == FUNCTIONS}
    return any(one.current_version_number > numbers.get(one.type, maxsize) for one in seen.functions)


def compare(
    plan: Plan, items: dict[tuple[str, str], Item], seen: Snapshot, same: Collection[str] = ()
) -> dict[tuple[str, str], Item]:
    """Return the items with those failed that the application, read again, does not bear out.

    `same` are the functions that run another version than the item says, but with the script that is wanted.
    """
    found = dict(items)
    planned = {(one.kind, one.name): one.action for one in plan.changes}
    for resource in RESOURCES:
        if resource.kind == FUNCTIONS or resource.kind not in plan.want:
            continue
        missing = {
            (one.kind, one.name): one for one in diff(resource.kind, plan.want[resource.kind], resource.have(seen))
        }
        for key, item in items.items():
            if key[0] == resource.kind and key not in missing and item.result is ItemState.FAILED:
                # Its answer was lost, and so was every other that could have told.
                found[key] = replace(item, result=DONE[planned[key]], note=None, hint=None)
        for key, change in missing.items():
            item = found.get(key) or Item(*key, ItemState.UNCHANGED)
            if item.result not in WRONG:
                found[key] = replace(item, result=ItemState.FAILED, note=_still(change, item.result))
    remote = {one.type: one for one in seen.functions}
    for key, item in items.items():
        if item.kind == FUNCTIONS and item.result is not ItemState.UNMANAGED:
            found[key] = _compared(item, remote.get(item.name), item.name in same)
    return found


def _still(change: ResourceChange, result: ItemState) -> str:
    """Say how a value that was read back is wrong."""
    if result is ItemState.UNCHANGED:
        return "someone else changed it while this deploy ran"
    if result is ItemState.REMOVED:
        return "it was removed, but the application still has it"
    missing = change.before is None
    return f"it was written, but the application {'does not have it' if missing else 'has another value'}"


def _scripts(plan: Plan, items: dict[tuple[str, str], Item], seen: Snapshot, remote: Remote) -> tuple[str, ...]:
    """Return the functions that run another version than their items say, but with the script that is wanted."""
    want = plan.want.get(FUNCTIONS, {})
    same = []
    for function in seen.functions:
        item = items.get((FUNCTIONS, function.type))
        if item is None or function.type not in want or item.result in (ItemState.SKIPPED, ItemState.CONFLICT):
            continue
        if function.current_version_number > (item.new_version or item.old_version or 0):
            with suppress(CkfuncError):
                if same_script(remote.current_version(function.id), script_of(want, function.type)):
                    same.append(function.type)
    return tuple(same)


def _compared(item: Item, function: Function | None, same: bool) -> Item:
    if item.result is ItemState.CONFLICT or (
        item.result in (ItemState.SKIPPED, ItemState.FAILED) and item.new_version is None
    ):
        return item if function is None or item.result is not ItemState.FAILED else _settled(item, function, same)
    if function is None:
        return replace(item, result=ItemState.FAILED, note="the application does not list this function any more")
    return _settled(item, function, same)


def _settled(item: Item, function: Function, same: bool) -> Item:
    shown = function.current_version_number
    if same:
        # Its own write, whose answer was lost for good; or someone else's of the same script.
        done = item.result if item.result not in WRONG else ItemState.UPDATED
        return replace(item, result=done, new_version=shown, note=None, hint=None)
    if item.result is ItemState.FAILED:
        return _doubted(item, shown)
    expected = item.new_version or 0
    if shown == expected:
        return item
    if shown < expected:
        note = f"v{expected} was created, but the application still runs v{shown}"
    else:
        note = f"someone else deployed v{shown} while this deploy ran"
    return replace(item, result=ItemState.FAILED, note=note, hint="look at `ckfunc diff` before you deploy again")


def _doubted(item: Item, shown: int) -> Item:
    """Add to a failed item what the application shows, where that tells that the write was done after all."""
    if item.new_version is not None or shown == item.old_version:
        return item
    now = "has it now" if item.old_version is None else f"runs v{shown} now"
    return replace(item, note=f"{item.note}; even so, the application {now}")


def _newly_disabled(items: dict[tuple[str, str], Item], seen: Snapshot, known: list[str]) -> list[str]:
    """Warn of functions that got a version and do not run all the same."""
    written = {
        one.name
        for one in items.values()
        if one.kind == FUNCTIONS and one.new_version and one.old_version != one.new_version
    }
    found = (disabled_warning(one.type) for one in seen.functions if one.type in written and not one.enabled)
    return [warning for warning in found if warning not in known]


def _unread(items: dict[tuple[str, str], Item], error: CkfuncError) -> dict[tuple[str, str], Item]:
    """Fail what was written: whether it took effect could not be seen."""
    written = (ItemState.CREATED, ItemState.UPDATED, ItemState.REMOVED)
    return {
        key: replace(
            item,
            result=ItemState.FAILED,
            note=f"it was written, but could not be read back: {error.message}",
            hint=error.hint,
        )
        if item.result in written
        else item
        for key, item in items.items()
    }


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
