"""The page of faults: list, add, remove."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckfunc.emulator.http.calls import Call, Reply, whole_number
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.ui.pages import form_route, page, page_route, redirect
from ckfunc.wire.contract import operations
from ckfunc.wire.faults import MOST_DELAY_MS, MOST_FIRST, read_fault

_NORMAL, _LOST = "normal", "lost"
_ANSWERS = (
    ("429", "429 Too Many Requests"),
    ("500", "500 Internal Server Error"),
    ("502", "502 Bad Gateway"),
    ("503", "503 Service Unavailable"),
    ("504", "504 Gateway Timeout"),
    (_LOST, "Carried out, response lost"),
    (_NORMAL, "Only the delay"),
)
"""The values of the form's field `answer`, and their labels."""


def show_faults(call: Call, services: EmulatorServices) -> Reply:
    """Show the active faults, and a form to add one."""
    return page(
        call,
        services,
        "faults",
        section="faults",
        title="Faults",
        faults=services.faults.active,
        answers=_ANSWERS,
        operations=sorted(one.id for one in operations()),
        most_delay_ms=MOST_DELAY_MS,
        most_first=MOST_FIRST,
    )


def add_fault(call: Call, services: EmulatorServices) -> Reply:
    """Add a fault."""
    services.faults.add(read_fault(_document(call.form())))
    return redirect("/ui/faults")


def remove_fault(call: Call, services: EmulatorServices) -> Reply:
    """Remove a fault."""
    services.faults.remove(call.id())
    return redirect("/ui/faults")


def remove_all_faults(_call: Call, services: EmulatorServices) -> Reply:
    """Remove all faults."""
    services.faults.clear()
    return redirect("/ui/faults")


def _document(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the fault of a form as JSON. Raises Refused."""
    answer = form.get("answer", "")
    made: dict[str, Any] = {"operation": form.get("operation") or None}
    if answer == _LOST:
        made["lost"] = True
    elif answer != _NORMAL:
        made["status"] = whole_number(answer)
    for field, name in (("retry-after", "retryAfterSeconds"), ("delay", "delayMs"), ("first", "first")):
        if text := form.get(field, "").strip():
            made[name] = _number(text, field)
    if text := form.get("rate", "").strip():
        try:
            made["ratePercent"] = float(text)
        except ValueError:
            raise Refused(f"rate: {text[:60]!r} is not a number") from None
    return made


def _number(text: str, field: str) -> int:
    found = whole_number(text)
    if found is None:
        raise Refused(f"{field}: {text[:60]!r} is not a whole number")
    return found


ROUTES = (
    page_route("/ui/faults", show_faults),
    form_route("/ui/faults", add_fault),
    form_route("/ui/faults/clear", remove_all_faults),
    form_route("/ui/faults/{id}/remove", remove_fault),
)
