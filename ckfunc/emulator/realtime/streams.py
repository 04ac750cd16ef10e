"""Files that clients upload over HTTP, and the grants for this.

A grant is derived from the token of the client's session, so that it stays valid when the emulator restarts.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import suppress
from dataclasses import replace

from ckfunc.base.text import is_id
from ckfunc.emulator.actions import access
from ckfunc.emulator.actions import messages as message_actions
from ckfunc.emulator.actions import users as user_actions
from ckfunc.emulator.actions.messages import read_upload, stored
from ckfunc.emulator.http.auth import check_client_origin
from ckfunc.emulator.http.bodies import UPLOAD_BYTES
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Denied
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import sessions
from ckfunc.emulator.store.database import Database
from ckfunc.model.chat import Thread, User, UserReference
from ckfunc.wire.clients import client_current_user, client_message

_ALLOWED = {
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": "content-type, grant",
    "access-control-max-age": "600",
}


def upload_channel_message(call: Call, services: EmulatorServices) -> Reply:
    """Send a file to a channel, and answer with the message."""
    user = _uploader(call, services)
    channel = access.writable_channel(services.database, call.id(), user)
    return _send(call, services, user, channel.id, None)


def upload_reply(call: Call, services: EmulatorServices) -> Reply:
    """Reply to a message, or in a thread, with a file, and answer with the message."""
    user = _uploader(call, services)
    thread = access.writable_thread(services.database, call.id(), user)
    return _send(call, services, user, thread.channel_id, thread)


def upload_display_picture(call: Call, services: EmulatorServices) -> Reply:
    """Replace the display picture of the session's user, and answer with the user."""
    user = _uploader(call, services)
    changed = user_actions.set_display_picture(services.context(call, user), user, call.upload())
    return Reply(client_current_user(changed, call.links))


def allow_upload(call: Call, _services: EmulatorServices) -> Reply:
    """Answer a browser's question whether a page may upload."""
    _check_origin(call)
    return Reply({}, headers=_ALLOWED)


def issued_grant(database: Database, session_id: int, kind: str) -> str:
    """Return the grant of a session; `kind` is "read" or "write"."""
    token = sessions.token_of(database, session_id) or ""
    digest = hmac.new(token.encode(), kind.encode(), hashlib.sha256).hexdigest()
    return f"{kind}-{session_id}-{digest}"


def _send(call: Call, services: EmulatorServices, user: User, channel_id: int, thread: Thread | None) -> Reply:
    new, file = read_upload(call)
    # Clients write each field as JSON, a tag in quotation marks too.
    tag = new.group_tag
    if tag is not None and tag.startswith('"'):
        with suppress(ValueError):
            tag = str(json.loads(tag))
    new = replace(new, user=UserReference(id=user.id), group_tag=tag)
    new = stored(services.database, new, file)
    message = message_actions.send(services.context(call, user), channel_id, new, user, thread)
    return Reply(client_message(message, call.links))


def _uploader(call: Call, services: EmulatorServices) -> User:
    """Return the user of the session that a grant to upload belongs to. Raises Denied."""
    _check_origin(call)
    database, grant = services.database, call.headers.get("grant") or ""
    number = grant.partition("-")[2].partition("-")[0]
    session = sessions.get(database, int(number)) if is_id(number) else None
    if (
        session is None
        or sessions.token_of(database, session.id) is None
        or not hmac.compare_digest(issued_grant(database, session.id, "write").encode(), grant.encode())
    ):
        raise Denied("the grant to upload files is missing or wrong")
    return session.user


def _check_origin(call: Call) -> None:
    check_client_origin(call.headers.get("origin"), call.headers.get("host", ""))


_PATHS = {
    "/rtm/streams/channels/{id}/messages": upload_channel_message,
    "/rtm/streams/messages/{id}/replies": upload_reply,
    "/rtm/streams/threads/{id}/messages": upload_reply,
    "/rtm/streams/user/display-picture": upload_display_picture,
}

ROUTES = (
    *(Route("POST", path, upload, Access.PUBLIC, UPLOAD_BYTES, stores_file=True) for path, upload in _PATHS.items()),
    *(Route("OPTIONS", path, allow_upload, Access.PUBLIC) for path in _PATHS),
)
