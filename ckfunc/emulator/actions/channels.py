"""Create, change and delete channels, and what their members change for themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.store import channels, conversations, deletion, threads
from ckfunc.emulator.store.steps import Steps
from ckfunc.model.chat import Channel, ChannelEvent, NewChannel, Thread
from ckfunc.model.user import User
from ckfunc.wire.channels import write_channel, write_event
from ckfunc.wire.clients import client_channel, client_event, client_thread
from ckfunc.wire.users import write_user

_USER_TRIGGERED = "user.triggered.event"
_SYSTEM_TRIGGERED = "system.triggered.event"


def create(context: ActionContext, new: NewChannel, creator: User | None, members: Sequence[User]) -> Channel:
    """Create a channel with these members, or return the equivalent one that exists, unchanged."""
    database = context.database
    newest = database.value("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'channels'")
    made = channels.create(database, new, creator, members)
    created = made.id > newest
    if creator is not None:
        event = "user.channel.created" if created else "user.channel.upserted"
        context.publish_channel(creator.id, event, made)
    if created:
        for user_id in channels.member_ids(database, made.id):
            if creator is None or user_id != creator.id:
                context.publish_channel(user_id, "user.channel.joined", made)
    return made


def update(context: ActionContext, changed: Channel) -> None:
    """Store a changed channel."""
    channels.update(context.database, changed)
    publish_updated(context, changed)


def publish_updated(context: ActionContext, channel: Channel) -> None:
    """Publish that a channel has changed."""
    of = f"channels/{channel.id}"
    context.publish(of, "", "channel.self.updated", lambda: _seen_by_member(context, channel))
    for user_id in channels.member_ids(context.database, channel.id):
        context.publish_channel(user_id, "user.channel.updated", channel)


def delete(context: ActionContext, channel: Channel) -> Steps:
    """Delete a channel and everything in it, in steps."""
    members = channels.member_ids(context.database, channel.id)
    document = _seen_by_member(context, channel)
    yield from deletion.delete_channel(context.database, channel.id)
    context.publish(f"channels/{channel.id}", "", "channel.self.deleted", lambda: document)
    for user_id in members:
        context.publish_to(user_id, "channels", "user.channel.deleted", lambda: document)
    context.topics.close(f"channels/{channel.id}")


def trigger_event(context: ActionContext, channel: Channel, event: ChannelEvent) -> dict[str, Any]:
    """Send a custom event to a channel, from a user or from the system; it is not stored."""
    links = context.links
    document = write_event(event, links)
    fired = {"channel": write_channel(channel, links), "event": document}
    if event.user is None:
        context.fire(_SYSTEM_TRIGGERED, lambda: fired)
    else:
        user = event.user
        context.fire(_USER_TRIGGERED, lambda: {"user": write_user(user, links), **fired})
    of = f"channels/{channel.id}"
    context.publish(of, "events", "channel.event.triggered", lambda: client_event(event, channel.id, links))
    return document


def create_thread(context: ActionContext, channel: Channel, user: User, thread: tuple[str | None, Any]) -> Thread:
    """Create a standalone thread, given by its name and properties."""
    made = threads.create(context.database, channel.id, *thread)
    context.publish_to(user.id, "threads", "channel.thread.created", lambda: client_thread(made))
    return made


def mute(context: ActionContext, channel: Channel, user: User, *, muted: bool) -> None:
    """Mute a channel for a user, or end that."""
    conversations.mute(context.database, channel.id, user.id, muted=muted)
    context.publish_channel(user.id, "user.channel.muted" if muted else "user.channel.unmuted", channel)


def hide(context: ActionContext, channel: Channel, user: User) -> None:
    """Hide a channel from a user's list, until its next message."""
    conversations.hide(context.database, channel.id, user.id)
    context.publish_channel(user.id, "user.channel.hidden", channel)


def clear_history(context: ActionContext, channel: Channel, user: User) -> None:
    """Clear a channel's history for a user."""
    conversations.clear(context.database, channel.id, user.id)
    context.publish_channel(user.id, "user.channel.history_cleared", channel)


def _seen_by_member(context: ActionContext, channel: Channel) -> dict[str, Any]:
    return client_channel(channel, context.links, member=True)
