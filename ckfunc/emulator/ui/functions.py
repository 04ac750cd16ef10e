"""Pages of functions and of the runtime: versions, charts, comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from itertools import islice
from typing import Literal

from ckfunc.base.frozen import frozen
from ckfunc.base.text import DIFF_CONTEXT_LINES
from ckfunc.emulator.actions import access
from ckfunc.emulator.dispatch import runtimes
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Missing
from ckfunc.emulator.services import EmulatorServices, result_of
from ckfunc.emulator.store import functions, invocations
from ckfunc.emulator.store.invocations import RunFilter
from ckfunc.emulator.store.paging import CursorRequest, PageRequest
from ckfunc.emulator.ui.invocations import latest_runs, read_cursor, read_filter
from ckfunc.emulator.ui.pages import form_route, page, page_route, redirect, visible
from ckfunc.model.application import Function, FunctionVersion, Status
from ckfunc.model.page import Cursor
from ckfunc.model.triggers import BY_TYPE

WIDTH, HEIGHT = 600, 60
_BARS = 40
_GAP = 3

MOST_COMPARED_LINES = 5_000
"""Longer scripts are not compared: that would take too long."""

MOST_ROWS = 1_000

RowKind = Literal["same", "changed", "gap"]

_MOST_FUNCTIONS = 100
_CHARTED_RUNS = 500
_LISTED_RUNS = 100
_PAGE_RUNS = 25
_VERSIONS = 20
_MOST_SCRIPT_LINES = 3_000


@frozen
class FunctionRow:
    """A function with the chart of its latest runs."""

    function: Function
    when: str
    chart: RunChart | None


async def show_functions(call: Call, services: EmulatorServices) -> Reply:
    """Show all functions and the latest runs."""
    database = services.database
    function_page = functions.page(database, PageRequest(0, _MOST_FUNCTIONS, "type"))
    rows = [
        FunctionRow(
            function, _when(function.type), run_chart(invocations.latest_statuses(database, function.id, _LISTED_RUNS))
        )
        for function in function_page.items
    ]
    latest = await result_of(invocations.runs(database, CursorRequest(Cursor(), 10), RunFilter()))
    return page(
        call,
        services,
        "functions",
        title="Functions",
        rows=rows,
        omitted=function_page.total_elements - len(rows),
        runs=latest_runs(services, latest.items),
    )


async def show_function(call: Call, services: EmulatorServices) -> Reply:
    """Show a function: status, chart, invocations that match the filters, versions."""
    database = services.database
    function = access.function(services.database, call.id())
    run_filter = read_filter(call, function.id)
    run_page = await result_of(invocations.runs(database, CursorRequest(read_cursor(call), _PAGE_RUNS), run_filter))
    request = PageRequest(call.number("versions", 0, least=0), _VERSIONS, "id DESC")
    return page(
        call,
        services,
        "function",
        section="functions",
        title=function.type,
        function=function,
        when=_when(function.type),
        chart=run_chart(invocations.latest_statuses(database, function.id, _CHARTED_RUNS)),
        run_filter=run_filter,
        runs=latest_runs(services, run_page.items),
        next_run=run_page.next if run_page.has_next else None,
        versions=functions.version_page(database, function.id, request),
    )


def show_version(call: Call, services: EmulatorServices) -> Reply:
    """Show the script of a version."""
    function = access.function(services.database, call.id())
    version = _version(services, function, call.id("number"))
    lines = version.handler_script.removesuffix("\n").split("\n")
    return page(
        call,
        services,
        "version",
        section="functions",
        title=f"{function.type}, version {version.version_number}",
        function=function,
        version_number=version.version_number,
        size=len(version.handler_script.encode("utf-8", "replace")),
        lines=lines[:_MOST_SCRIPT_LINES],
        omitted=max(len(lines) - _MOST_SCRIPT_LINES, 0),
    )


def compare_versions(call: Call, services: EmulatorServices) -> Reply:
    """Show two versions side by side; without numbers, the current one and the one before it."""
    function = access.function(services.database, call.id())
    newest = function.current_version_number
    new = _version(services, function, call.number("new", newest, least=1))
    old = _version(services, function, call.number("old", max(new.version_number - 1, 1), least=1))
    able = comparable(old.handler_script, new.handler_script)
    return page(
        call,
        services,
        "compare",
        section="functions",
        title=f"{function.type}, versions {old.version_number} and {new.version_number}",
        function=function,
        old=old.version_number,
        new=new.version_number,
        comparable=able,
        rows=side_by_side(old.handler_script, new.handler_script) if able else [],
    )


def enable_function(call: Call, services: EmulatorServices) -> Reply:
    """Enable or disable a function."""
    function = access.function(services.database, call.id())
    functions.set_enabled(services.database, function.id, call.form().get("enabled") == "yes")
    return redirect(f"/ui/functions/{function.id}")


def show_runtime(call: Call, services: EmulatorServices) -> Reply:
    """Show the runtime. Only the environment value that the query names is part of the page."""
    runtime = runtimes.current(services.database, services.dispatch.base_url)
    shown = call.first("show")
    variables = [
        (name, value.reveal() if name == shown else None) for name, value in sorted(runtime.environment.items())
    ]
    return page(call, services, "runtime", title="Runtime", runtime=runtime, variables=variables)


@frozen
class ChartBar:
    """The runs in one interval: `x` and heights in units of the chart, and the counts."""

    x: float
    width: float
    height: float
    failed_height: float
    runs: int
    failures: int
    start: datetime


@frozen
class RunChart:
    """Runs and failures in intervals of equal length, the oldest first."""

    bars: tuple[ChartBar, ...]
    runs: int
    failures: int
    start: datetime
    end: datetime


def run_chart(runs: Sequence[tuple[datetime, Status]]) -> RunChart | None:
    """Return the chart of these runs, in any order; None for no runs."""
    if not runs:
        return None
    start, end = min(moment for moment, _ in runs), max(moment for moment, _ in runs)
    interval = (end - start) / _BARS
    counts, failures = [0] * _BARS, [0] * _BARS
    for moment, status in runs:
        at = min(int((moment - start) / interval), _BARS - 1) if interval else _BARS - 1
        counts[at] += 1
        failures[at] += status is Status.FAILED
    step, most = WIDTH / _BARS, max(counts)
    bars = tuple(
        ChartBar(
            x=round(at * step, 1),
            width=round(step - _GAP, 1),
            height=round(HEIGHT * counts[at] / most, 1),
            failed_height=round(HEIGHT * failures[at] / most, 1),
            runs=counts[at],
            failures=failures[at],
            start=start + at * interval,
        )
        for at in range(_BARS)
        if counts[at]
    )
    return RunChart(bars, len(runs), sum(failures), start, end)


@frozen
class SideBySideRow:
    """A row of two texts: the line number and text on each side, None where a side has no line."""

    kind: RowKind
    old_number: int | None = None
    old: str | None = None
    new_number: int | None = None
    new: str | None = None


def comparable(before: str, after: str) -> bool:
    """Return whether two texts are short enough to be compared."""
    return max(before.count("\n"), after.count("\n")) <= MOST_COMPARED_LINES


def side_by_side(before: str, after: str) -> list[SideBySideRow]:
    """Return the rows of a comparison: changed lines with their context, at most MOST_ROWS."""
    rows = _rows(before.removesuffix("\n").split("\n"), after.removesuffix("\n").split("\n"))
    return list(islice(rows, MOST_ROWS))


def _rows(old: list[str], new: list[str]) -> Iterator[SideBySideRow]:
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for number, group in enumerate(matcher.get_grouped_opcodes(DIFF_CONTEXT_LINES)):
        if number:
            yield SideBySideRow("gap")
        for tag, old_from, old_to, new_from, new_to in group:
            for offset in range(max(old_to - old_from, new_to - new_from)):
                left, right = old_from + offset, new_from + offset
                yield SideBySideRow(
                    "same" if tag == "equal" else "changed",
                    left + 1 if left < old_to else None,
                    old[left] if left < old_to else None,
                    right + 1 if right < new_to else None,
                    new[right] if right < new_to else None,
                )


def _version(services: EmulatorServices, function: Function, number: int) -> FunctionVersion:
    if not 1 <= number <= function.current_version_number:
        raise Missing(f"{visible(function.type)[:80]} has no version {number}")
    return functions.version_by_number(services.database, function.id, number)


def _when(trigger_type: str) -> str:
    trigger = BY_TYPE.get(trigger_type)
    return "" if trigger is None else trigger.when


ROUTES = (
    page_route("/", show_functions),
    page_route("/ui/functions/{id}", show_function),
    page_route("/ui/functions/{id}/versions/{number}", show_version),
    page_route("/ui/functions/{id}/compare", compare_versions),
    form_route("/ui/functions/{id}/enabled", enable_function),
    page_route("/ui/runtime", show_runtime),
)
