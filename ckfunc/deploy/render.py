"""How a plan looks: as lines of styled text, and as JSON; secrets masked, remote text made harmless."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ckfunc.base.secrets import masked
from ckfunc.base.text import Line, Segment, printable
from ckfunc.deploy.diff import Action, Change
from ckfunc.deploy.plan import Plan
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS
from ckfunc.deploy.sources import line_count, unified

SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.REMOVE: "-"}
UNMANAGED_SIGN = "?"
_NOUNS = {Action.CREATE: "to create", Action.UPDATE: "to update", Action.REMOVE: "to remove"}
_DIFF_STYLES = {"+": "create", "-": "remove", "@": "place", " ": "plain"}
_WIDEST_NAME = 44


def plan_summary(plan: Plan) -> str:
    """Return the plan in one line."""
    if plan.is_empty:
        return "No changes."
    counts = Counter(one.action for one in plan.changes)
    parts = [f"{counts[action]} {_NOUNS[action]}" for action in Action if counts[action]]
    return f"Plan: {', '.join([*parts, f'{len(plan.unchanged)} unchanged'])}."


def plan_lines(plan: Plan, *, with_sources: bool = True) -> list[Line]:
    """Return the plan for people: changes with their diffs, what is unmanaged, warnings, and the summary last."""
    lines: list[Line] = []
    labels = (len(_label(one)) for one in plan.changes)
    width = max((one for one in labels if one <= _WIDEST_NAME), default=0)
    for change in plan.changes:
        lines.append(_change_line(plan, change, width))
        if with_sources and BY_KIND[change.kind].source:
            lines += ((Segment("    "), segment) for segment in _source_diff(plan, change))
            lines.append(())
    for entry in plan.unmanaged:
        name = printable(entry.name)
        lines.append((Segment(f"  {UNMANAGED_SIGN} {name}: not in functions.yaml, left alone", "muted"),))
    lines += warning_lines(plan.warnings)
    if lines and lines[-1]:
        lines.append(())
    return [*lines, (Segment(plan_summary(plan), "title"),)]


def warning_lines(warnings: tuple[str, ...]) -> Iterator[Line]:
    """Yield one line for each warning."""
    for warning in warnings:
        yield (Segment("  ! ", "warning"), Segment(printable(warning), "warning"))


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
        found |= {"old_version": plan.versions.get(change.name), "new_version": _next_version(plan, change)}
    if BY_KIND[change.kind].source:
        lines = unified(_text(change.before), _text(change.after), *_names(plan, change))
        return {**found, "path": _path(plan, change), "diff": "".join(f"{printable(line)}\n" for line in lines)}
    before, after = shown_values(plan, change)
    return {**found, "before": before, "after": after}


def _change_line(plan: Plan, change: Change, width: int) -> Line:
    style = change.action.value
    label = printable(_label(change)).replace("\n", " ")
    return (
        Segment(f"  {SIGNS[change.action]} ", style),
        Segment(label.ljust(width), style),
        Segment("  "),
        *_what_changes(plan, change),
    )


def _what_changes(plan: Plan, change: Change) -> Line:
    before, after = shown_values(plan, change)
    if change.kind == FUNCTIONS:
        old, path = plan.versions.get(change.name), _path(plan, change)
        numbers = f"new, v{_next_version(plan, change)}" if old is None else f"v{old} → v{_next_version(plan, change)}"
        return (Segment(numbers), Segment(f"  {path}", "muted"))
    if BY_KIND[change.kind].source:
        if change.action is Action.REMOVE:
            return (Segment("will be removed", "remove"),)
        return (Segment(_path(plan, change) or "", "muted"),)
    if change.action is Action.REMOVE:
        return (Segment("will be removed", "remove"), Segment(f", is {before}", "muted"))
    return (Segment(f"{after}" if change.action is Action.CREATE else f"{before} → {after}"),)


def _source_diff(plan: Plan, change: Change) -> Iterator[Segment]:
    before, after = _text(change.before), _text(change.after)
    if not before:
        count = line_count(after)
        yield Segment(f"{count} line{'' if count == 1 else 's'}", "muted")
        return
    for number, line in enumerate(unified(before, after, *_names(plan, change))):
        style = "title" if number < 2 else _DIFF_STYLES.get(line[:1], "muted")
        yield Segment(printable(line), style)


def _label(change: Change) -> str:
    return change.name if change.kind == FUNCTIONS else label(change.kind, change.name)


def label(kind: str, name: str) -> str:
    """Return how something is called: a function by its type, anything else by its noun and name."""
    if kind == FUNCTIONS:
        return name
    noun = BY_KIND[kind].noun
    return noun if name == kind else f"{noun} {name}"


def shown_values(plan: Plan, change: Change) -> tuple[str | None, str | None]:
    """Return what a change is from and to, in one line each; None for nothing.

    A secret is masked. A literal of functions.yaml is none, nor is the value that the application has if the project
    deployed it as a literal.
    """
    before, after = change.before, change.after
    secret = BY_KIND[change.kind].secret
    was_literal = before in plan.deployed_literals.get(change.name, ())
    is_literal = change.name in plan.literals
    return _shown(before, secret=secret and not was_literal), _shown(after, secret=secret and not is_literal)


def _shown(value: object, *, secret: bool) -> str | None:
    if value is None:
        return None
    return masked(str(value)) if secret else printable(str(value)).replace("\n", " ")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _names(plan: Plan, change: Change) -> tuple[str, str]:
    """Return what the two sides of a source diff are called."""
    version = plan.versions.get(change.name) if change.kind == FUNCTIONS else None
    deployed = "deployed" if version is None else f"deployed v{version}"
    return deployed if change.before else "nothing", _path(plan, change) or "nothing"


def _path(plan: Plan, change: Change) -> str | None:
    script = plan.files.get((change.kind, change.name))
    return None if script is None or change.action is Action.REMOVE else printable(script.path)


def _next_version(plan: Plan, change: Change) -> int:
    return plan.versions.get(change.name, 0) + 1
