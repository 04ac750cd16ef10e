"""Plans as JSON documents, with secrets masked."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ckfunc.base.diffs import unified
from ckfunc.base.text import printable
from ckfunc.deploy.plan.diff import Action, Change
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS
from ckfunc.deploy.show.text import next_version, script_path, shown_values, side_names, source_text


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return the plan for programs: no secret in it, source differences as text."""
    counts = Counter(one.action for one in plan.changes)
    return {
        "target": plan.target.name,
        "application": plan.application_id,
        "summary": {
            **{action.value: counts[action] for action in Action},
            "unchanged": len(plan.unchanged),
            "unmanaged": len(plan.unmanaged),
        },
        "changes": [_change_json(plan, one) for one in plan.changes],
        "unchanged": [{"kind": one.kind, "name": printable(one.name)} for one in plan.unchanged],
        "unmanaged": [{"kind": one.kind, "name": printable(one.name)} for one in plan.unmanaged],
        "warnings": [printable(one) for one in plan.warnings],
    }


def _change_json(plan: Plan, change: Change) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": change.kind, "name": printable(change.name), "action": change.action.value}
    if change.kind == FUNCTIONS:
        found |= {"old_version": plan.versions.get(change.name), "new_version": next_version(plan, change)}
    if BY_KIND[change.kind].source:
        lines = unified(source_text(change.before), source_text(change.after), *side_names(plan, change))
        return {**found, "path": script_path(plan, change), "diff": "".join(f"{printable(line)}\n" for line in lines)}
    before, after = shown_values(plan, change)
    return {**found, "before": before, "after": after}
