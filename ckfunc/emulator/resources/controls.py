"""The emulator's own controls: what only a platform on this machine can offer. No token is needed."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from ckfunc import __version__
from ckfunc.emulator.dispatch.dispatcher import Run
from ckfunc.emulator.dispatch.runtimes import RUNTIME_ID, RUNTIME_VERSION
from ckfunc.emulator.dispatch.sessions import START_SESSION, attempt_start_session
from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.http.replies import Reply
from ckfunc.emulator.http.routing import MEBIBYTE, Access, Route
from ckfunc.emulator.resources.functions import found
from ckfunc.emulator.resources.services import Services
from ckfunc.emulator.store import functions, invocations
from ckfunc.model.function import InvocationDetail
from ckfunc.wire.functions import write_detail, write_function, write_invocation
from ckfunc.wire.reading import optional, required

_MOST_IDS = 1000
_LONGEST_LIFETIME_S = 86_400


def health(_call: Call, services: Services) -> Reply:
    """Answer with who this is: the database's id, the version, the process."""
    return Reply(
        {
            "id": services.database.id,
            "version": __version__,
            "dataDir": None if services.data_dir is None else str(services.data_dir),
            "pid": os.getpid(),
        }
    )


async def trigger(call: Call, services: Services) -> Reply:
    """Fire an event, wait for the run, and answer with it; for a session also with whether it is allowed."""
    body = _object(call.json())
    trigger_type = required(body, "type", str)
    data = _object(body.get("data", {}))
    if trigger_type == START_SESSION:
        username = required(data, "username", str)
        if not username:
            raise Refused("field 'username' is empty")
        auth_params = optional(data, "authParams", dict) or {}
        decision = await attempt_start_session(
            services.database, services.dispatch, {"username": username, "authParams": auth_params}
        )
        verdict = {"allowed": decision.allowed, "reason": decision.reason}
        return Reply({**_run_document(call, decision.run), **verdict})
    run = await services.dispatch.run(trigger_type, data)
    return Reply(_run_document(call, run))


def list_invocation_details(call: Call, services: Services) -> Reply:
    """Answer with console output and duration of the runs that `ids` names, those under way included."""
    texts = [text.strip() for part in call.every("ids") for text in part.split(",") if text.strip()]
    if any(not (text.isascii() and text.isdecimal()) or len(text) > 18 for text in texts):
        raise Refused("query parameter 'ids' is a list of whole numbers with commas between them")
    ids = sorted({int(text) for text in texts})
    if len(ids) > _MOST_IDS:
        raise Refused(f"query parameter 'ids' has more than {_MOST_IDS} numbers")
    details = [_live(one, services) for one in invocations.details(services.database, ids)]
    return Reply({"invocations": [write_detail(one) for one in details]})


def enable_function(call: Call, services: Services) -> Reply:
    """Switch a function on or off, as the platform's dashboard can."""
    function = found(call, services)
    enabled = required(_object(call.json()), "enabled", bool)
    functions.set_enabled(services.database, function.id, enabled)
    changed = replace(function, enabled=enabled)
    return Reply(write_function(changed, RUNTIME_ID, RUNTIME_VERSION, call.links))


def update_token_lifetime(call: Call, services: Services) -> Reply:
    """Set for how many seconds the tokens that are issued from now on are good; `revoke` ends all older ones."""
    body = _object(call.json())
    seconds = required(body, "seconds", int)
    if not 0 <= seconds <= _LONGEST_LIFETIME_S:
        raise Refused(f"field 'seconds' is not from 0 to {_LONGEST_LIFETIME_S}")
    services.tokens.lifetime_s = float(seconds)
    if optional(body, "revoke", bool):
        services.tokens.revoke()
    return Reply({"seconds": seconds})


def _run_document(call: Call, run: Run | None) -> dict[str, Any]:
    if run is None:
        return {"invocation": None, "detail": None}
    return {"invocation": write_invocation(run.invocation, call.links), "detail": write_detail(run.detail)}


def _live(detail: InvocationDetail, services: Services) -> InvocationDetail:
    return services.dispatch.so_far(detail.id) or detail


def _object(document: Any) -> dict[str, Any]:
    """Return a JSON object as it is: what it holds is an event, whose names are never respelled."""
    if not isinstance(document, dict):
        raise Refused("the body, and `data` in it, are JSON objects")
    return document


ROUTES = (
    Route("GET", "/emulator/health", health, Access.CONTROL),
    Route("POST", "/emulator/trigger", trigger, Access.CONTROL, 8 * MEBIBYTE),
    Route("GET", "/emulator/invocations", list_invocation_details, Access.CONTROL),
    Route("PUT", "/emulator/functions/{id}/enabled", enable_function, Access.CONTROL),
    Route("PUT", "/emulator/token-lifetime", update_token_lifetime, Access.CONTROL),
)
