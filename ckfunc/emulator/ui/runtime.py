"""The page of the runtime: packages, environment, init script."""

from __future__ import annotations

from ckfunc.emulator.dispatch import runtimes
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.ui.forms import page_route
from ckfunc.emulator.ui.rendering import page


def show_runtime(call: Call, services: EmulatorServices) -> Reply:
    """Show the runtime. Only the environment value that the query names is part of the page."""
    runtime = runtimes.current(services.database, services.dispatch.base_url)
    wanted = call.first("show")
    variables = [
        (name, value.reveal() if name == wanted else None) for name, value in sorted(runtime.environment.items())
    ]
    return page(
        call,
        services,
        "runtime",
        section="runtime",
        title="Runtime",
        runtime=runtime,
        variables=variables,
    )


ROUTES = (page_route("/ui/runtime", show_runtime),)
