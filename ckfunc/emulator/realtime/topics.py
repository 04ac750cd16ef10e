"""The topics that a client can subscribe to."""

from __future__ import annotations

from ckfunc.emulator.actions.access import visible_channel, visible_thread
from ckfunc.emulator.http.problems import Denied, Missing
from ckfunc.emulator.realtime.destinations import Destination
from ckfunc.emulator.store.database import Database
from ckfunc.model.chat import Channel
from ckfunc.model.user import User
from ckfunc.wire.clients import CHANNEL_TOPICS, USER_TOPICS


def check(database: Database, destination: Destination, user: User) -> Channel | None:
    """Check that a user may subscribe to a topic; return the channel whose chat session the subscription opens.

    Raises Missing and Denied.
    """
    part = destination.part or "self"
    if destination.kind == "users" and part in USER_TOPICS:
        if destination.id != user.id:
            raise Denied(f"the topics of user {destination.id} are for that user only")
        return None
    if destination.kind == "channels" and part in CHANNEL_TOPICS:
        channel = visible_channel(database, destination.id, user)
        return channel if part == "self" else None
    if destination.kind == "threads" and part == "self":
        visible_thread(database, destination.id, user)
        return None
    raise Missing(f"there is no topic {destination.name!r}")
