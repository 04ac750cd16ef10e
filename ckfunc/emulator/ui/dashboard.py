"""The dashboard's routes, scripts and styles."""

from __future__ import annotations

from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import HttpProblem, Missing
from ckfunc.emulator.http.routing import Access, Route, Router
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.ui import (
    channels,
    chat,
    data,
    faults,
    functions,
    invocations,
    messages,
    requests,
    runtime,
    saved_conversation,
    sessions,
    trigger,
    users,
    working_copy,
)
from ckfunc.emulator.ui.live import LiveUpdates
from ckfunc.emulator.ui.rendering import asset, problem_page

_ASSETS = {
    "htmx.min.js": "text/javascript; charset=utf-8",
    "ui.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "ui.css": "text/css; charset=utf-8",
    "htmx-LICENSE.txt": "text/plain; charset=utf-8",
}


def retrieve_asset(call: Call, _services: EmulatorServices) -> Reply:
    """Answer with a script or stylesheet."""
    name = call.parameters["name"]
    if name not in _ASSETS:
        raise Missing("there is no such file")
    return asset(name, _ASSETS[name])


ROUTES = (
    Route("GET", "/ui/assets/{name}", retrieve_asset, Access.CONTROL),
    *functions.ROUTES,
    *invocations.ROUTES,
    *working_copy.ROUTES,
    *chat.ROUTES,
    *saved_conversation.ROUTES,
    *users.ROUTES,
    *channels.ROUTES,
    *messages.ROUTES,
    *sessions.ROUTES,
    *requests.ROUTES,
    *data.ROUTES,
    *faults.ROUTES,
    *runtime.ROUTES,
    *trigger.ROUTES,
)


class Dashboard:
    """The routes of the dashboard, and its page for errors."""

    def __init__(self) -> None:
        live = Route("GET", "/ui/live", LiveUpdates().stream_changes, Access.CONTROL)
        self.router = Router((*ROUTES, live))

    def problem_page(self, problem: HttpProblem) -> Reply:
        """Return the page of an error."""
        return problem_page(problem)
