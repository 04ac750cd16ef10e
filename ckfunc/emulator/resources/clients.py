"""Controls that do for a user what only a client can: read a message, and report one."""

from __future__ import annotations

from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.replies import Reply
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.resources import references
from ckfunc.emulator.resources.services import Services
from ckfunc.emulator.store import messages, receipts
from ckfunc.model.chat import Message
from ckfunc.model.user import User, UserReference
from ckfunc.wire.channels import write_receipt
from ckfunc.wire.messages import write_message
from ckfunc.wire.reading import required, resource
from ckfunc.wire.users import write_user


def read_message(call: Call, services: Services) -> Reply:
    """Let a user read a message: the receipt is stored, and its event fired; one that is there already stays alone."""
    user, message = _whose(call, services)
    added = receipts.add(services.database, message.id, user.id)
    if added is None:
        return Reply({"receipt": None})
    receipt = write_receipt(added, call.links)
    event = {"user": write_user(user, call.links), "message": write_message(message, call.links), "receipt": receipt}
    services.dispatch.fire("user.read.message", event, caller=call.caller)
    return Reply({"receipt": receipt})


def report_message(call: Call, services: Services) -> Reply:
    """Let a user report a message; answer with the message."""
    user, message = _whose(call, services)
    messages.report(services.database, message.id, user.id)
    return Reply(write_message(references.message(services.database, message.id), call.links))


def _whose(call: Call, services: Services) -> tuple[User, Message]:
    body = resource(call.json(), "the body")
    reference = UserReference(username=required(body, "username", str))
    user = references.referred_user(services.database, reference, "field 'username'")
    return user, references.message(services.database, required(body, "messageId", int))


ROUTES = (
    Route("POST", "/emulator/read-receipts", read_message, Access.CONTROL),
    Route("POST", "/emulator/reports", report_message, Access.CONTROL),
)
