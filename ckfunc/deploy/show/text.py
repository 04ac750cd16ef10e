"""Plans and reports as lines of styled text.

Secrets are masked, and control characters of remote text are removed.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ckfunc.base.annotations import Annotation, AnnotationLevel
from ckfunc.base.clock import elapsed_text
from ckfunc.base.secrets import Secret
from ckfunc.base.text import (
    USUAL_COLUMNS,
    Line,
    Segment,
    counted,
    line_count,
    one_line,
    printable,
    styled_diff,
    unified,
)
from ckfunc.deploy.apply.report import DONE, WRONG, DeployReport, Ending, Item, ItemState
from ckfunc.deploy.plan.plan import ChangeAction, CreateFunction, Plan, Put, ResourceChange, Step
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS

if TYPE_CHECKING:
    from ckfunc.deploy.gates import GateVerdict

SIGNS = {ChangeAction.CREATE: "+", ChangeAction.UPDATE: "~", ChangeAction.REMOVE: "-"}
UNMANAGED_SIGN = "?"
_NOUNS = {ChangeAction.CREATE: "to create", ChangeAction.UPDATE: "to update", ChangeAction.REMOVE: "to remove"}
_WIDEST_NAME = 44
_SIGNS = {
    ItemState.CREATED: ("+", "create"),
    ItemState.UPDATED: ("~", "update"),
    ItemState.REMOVED: ("-", "remove"),
    ItemState.UNCHANGED: (" ", "muted"),
    ItemState.UNMANAGED: (UNMANAGED_SIGN, "muted"),
    ItemState.FAILED: ("✗", "failure"),
    ItemState.CONFLICT: ("✗", "failure"),
    ItemState.SKIPPED: ("○", "warning"),
}
_WIDEST_ITEM = 40
_VERSIONS_WIDTH = 11
_LEAST_ROOM = 30
_REASON_INDENT = 6
_MOST_UNCHANGED = 20


def plan_summary(plan: Plan) -> str:
    """Return the plan in one line."""
    if plan.is_empty:
        return "No changes."
    counts = Counter(change.action for change in plan.changes)
    parts = [f"{counts[action]} {_NOUNS[action]}" for action in ChangeAction if counts[action]]
    return f"Plan: {', '.join([*parts, f'{len(plan.unchanged)} unchanged'])}."


def plan_lines(plan: Plan) -> list[Line]:
    """Return the plan as lines: changes with their diffs, unmanaged resources, warnings, and the summary last."""
    lines: list[Line] = []
    lengths = (len(label(change.kind, change.name)) for change in plan.changes)
    width = max((length for length in lengths if length <= _WIDEST_NAME), default=0)
    for change in plan.changes:
        lines.append(_change_line(plan, change, width))
        if BY_KIND[change.kind].source:
            lines += ((Segment("    "), segment) for segment in _source_diff(plan, change))
            lines.append(())
    for entry in plan.unmanaged:
        name = one_line(label(entry.kind, entry.name))
        lines.append((Segment(f"  {UNMANAGED_SIGN} {name}: not in functions.yaml, left alone", "muted"),))
    lines += warning_lines(plan.warnings)
    if lines and lines[-1]:
        lines.append(())
    return [*lines, (Segment(plan_summary(plan), "title"),)]


def plan_annotations(plan: Plan) -> Iterator[Annotation]:
    """Yield the changes of a plan as annotations of its files, and its warnings."""
    for change in plan.changes:
        details = "".join(printable(text) for text, _ in _change_details(plan, change)).partition("  ")[0]
        message = f"{plan.target.name}: {change.action.value} {label(change.kind, change.name)}: {details}"
        path = script_path(plan, change) or "functions.yaml"
        yield Annotation(path, 0, 0, "plan", message, AnnotationLevel.NOTICE)
    for warning in plan.warnings:
        yield Annotation("functions.yaml", 0, 0, "plan", warning, AnnotationLevel.WARNING)


def warning_lines(warnings: tuple[str, ...]) -> Iterator[Line]:
    """Yield a line for each warning."""
    for warning in warnings:
        yield (Segment("  ! ", "warning"), Segment(printable(warning), "warning"))


def _change_line(plan: Plan, change: ResourceChange, width: int) -> Line:
    style = change.action.value
    name = one_line(label(change.kind, change.name))
    return (
        Segment(f"  {SIGNS[change.action]} ", style),
        Segment(name.ljust(width), style),
        Segment("  "),
        *_change_details(plan, change),
    )


def _change_details(plan: Plan, change: ResourceChange) -> Line:
    before, after = shown_values(plan, change)
    if change.kind == FUNCTIONS:
        old, path = plan.versions.get(change.name), script_path(plan, change)
        numbers = f"new, v{next_version(plan, change)}" if old is None else f"v{old} → v{next_version(plan, change)}"
        return (Segment(numbers), Segment(f"  {path}", "muted"))
    if BY_KIND[change.kind].source:
        if change.action is ChangeAction.REMOVE:
            return (Segment("will be removed", "remove"),)
        return (Segment(script_path(plan, change) or "", "muted"),)
    if change.action is ChangeAction.REMOVE:
        return (Segment("will be removed", "remove"), Segment(f", currently {before}", "muted"))
    return (Segment(f"{after}" if change.action is ChangeAction.CREATE else f"{before} → {after}"),)


def _source_diff(plan: Plan, change: ResourceChange) -> Iterator[Segment]:
    before, after = source_text(change.before), source_text(change.after)
    if not before:
        yield Segment(counted(line_count(after), "line"), "muted")
        return
    yield from styled_diff(unified(before, after, *side_names(plan, change)))


def label(kind: str, name: str) -> str:
    """Return the display name of a resource: a function's type, or else noun and name."""
    if kind == FUNCTIONS:
        return name
    noun = BY_KIND[kind].noun
    return noun if name == kind else f"{noun} {name}"


