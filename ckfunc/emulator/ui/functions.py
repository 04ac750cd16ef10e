"""Pages of functions: the list, one function, one version, two versions compared."""

from __future__ import annotations

from dataclasses import dataclass

from ckfunc.emulator.actions import access
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Missing
from ckfunc.emulator.services import EmulatorServices, result_of
from ckfunc.emulator.store import functions, invocations
from ckfunc.emulator.store.invocations import RunFilter
from ckfunc.emulator.store.paging import CursorRequest, PageRequest
from ckfunc.emulator.ui.charts import RunChart, run_chart
from ckfunc.emulator.ui.differences import comparable, side_by_side
from ckfunc.emulator.ui.forms import form_route, page_route
from ckfunc.emulator.ui.invocations import latest_runs, read_cursor, read_filter
from ckfunc.emulator.ui.rendering import page, redirect, visible
from ckfunc.model.function import Function, FunctionVersion
from ckfunc.model.page import Cursor
from ckfunc.model.triggers import BY_TYPE

_MOST_FUNCTIONS = 100
_CHARTED_RUNS = 500
_LISTED_RUNS = 100
_PAGE_RUNS = 25
_VERSIONS = 20
_MOST_SCRIPT_LINES = 3_000


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """A function with the chart of its latest runs."""

    function: Function
    when: str
    chart: RunChart | None


async def show_functions(call: Call, services: EmulatorServices) -> Reply:
    """Show all functions and the latest runs."""
    database = services.database
    found = functions.page(database, PageRequest(0, _MOST_FUNCTIONS, "type"))
    rows = [
        FunctionRow(one, _when(one.type), run_chart(invocations.latest_statuses(database, one.id, _LISTED_RUNS)))
        for one in found.items
    ]
    latest = await result_of(invocations.runs(database, CursorRequest(Cursor(), 10), RunFilter()))
    return page(
        call,
        services,
        "functions",
        section="functions",
        title="Functions",
        rows=rows,
        omitted=found.total_elements - len(rows),
        runs=latest_runs(services, latest.items),
    )


async def show_function(call: Call, services: EmulatorServices) -> Reply:
    """Show a function: status, chart, invocations that match the filters, versions."""
    database = services.database
    function = access.function(services.database, call.id())
    wanted = read_filter(call, function.id)
    found = await result_of(invocations.runs(database, CursorRequest(read_cursor(call), _PAGE_RUNS), wanted))
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
        wanted=wanted,
        runs=latest_runs(services, found.items),
        next_run=found.next if found.has_next else None,
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


def _version(services: EmulatorServices, function: Function, number: int) -> FunctionVersion:
    if not 1 <= number <= function.current_version_number:
        raise Missing(f"{visible(function.type)[:80]} has no version {number}")
    return functions.version_by_number(services.database, function.id, number)


def _when(trigger_type: str) -> str:
    known = BY_TYPE.get(trigger_type)
    return "" if known is None else known.when


ROUTES = (
    page_route("/", show_functions),
    page_route("/ui/functions/{id}", show_function),
    page_route("/ui/functions/{id}/versions/{number}", show_version),
    page_route("/ui/functions/{id}/compare", compare_versions),
    form_route("/ui/functions/{id}/enabled", enable_function),
)
