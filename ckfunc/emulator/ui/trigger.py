"""The page that fires an event, with the sample event filled in."""

from __future__ import annotations

from ckfunc.emulator.http.bodies import MEBIBYTE
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import functions
from ckfunc.emulator.store.paging import PageRequest
from ckfunc.emulator.ui.forms import form_route, page_route, posted_object
from ckfunc.emulator.ui.rendering import page, redirect, visible
from ckfunc.model.triggers import BY_TYPE
from ckfunc.scaffold.templates import sample_text

_MOST_FUNCTIONS = 100


def show_trigger(call: Call, services: EmulatorServices) -> Reply:
    """Show the form for an event of a type, by default of the first function's."""
    found = functions.page(services.database, PageRequest(0, _MOST_FUNCTIONS, "type"))
    types = [one.type for one in found.items]
    chosen = call.first("type") or next(iter(types), "")
    return page(
        call,
        services,
        "trigger",
        section="trigger",
        title="Trigger",
        types=types if chosen in types or not chosen else [*types, chosen],
        chosen=chosen,
        event=sample_text(chosen) if chosen in BY_TYPE else "{}",
    )


def fire_event(call: Call, services: EmulatorServices) -> Reply:
    """Run the function for an event, and show the run."""
    form = call.form()
    trigger_type = form.get("type", "")
    made = services.dispatch.fire(trigger_type, posted_object(form, "event"))
    if made is None:
        raise Refused(f"no enabled function handles {visible(trigger_type)[:100]!r}; deploy one, or enable it")
    return redirect(f"/ui/invocations/{made.id}")


ROUTES = (
    page_route("/ui/trigger", show_trigger),
    form_route("/ui/trigger", fire_event, 8 * MEBIBYTE),
)
