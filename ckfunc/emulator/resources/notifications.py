"""The notifications of a user."""

from __future__ import annotations

from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.cursors import cursor_reply, cursor_request
from ckfunc.emulator.http.replies import Reply
from ckfunc.emulator.http.routing import Route
from ckfunc.emulator.resources import references
from ckfunc.emulator.resources.services import Services
from ckfunc.emulator.store import notifications
from ckfunc.wire.notifications import write_notification


def list_user_notifications(call: Call, services: Services) -> Reply:
    """Answer with a page of a user's notifications, newest first."""
    user = references.user(services.database, call.id())
    page = notifications.page(services.database, user.id, cursor_request(call))
    return cursor_reply(call, "notifications", page, [write_notification(one, call.links) for one in page.items])


ROUTES = (Route("GET", "/users/{id}/notifications", list_user_notifications),)