def shown_values(plan: Plan, change: ResourceChange) -> tuple[str | None, str | None]:
    """Return the values before and after a change, each in one line; None if there is no value.

    Secrets are masked. Literals of functions.yaml are not secret, nor are current values that the project deployed as
    literals.
    """
    was_literal = change.before in [Secret(literal) for literal in plan.deployed_literals.get(change.name, ())]
    is_literal = change.name in plan.literals
    return _shown(change.before, literal=was_literal), _shown(change.after, literal=is_literal)


def _shown(value: object, *, literal: bool) -> str | None:
    if value is None:
        return None
    text = value.reveal() if literal and isinstance(value, Secret) else str(value)
    return printable(text).replace("\n", " ")


def source_text(value: object) -> str:
    """Return the source code on one side of a change, or ""."""
    return value if isinstance(value, str) else ""


def side_names(plan: Plan, change: ResourceChange) -> tuple[str, str]:
    """Return the file names of both sides of a source diff."""
    version = plan.versions.get(change.name) if change.kind == FUNCTIONS else None
    deployed = "deployed" if version is None else f"deployed v{version}"
    return deployed if change.before else "nothing", script_path(plan, change) or "nothing"


def script_path(plan: Plan, change: ResourceChange) -> str | None:
    """Return the path of a change's source file, or None for a removal."""
    script = plan.files.get((change.kind, change.name))
    return None if script is None or change.action is ChangeAction.REMOVE else printable(script.path)


def next_version(plan: Plan, change: ResourceChange) -> int:
    """Return the version number that a change creates."""
    return plan.versions.get(change.name, 0) + 1


def report_lines(
    report: DeployReport,
    *,
    width: int | None = None,
    only_failures: bool = False,
    undone: str | None = None,
) -> list[Line]:
    """Return the report as lines with columns for sign, name, versions and outcome, and the summary last.

    `width` is as for `item_lines`, `undone` as for `report_summary`. With `only_failures`, warnings and items that were
    written or unchanged are left out. Many unchanged items are only counted.
    """
    quiet = report.count(ItemState.UNCHANGED) > _MOST_UNCHANGED
    shown = [item for item in report.items if item.result in WRONG or not only_failures]
    items = [item for item in shown if not (quiet and item.result is ItemState.UNCHANGED)]
    lines = [*item_lines(items, width=width), *(() if only_failures else warning_lines(report.warnings))]
    if lines:
        lines.append(())
    return [*lines, (Segment(report_summary(report, undone), "title" if report.ok else "failure"),)]


def without_unchanged(report: DeployReport) -> DeployReport:
    """Return a report with only those items that were written, or could not be."""
    shown = {*DONE.values(), *WRONG}
    return replace(report, items=tuple(item for item in report.items if item.result in shown))


def watched_lines(report: DeployReport, now: datetime, took_s: float, *, width: int | None = None) -> list[Line]:
    """Return what a deploy on save has changed, and a line with its time, result and duration."""
    if report.items:
        result = Segment(report_summary(report), "title" if report.ok else "failure")
    else:
        result = Segment("no changes to deploy", "muted")
    when = Segment(f"{now.astimezone():%H:%M:%S}  ", "muted")
    return [
        *item_lines(report.items, width=width),
        (when, result, Segment(f"  ({elapsed_text(took_s * 1000)})", "muted")),
    ]


