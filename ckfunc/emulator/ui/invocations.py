"""Pages of invocations: filters, details, runs of an event and of the working copy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ckfunc.base.frozen import frozen
from ckfunc.base.text import beneath_message
from ckfunc.emulator.dispatch import runtimes
from ckfunc.emulator.http.bodies import MEBIBYTE
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Missing, Refused
from ckfunc.emulator.options import RunComparison, WorkingCopy
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import functions, invocations
from ckfunc.emulator.store.invocations import FunctionRun, RunFilter
from ckfunc.emulator.store.paging import PageRequest
from ckfunc.emulator.ui.pages import form_route, on_a_thread, page, page_route, posted_object, redirect, visible
from ckfunc.model.application import ConsoleLine, InvocationDetail, Status
from ckfunc.model.page import Cursor, Relation
from ckfunc.model.triggers import BY_TYPE
from ckfunc.scaffold.templates import sample_text

_MOST_TYPES = 100
_LONGEST_QUERY = 1000
_MOST_FRAMES = 100
_MOST_CONSOLE_LINES = 500
_FRAME = re.compile(r"^(?P<before>.*?)(?P<type>[^\s(@]+)@(?P<version>\d{1,9})\.ts:(?P<line>\d{1,9}):(?P<column>\d+)")


@frozen
class StackLine:
    """A line of a stack. `link` shows the place in the function's script."""

    text: str
    link: str | None = None


@frozen
class ShownRun:
    """A run with its details, as pages show it."""

    id: int
    function_id: int
    type: str
    run: FunctionRun
    detail: InvocationDetail
    error: tuple[str, str] | None
    stack: tuple[StackLine, ...]

    @property
    def console(self) -> tuple[ConsoleLine, ...]:
        """The first lines of the console."""
        return self.detail.console[:_MOST_CONSOLE_LINES]


def latest_runs(services: EmulatorServices, runs: Sequence[FunctionRun]) -> list[ShownRun]:
    """Return runs with their details, including those in progress."""
    details = {
        detail.id: detail for detail in invocations.details(services.database, [run.invocation.id for run in runs])
    }
    return [shown_run(run, services.dispatch.so_far(run.invocation.id) or details[run.invocation.id]) for run in runs]


def shown_run(run: FunctionRun, detail: InvocationDetail) -> ShownRun:
    """Return a run as pages show it."""
    invocation = run.invocation
    error = invocation.result.get("error")
    stack: tuple[StackLine, ...] = ()
    summary = None
    if isinstance(error, dict):
        name, message, frames = (str(error.get(key) or "") for key in ("name", "message", "stack"))
        summary = name, message
        lines = beneath_message(frames, message)[:_MOST_FRAMES]
        stack = tuple(_stack_line(run, line) for line in lines)
    return ShownRun(invocation.id, run.function_id, run.type, run, detail, summary, stack)


def read_filter(call: Call, function_id: int | None) -> RunFilter:
    """Return the filters in a page's query. Raises Refused."""
    status, query = call.choice("status", Status, any_case=False), call.first("query") or None
    if query is not None and len(query) > _LONGEST_QUERY:
        raise Refused(f"query parameter 'query' has {len(query)} characters; at most {_LONGEST_QUERY} are allowed")
    version = call.number("version", 0, least=0)
    return RunFilter(function_id, status, version or None, query)


def read_cursor(call: Call) -> Cursor:
    """Return the place in a list that a page's query names."""
    before = call.number("before", 0, least=0, most=2**63 - 1)
    return Cursor(relation=Relation.NEXT, next=before) if before else Cursor()


def show_invocation(call: Call, services: EmulatorServices) -> Reply:
    """Show an invocation: event, result, console, API calls, stack."""
    run = requested_run(call, services)
    (shown,) = latest_runs(services, [run])
    return page(
        call,
        services,
        "invocation",
        section="functions",
        title=f"Invocation {shown.id} of {visible(run.type)}",
        run=shown,
        can_draft=services.options.draft_case is not None and run.invocation.status is not Status.RUNNING,
    )


def run_again(call: Call, services: EmulatorServices) -> Reply:
    """Run the current version of the function with an invocation's event, and show that run."""
    run = requested_run(call, services)
    invocation = services.dispatch.fire(run.type, run.invocation.args)
    if invocation is None:
        raise Refused(f"the function for {visible(run.type)[:80]} is disabled; enable it first")
    return redirect(f"/ui/invocations/{invocation.id}")


