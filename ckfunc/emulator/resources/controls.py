"""The emulator's own controls: events, functions, tokens, seeds, faults, snapshots and reset.

They do what only a local platform can offer, and what otherwise only a client can do for a user: read a message, and
report one. No token is needed.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any

from ckfunc import __version__
from ckfunc.base.text import is_id
from ckfunc.emulator import replacement
from ckfunc.emulator.actions import access
from ckfunc.emulator.actions import messages as message_actions
from ckfunc.emulator.actions.users import attempt_start_session
from ckfunc.emulator.dispatch.dispatcher import FinishedRun
from ckfunc.emulator.dispatch.runtimes import RUNTIME_ID, RUNTIME_VERSION
from ckfunc.emulator.http.bodies import MEBIBYTE, SEED_BYTES
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import functions, invocations
from ckfunc.model.chat import Message, MessageReport, User, UserReference
from ckfunc.model.triggers import START_SESSION
from ckfunc.wire.applications import write_detail, write_function, write_invocation
from ckfunc.wire.channels import write_receipt
from ckfunc.wire.faults import read_fault, write_active_fault
from ckfunc.wire.jobs import read_seed, write_seeded, write_snapshot
from ckfunc.wire.messages import write_message
from ckfunc.wire.reading import optional, required, resource

_MOST_IDS = 1000
_LONGEST_LIFETIME_S = 86_400


def health(_call: Call, services: EmulatorServices) -> Reply:
    """Answer with the database's id, the version and the process."""
    return Reply(
        {
            "id": services.database.id,
            "version": __version__,
            "dataDir": None if services.data_dir is None else str(services.data_dir),
            "pid": os.getpid(),
        }
    )


async def trigger(call: Call, services: EmulatorServices) -> Reply:
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
    return Reply(_run_document(call, await services.dispatch.run(trigger_type, data)))


def list_invocation_details(call: Call, services: EmulatorServices) -> Reply:
    """Answer with the console output and duration of the runs in `ids`, including runs in progress."""
    texts = [text.strip() for part in call.every("ids") for text in part.split(",") if text.strip()]
    if not all(map(is_id, texts)):
        raise Refused("query parameter 'ids' must be whole numbers separated by commas")
    ids = sorted({int(text) for text in texts})
    if len(ids) > _MOST_IDS:
        raise Refused(f"query parameter 'ids' has more than {_MOST_IDS} numbers")
    details = invocations.details(services.database, ids)
    return Reply({"invocations": [write_detail(services.dispatch.so_far(detail.id) or detail) for detail in details]})


def enable_function(call: Call, services: EmulatorServices) -> Reply:
    """Enable or disable a function, as the platform's dashboard can."""
    function = access.function(services.database, call.id())
    enabled = required(_object(call.json()), "enabled", bool)
    functions.set_enabled(services.database, function.id, enabled)
    changed = replace(function, enabled=enabled)
    return Reply(write_function(changed, RUNTIME_ID, RUNTIME_VERSION, call.links))


def update_token_lifetime(call: Call, services: EmulatorServices) -> Reply:
    """Set the lifetime in seconds of tokens issued from now on; `revoke` ends all older tokens."""
    body = _object(call.json())
    seconds = required(body, "seconds", int)
    if not 0 <= seconds <= _LONGEST_LIFETIME_S:
        raise Refused(f"field 'seconds' must be from 0 to {_LONGEST_LIFETIME_S}")
    services.tokens.lifetime_s = float(seconds)
    if optional(body, "revoke", bool):
        services.tokens.revoke()
    return Reply({"seconds": seconds})


def read_message(call: Call, services: EmulatorServices) -> Reply:
    """Let a user read a message: store the receipt, unless there is one already, and fire its event."""
    user, message = _whose(call, services)
    added = message_actions.read(services.context(call), user, message)
    return Reply({"receipt": None if added is None else write_receipt(added, call.links)})


def report_message(call: Call, services: EmulatorServices) -> Reply:
    """Let a user report a message; answer with the message."""
    user, message = _whose(call, services)
    message_actions.report(services.context(call), MessageReport(message.id, user, services.database.now()))
    return Reply(write_message(access.message(services.database, message.id), call.links))


async def plant_seed(call: Call, services: EmulatorServices) -> Reply:
    """Add what a seed holds and the database does not, and answer with the numbers of added rows."""
    seed = await asyncio.to_thread(lambda: read_seed(call.json()))
    return Reply(write_seeded(await services.add_seed(seed)))