def item_lines(items: Sequence[Item], *, width: int | None = None) -> list[Line]:
    """Return items as lines with columns for sign, name, versions and outcome.

    Consecutive items with the same reason show it once. `width` is in characters (None: USUAL_COLUMNS).
    """
    names = [one_line(label(item.kind, item.name)) for item in items]
    # Long names get a line of their own, so that they do not move the outcome column to the right.
    column = max((len(name) for name in names if len(name) <= _WIDEST_ITEM), default=0)
    lines: list[Line] = []
    previous_note = None
    for item, name in zip(items, names, strict=True):
        shown = item if item.note != previous_note else replace(item, note=None, hint=None)
        lines += _item_lines(shown, name, column, width or USUAL_COLUMNS)
        previous_note = item.note
    return lines


def step_text(step: Step | Item) -> str:
    """Describe a step that starts, or an item that is done, in a few words."""
    if isinstance(step, Item):
        return f"{one_line(label(step.kind, step.name))}: {step.result.value}"
    if isinstance(step, Put):
        return f"writing {BY_KIND[step.kind].noun if BY_KIND[step.kind].source else step.kind}"
    if isinstance(step, CreateFunction):
        return f"creating {one_line(step.function.type)}"
    return f"deploying {one_line(step.type)} v{step.base_version + 1}"


def report_summary(report: DeployReport, undone: str | None = None) -> str:
    """Return the report in one line. `undone` is what an undo reverted, such as "the rollback 12 minutes ago"."""
    counts = Counter(item.result for item in report.items)
    parts = (
        ", ".join(f"{counts[state]} {state.value}" for state in ItemState if counts[state])
        or "nothing in functions.yaml"
    )
    target = f"{report.target} (application {report.application_id})" if report.application_id else report.target
    return f"{_outcome(report, undone, target)}: {parts}."


def _outcome(report: DeployReport, undone: str | None, target: str) -> str:
    """Return the end of a deploy, or of an undo of `undone`, as the beginning of a sentence."""
    done, doing = f"deployed to {target}", f"deploying to {target}"
    nothing, unchanged = f"Nothing deployed to {target}", f"No changes on {target}"
    if undone:
        done, doing = f"reverted {undone} on {target}", f"reverting {undone} on {target}"
        nothing, unchanged = f"Did not revert {undone} on {target}", f"Nothing to revert on {target}"
    if report.ok:
        return f"{done[:1].upper()}{done[1:]}" if report.changed else unchanged
    return {
        Ending.COMPLETE: f"Partially {done}" if report.changed else nothing,
        Ending.STOPPED: f"Stopped {doing}",
        Ending.INTERRUPTED: f"Interrupted while {doing}, not verified",
        Ending.DECLINED: nothing,
    }[report.ending]


def verdict_lines(verdicts: Sequence[GateVerdict]) -> list[Line]:
    """Return the verdicts of gates as lines."""
    lines: list[Line] = []
    width = max((len(verdict.gate) for verdict in verdicts), default=0)
    for verdict in verdicts:
        sign = Segment("  ✓ ", "success") if verdict.ok else Segment("  ✗ ", "failure")
        took = Segment(f"  ({elapsed_text(verdict.seconds * 1000)})", "muted")
        lines.append((sign, Segment(f"{verdict.gate.ljust(width)}  "), Segment(printable(verdict.summary)), took))
        lines += ((Segment(f"      {printable(detail)}", "muted"),) for detail in verdict.details)
    return lines


def _item_lines(item: Item, name: str, column: int, width: int) -> Iterator[Line]:
    sign, style = _SIGNS[item.result]
    reason = " ".join([one_line(item.note or ""), *([f"({one_line(item.hint)})"] if item.hint else [])]).strip()
    outcome = item.result.value + (f": {reason}" if reason else "")
    indent = 4 + column + 2 + _VERSIONS_WIDTH + 2
    if width - indent < _LEAST_ROOM and len(outcome) > width - indent and reason:
        # A very narrow column is hard to read, so the reason goes below, across the full width.
        below = textwrap.wrap(reason, max(width - _REASON_INDENT, 20), break_on_hyphens=False)
        wrapped, indent = [f"{item.result.value}:", *below], _REASON_INDENT
    else:
        wrapped = textwrap.wrap(outcome, max(width - indent, 20), break_on_hyphens=False)
    head: Line = (Segment(f"  {sign} ", style), Segment(name.ljust(column), style))
    if len(name) > column:
        # A long name gets a line of its own.
        yield head
        head = (Segment(" " * (4 + column)),)
    yield (*head, Segment(f"  {_versions(item).ljust(_VERSIONS_WIDTH)}  "), Segment(wrapped[0], style))
    for rest in wrapped[1:]:
        yield (Segment(" " * indent), Segment(rest, style))


def _versions(item: Item) -> str:
    old, new = item.old_version, item.new_version
    if new is None:
        return "" if old is None else f"v{old}"
    return f"v{new}" if old in (None, new) else f"v{old} → v{new}"