async def show_draft(call: Call, services: EmulatorServices) -> Reply:
    """Show a run as a test case, and the command that adds it to the project."""
    run = requested_run(call, services)
    draft_case = services.options.draft_case
    if draft_case is None:
        raise Missing("only an emulator that a command runs can draft test cases")
    (shown,) = latest_runs(services, [run])
    environment = runtimes.current(services.database, services.dispatch.base_url).environment
    draft = await on_a_thread(lambda: draft_case(run.invocation, run.type, shown.detail, environment))
    return page(
        call,
        services,
        "draft",
        section="functions",
        title=f"Test case for invocation {run.invocation.id}",
        run=shown,
        draft=draft,
    )


def show_working_copy(call: Call, services: EmulatorServices) -> Reply:
    """Show forms that run and compare the working copy; outside of a project, the commands that do so."""
    return _working_copy_page(call, services, requested_run(call, services))


async def run_working_copy(call: Call, services: EmulatorServices) -> Reply:
    """Run the working copy with the event of an invocation, and show the run."""
    run = requested_run(call, services)
    project = _working_copy(services)
    invocation, detail = await on_a_thread(lambda: project.run(run.invocation, run.type))
    return _working_copy_page(call, services, run, copy=shown_run(replace(run, invocation=invocation), detail))


async def compare_working_copy(call: Call, services: EmulatorServices) -> Reply:
    """Compare an invocation with the working copy, and show both side by side."""
    run = requested_run(call, services)
    project, url = _working_copy(services), services.dispatch.base_url
    compared = await on_a_thread(lambda: project.compare(run.invocation, run.type, url))
    return _working_copy_page(call, services, run, compared=compared)


def show_trigger(call: Call, services: EmulatorServices) -> Reply:
    """Show the form for an event of a type, by default of the first function's."""
    function_page = functions.page(services.database, PageRequest(0, _MOST_TYPES, "type"))
    types = [function.type for function in function_page.items]
    chosen = call.first("type") or next(iter(types), "")
    return page(
        call,
        services,
        "trigger",
        title="Trigger",
        types=types if chosen in types or not chosen else [*types, chosen],
        chosen=chosen,
        event=sample_text(chosen) if chosen in BY_TYPE else "{}",
    )


def fire_event(call: Call, services: EmulatorServices) -> Reply:
    """Run the function for an event, and show the run."""
    form = call.form()
    trigger_type = form.get("type", "")
    invocation = services.dispatch.fire(trigger_type, posted_object(form, "event"))
    if invocation is None:
        raise Refused(f"no enabled function handles {visible(trigger_type)[:100]!r}; deploy one, or enable it")
    return redirect(f"/ui/invocations/{invocation.id}")


def requested_run(call: Call, services: EmulatorServices) -> FunctionRun:
    """Return the invocation that a page's path names. Raises Missing."""
    run = invocations.run(services.database, call.id())
    if run is None:
        raise Missing(f"there is no invocation {call.id()}; old ones are deleted")
    return run


def _stack_line(run: FunctionRun, line: str) -> StackLine:
    match = _FRAME.match(line)
    if match is None or match["type"] != run.type:
        return StackLine(line)
    return StackLine(line.strip(), f"/ui/functions/{run.function_id}/versions/{match['version']}#L{match['line']}")


def _working_copy(services: EmulatorServices) -> WorkingCopy:
    if services.options.working_copy is None:
        raise Refused("this emulator does not run in a project; use `ckfunc invoke` or `ckfunc replay` in the project")
    return services.options.working_copy()


def _working_copy_page(
    call: Call,
    services: EmulatorServices,
    run: FunctionRun,
    *,
    copy: ShownRun | None = None,
    compared: RunComparison | None = None,
) -> Reply:
    (shown,) = latest_runs(services, [run])
    return page(
        call,
        services,
        "working_copy",
        section="functions",
        title=f"Working copy and invocation {shown.id}",
        run=shown,
        ended=run.invocation.status is not Status.RUNNING,
        in_project=services.options.working_copy is not None,
        commands=(f"ckfunc invoke {run.type} --from-invocation {shown.id}", f"ckfunc replay {shown.id}"),
        copy=copy,
        compared=compared,
    )


ROUTES = (
    page_route("/ui/invocations/{id}/test", show_draft),
    page_route("/ui/invocations/{id}", show_invocation),
    form_route("/ui/invocations/{id}/again", run_again),
    page_route("/ui/invocations/{id}/working-copy", show_working_copy),
    page_route("/ui/invocations/{id}/working-copy/run", show_working_copy),
    page_route("/ui/invocations/{id}/working-copy/compare", show_working_copy),
    form_route("/ui/invocations/{id}/working-copy/run", run_working_copy),
    form_route("/ui/invocations/{id}/working-copy/compare", compare_working_copy),
    page_route("/ui/trigger", show_trigger),
    form_route("/ui/trigger", fire_event, 8 * MEBIBYTE),
)