def list_faults(_call: Call, services: EmulatorServices) -> Reply:
    """Answer with the active faults, oldest first."""
    return Reply({"faults": [write_active_fault(active) for active in services.faults.active]})


def add_fault(call: Call, services: EmulatorServices) -> Reply:
    """Add a fault, and answer with it."""
    return Reply(write_active_fault(services.faults.add(read_fault(call.json()))))


def remove_fault(call: Call, services: EmulatorServices) -> Reply:
    """Remove a fault, and answer with it."""
    return Reply(write_active_fault(services.faults.remove(call.id())))


def clear_faults(_call: Call, services: EmulatorServices) -> Reply:
    """Remove all faults, and answer with them."""
    return Reply({"faults": [write_active_fault(active) for active in services.faults.clear()]})


def list_snapshots(_call: Call, services: EmulatorServices) -> Reply:
    """Answer with the snapshots, newest first."""
    return Reply({"snapshots": [write_snapshot(snapshot) for snapshot in services.snapshots.all()]})


async def save_snapshot(call: Call, services: EmulatorServices) -> Reply:
    """Save all data as a snapshot, and answer with it; with `replace`, an existing one is replaced."""
    body: Any = call.json() if call.body else {}
    replace = optional(resource(body, "the body"), "replace", bool) or False
    return Reply(write_snapshot(await replacement.save(services, call.parameters["name"], replace=replace)))


async def restore_snapshot(call: Call, services: EmulatorServices) -> Reply:
    """Replace all data with a snapshot, and answer with it; clients are disconnected."""
    return Reply(write_snapshot(await replacement.restore(services, call.parameters["name"])))


def remove_snapshot(call: Call, services: EmulatorServices) -> Reply:
    """Delete a snapshot, and answer with it."""
    return Reply(write_snapshot(replacement.remove(services, call.parameters["name"])))


async def reset_data(call: Call, services: EmulatorServices) -> Reply:
    """Delete all data except snapshots, and answer with the new database's id; clients are disconnected."""
    await replacement.reset(services)
    return health(call, services)


def _run_document(call: Call, run: FinishedRun | None) -> dict[str, Any]:
    if run is None:
        return {"invocation": None, "detail": None}
    return {"invocation": write_invocation(run.invocation, call.links), "detail": write_detail(run.detail)}


def _object(document: Any) -> dict[str, Any]:
    """Return a JSON object unchanged: it holds an event, whose names are never respelled."""
    if not isinstance(document, dict):
        raise Refused("the body and its `data` must be JSON objects")
    return document


def _whose(call: Call, services: EmulatorServices) -> tuple[User, Message]:
    body = resource(call.json(), "the body")
    reference = UserReference(username=required(body, "username", str))
    user = access.referred_user(services.database, reference, "field 'username'")
    return user, access.message(services.database, required(body, "messageId", int))


ROUTES = (
    Route("GET", "/emulator/health", health, Access.CONTROL),
    Route("POST", "/emulator/trigger", trigger, Access.CONTROL, 8 * MEBIBYTE),
    Route("GET", "/emulator/invocations", list_invocation_details, Access.CONTROL),
    Route("PUT", "/emulator/functions/{id}/enabled", enable_function, Access.CONTROL),
    Route("PUT", "/emulator/token-lifetime", update_token_lifetime, Access.CONTROL),
    Route("POST", "/emulator/read-receipts", read_message, Access.CONTROL),
    Route("POST", "/emulator/reports", report_message, Access.CONTROL),
    Route("POST", "/emulator/seed", plant_seed, Access.CONTROL, SEED_BYTES),
    Route("GET", "/emulator/faults", list_faults, Access.CONTROL),
    Route("POST", "/emulator/faults", add_fault, Access.CONTROL),
    Route("DELETE", "/emulator/faults", clear_faults, Access.CONTROL),
    Route("DELETE", "/emulator/faults/{id}", remove_fault, Access.CONTROL),
    Route("GET", "/emulator/snapshots", list_snapshots, Access.CONTROL),
    Route("PUT", "/emulator/snapshots/{name}", save_snapshot, Access.CONTROL),
    Route("POST", "/emulator/snapshots/{name}/restore", restore_snapshot, Access.CONTROL),
    Route("DELETE", "/emulator/snapshots/{name}", remove_snapshot, Access.CONTROL),
    Route("POST", "/emulator/reset", reset_data, Access.CONTROL),
)
