"""How the outcome of a deploy looks: as lines of styled text."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ckfunc.base.text import Line, Segment, printable
from ckfunc.deploy.plan import CreateFunction, Put, Step
from ckfunc.deploy.render import UNMANAGED_SIGN, label, warning_lines
from ckfunc.deploy.report import Ending, Item, Report, Result
from ckfunc.deploy.resources import BY_KIND

_SIGNS = {
    Result.CREATED: ("+", "create"),
    Result.UPDATED: ("~", "update"),
    Result.REMOVED: ("-", "remove"),
    Result.UNCHANGED: (" ", "muted"),
    Result.UNMANAGED: (UNMANAGED_SIGN, "muted"),
    Result.FAILED: ("✗", "failure"),
    Result.CONFLICT: ("✗", "failure"),
    Result.SKIPPED: ("○", "warning"),
}
_WIDEST_NAME = 40
_VERSIONS_WIDTH = 11
_LEAST_ROOM = 30
_REASON_INDENT = 6
_MOST_UNCHANGED = 20


def report_lines(
    report: Report,
    *,
    width: int = 80,
    all_items: bool = False,
    items: Sequence[Item] | None = None,
    undone: str | None = None,
) -> list[Line]:
    """Return the report for people, in columns: sign, name, versions, outcome; the summary last.

    `width` is in characters, `items` are those to show (None: all there are). Unchanged ones are only
    counted when there are many, unless `all_items` is set. `undone` is as for `report_summary`.
    """
    quiet = not all_items and report.count(Result.UNCHANGED) > _MOST_UNCHANGED
    shown = report.items if items is None else items
    items = [one for one in shown if not (quiet and one.result is Result.UNCHANGED)]
    lines = [*item_lines(items, width=width), *warning_lines(report.warnings)]
    if lines:
        lines.append(())
    return [*lines, (Segment(report_summary(report, undone), "title" if report.ok else "failure"),)]


def item_lines(items: Sequence[Item], *, width: int = 80) -> list[Line]:
    """Return items for people, in columns: sign, name, versions, outcome.

    A reason that several items in a row share is given once. `width` is in characters.
    """
    names = [_one_line(label(one.kind, one.name)) for one in items]
    # Long names have a line to themselves, so they do not push the others' outcomes to the right.
    column = max((len(one) for one in names if len(one) <= _WIDEST_NAME), default=0)
    lines: list[Line] = []
    said = None
    for item, name in zip(items, names, strict=True):
        lines += _item_lines(item if item.note != said else replace(item, note=None, hint=None), name, column, width)
        said = item.note
    return lines


def step_text(step: Step | Item) -> str:
    """Say in a few words what a deploy begins to do, or has just done."""
    if isinstance(step, Item):
        return f"{_one_line(label(step.kind, step.name))}: {step.result.value}"
    if isinstance(step, Put):
        return f"writing {BY_KIND[step.kind].noun if BY_KIND[step.kind].source else step.kind}"
    if isinstance(step, CreateFunction):
        return f"creating {_one_line(step.function.type)}"
    return f"deploying {_one_line(step.type)} v{step.base_version + 1}"


def report_summary(report: Report, undone: str | None = None) -> str:
    """Return the report in one line; `undone` is what an undo reverted, such as "the rollback 12 minutes ago"."""
    counts = Counter(one.result for one in report.items)
    parts = ", ".join(f"{counts[one]} {one.value}" for one in Result if counts[one]) or "nothing in functions.yaml"
    return f"{_reverting(report, undone) if undone else _deploying(report)}: {parts}."


def _deploying(report: Report) -> str:
    where = f"{report.target} (application {report.application_id})" if report.application_id else report.target
    if report.ok:
        return f"Deployed to {where}" if report.changed else f"No changes on {where}"
    return {
        Ending.COMPLETE: f"Deployed to {where} in part only" if report.changed else f"Nothing deployed to {where}",
        Ending.STOPPED: f"Stopped deploying to {where}",
        Ending.INTERRUPTED: f"Interrupted while deploying to {where}, not read back",
        Ending.DECLINED: f"Nothing deployed to {where}",
    }[report.ending]


def _reverting(report: Report, undone: str) -> str:
    where = f"{report.target} (application {report.application_id})" if report.application_id else report.target
    if report.ok:
        return f"Reverted {undone} on {where}" if report.changed else f"Nothing to revert on {where}"
    return {
        Ending.COMPLETE: f"Reverted {undone} on {where} in part only"
        if report.changed
        else f"Did not revert {undone} on {where}",
        Ending.STOPPED: f"Stopped reverting {undone} on {where}",
        Ending.INTERRUPTED: f"Interrupted while reverting {undone} on {where}, not read back",
        Ending.DECLINED: f"Did not revert {undone} on {where}",
    }[report.ending]


def _item_lines(item: Item, name: str, column: int, width: int) -> Iterator[Line]:
    sign, style = _SIGNS[item.result]
    reason = " ".join([_one_line(item.note or ""), *([f"({_one_line(item.hint)})"] if item.hint else [])]).strip()
    outcome = item.result.value + (f": {reason}" if reason else "")
    indent = 4 + column + 2 + _VERSIONS_WIDTH + 2
    if width - indent < _LEAST_ROOM and len(outcome) > width - indent and reason:
        # A column of three words a line is hard to read: the reason goes below, across the whole width.
        below = textwrap.wrap(reason, max(width - _REASON_INDENT, 20), break_on_hyphens=False)
        wrapped, indent = [f"{item.result.value}:", *below], _REASON_INDENT
    else:
        wrapped = textwrap.wrap(outcome, max(width - indent, 20), break_on_hyphens=False)
    head: Line = (Segment(f"  {sign} ", style), Segment(name.ljust(column), style))
    if len(name) > column:
        # A long name has a line to itself.
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


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())
