"""Verification of a deploy's exit code and report against the application's state."""

from __future__ import annotations

from dataclasses import asdict

from faults.world import Content, Outcome

from ckfunc.deploy.apply.report import Item, ItemState

UNREAD = "could not be verified"
"""The note of an item whose write may have succeeded, but could not be verified."""

DONE = (ItemState.CREATED, ItemState.UPDATED, ItemState.REMOVED, ItemState.UNCHANGED)


def mismatches(outcome: Outcome, before: Content, after: Content, wanted: Content) -> list[str]:
    """Return the false statements of an outcome, as sentences."""
    found = []
    if outcome.code == 0 and not after.runs(wanted):
        found.append("it exited 0, but the application is not what the manifest says")
    if outcome.error is not None and after != before:
        found.append(f"it stopped before the plan ({outcome.error.message}), but the application changed")
    if outcome.report is None:
        return found
    items = outcome.report.items
    managed = len(wanted.scripts) + len({**wanted.environment, **before.environment})
    managed += len({**wanted.dependencies, **before.dependencies}) + 1 + len(asdict(wanted.settings))
    if len(items) != managed:
        found.append(f"it reports {len(items)} items of {managed}")
    unread = [item for item in items if item.result is ItemState.FAILED and UNREAD in (item.note or "")]
    if unread and outcome.report.verified:
        found.append("it says that the application was read back, and that it could not be")
    judged = [item for item in items if item not in unread]
    return found + [
        f"{item.name}: {mismatch}" for item in judged if (mismatch := _mismatch(item, before, after, wanted))
    ]


def _mismatch(item: Item, before: Content, after: Content, wanted: Content) -> str | None:
    if item.kind == "functions":
        return _function_mismatch(item, before, after, wanted)
    now, then, goal = (_value(snapshot, item) for snapshot in (after, before, wanted))
    if item.result in DONE and now != goal:
        return f"said to be {item.result}, but is not as the manifest says"
    if item.result is ItemState.SKIPPED and now != then:
        return "said not to have been attempted, but it changed"
    if item.result is ItemState.FAILED and now == goal and now != then:
        return f"said to have failed ({item.note}), but it was done"
    return None


def _function_mismatch(item: Item, before: Content, after: Content, wanted: Content) -> str | None:
    now, then, goal = (snapshot.scripts.get(item.name, ()) for snapshot in (after, before, wanted))
    if item.result in DONE and now[-1:] != goal:
        return f"said to be {item.result}, but does not run the manifest's script"
    if item.result in DONE and item.new_version != len(now):
        return f"said to run v{item.new_version}, but runs v{len(now)}"
    if item.result is ItemState.SKIPPED and now != then:
        return "said not to have been attempted, but it has another version"
    if item.result is ItemState.FAILED and now[-1:] == goal and now != then:
        return f"said to have failed ({item.note}), but it was done"
    return None


def _value(content: Content, item: Item) -> str | None:
    if item.kind == "dependencies":
        return content.dependencies.get(item.name)
    if item.kind == "environment":
        return content.environment.get(item.name)
    if item.kind == "settings":
        return str(asdict(content.settings)[item.name])
    return content.script
