"""The page that runs the project's working copy on an invocation."""

from __future__ import annotations

from dataclasses import replace

from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.options import RunComparison, WorkingCopy
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store.invocations import FunctionRun
from ckfunc.emulator.ui.forms import form_route, page_route
from ckfunc.emulator.ui.invocations import ShownRun, latest_runs, requested_run, shown_run
from ckfunc.emulator.ui.rendering import page
from ckfunc.emulator.ui.saved_conversation import on_a_thread
from ckfunc.model.function import Status


def show_working_copy(call: Call, services: EmulatorServices) -> Reply:
    """Show forms that run and compare the working copy; outside of a project, the commands that do so."""
    return _page(call, services, requested_run(call, services))


async def run_working_copy(call: Call, services: EmulatorServices) -> Reply:
    """Run the working copy with the event of an invocation, and show the run."""
    run = requested_run(call, services)
    project = _working_copy(services)
    invocation, detail = await on_a_thread(lambda: project.run(run.invocation, run.type))
    return _page(call, services, run, made=shown_run(replace(run, invocation=invocation), detail))


async def compare_working_copy(call: Call, services: EmulatorServices) -> Reply:
    """Compare an invocation with the working copy, and show both side by side."""
    run = requested_run(call, services)
    project, url = _working_copy(services), services.dispatch.base_url
    compared = await on_a_thread(lambda: project.compare(run.invocation, run.type, url))
    return _page(call, services, run, compared=compared)


def _working_copy(services: EmulatorServices) -> WorkingCopy:
    if services.working_copy is None:
        raise Refused("this emulator does not run in a project; use `ckfunc invoke` or `ckfunc replay` in the project")
    return services.working_copy()


def _page(
    call: Call,
    services: EmulatorServices,
    run: FunctionRun,
    *,
    made: ShownRun | None = None,
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
        in_project=services.working_copy is not None,
        commands=(f"ckfunc invoke {run.type} --from-invocation {shown.id}", f"ckfunc replay {shown.id}"),
        made=made,
        compared=compared,
    )


ROUTES = (
    page_route("/ui/invocations/{id}/working-copy", show_working_copy),
    page_route("/ui/invocations/{id}/working-copy/run", show_working_copy),
    page_route("/ui/invocations/{id}/working-copy/compare", show_working_copy),
    form_route("/ui/invocations/{id}/working-copy/run", run_working_copy),
    form_route("/ui/invocations/{id}/working-copy/compare", compare_working_copy),
)
