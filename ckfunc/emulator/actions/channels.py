"""Create, change and delete channels; join, leave, moderate, invite and block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.http.problems import Missing, Refused
from ckfunc.emulator.store import channels, conversations, deletion, memberships, sessions
from ckfunc.emulator.store.steps import Steps
from ckfunc.model.chat import BlockRecord, Channel, ChannelEvent, ChannelType, Invite, NewChannel, Thread, User
from ckfunc.wire.channels import DIRECT_MEMBERS_LIMIT, write_channel, write_event
from ckfunc.wire.clients import client_channel, client_channel_block, client_event, client_thread, client_user
from ckfunc.wire.users import write_user

_USER_TRIGGERED = "user.triggered.event"
_SYSTEM_TRIGGERED = "system.triggered.event"
_INVITED = "user.received.channel_invite"


def create(context: ActionContext, new: NewChannel, creator: User | None, members: Sequence[User]) -> Channel:
    """Create a channel with its creator and members, or return the equivalent one that exists. Raises Refused."""
    database = context.database
    members = members if creator is None else [*members, creator]
    if new.type is ChannelType.DIRECT and len({member.id for member in members}) > DIRECT_MEMBERS_LIMIT:
        raise Refused(f"a direct channel has at most {DIRECT_MEMBERS_LIMIT} members, including its creator")
    newest = database.value("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'channels'")
    channel = channels.create(database, new, creator, members)
    created = channel.id > newest
    if creator is not None:
        event = "user.channel.created" if created else "user.channel.upserted"
        context.publish_channel(creator.id, event, channel)
    if created:
        for user_id in channels.member_ids(database, channel.id):
            if creator is None or user_id != creator.id:
                context.publish_channel(user_id, "user.channel.joined", channel)
    return channel


def update(context: ActionContext, changed: Channel) -> None:
    """Store a changed channel."""
    channels.update(context.database, changed)
    of = f"channels/{changed.id}"
    context.publish(of, "", "channel.self.updated", lambda: _seen_by_member(context, changed))
    for user_id in channels.member_ids(context.database, changed.id):
        context.publish_channel(user_id, "user.channel.updated", changed)


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
    created = channels.create_thread(context.database, channel.id, *thread)
    context.publish_to(user.id, "threads", "channel.thread.created", lambda: client_thread(created))
    return created


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


def add_member(context: ActionContext, channel: Channel, user: User) -> None:
    """Make a user a member of a channel; an existing member stays one."""
    joined = not channels.is_member(context.database, channel.id, user.id)
    channels.add_member(context.database, channel.id, user.id)
    context.publish_channel(user.id, "user.channel.joined", channel)
    if joined:
        context.publish_user(f"channels/{channel.id}", "members", "channel.member.joined", user)


def remove_member(context: ActionContext, channel: Channel, user: User) -> None:
    """Remove a member from a channel. The user's clients no longer get events of a channel that is not public."""
    channels.remove_member(context.database, channel.id, user.id)
    _publish_left(context, channel, user)
    context.publish_user(f"channels/{channel.id}", "members", "channel.member.left", user)
    if channel.type is not ChannelType.PUBLIC:
        context.topics.close(f"channels/{channel.id}", user.id)
        sessions.end_chats_in(context.database, channel.id, user.id)


def add_moderator(context: ActionContext, channel: Channel, user: User) -> None:
    """Make a member of a channel its moderator; an existing moderator stays one. Raises Refused for others."""
    if not channels.is_member(context.database, channel.id, user.id):
        raise Refused(f"user {user.id} is not a member of channel {channel.id}; only members can moderate it")
    memberships.add_moderator(context.database, channel.id, user.id)
    _answer(context, channel, "channel.moderator_added")
    context.publish_user(f"channels/{channel.id}", "moderators", "channel.moderator.added", user)


def remove_moderator(context: ActionContext, channel: Channel, user: User) -> None:
    """Make a moderator an ordinary member. Raises Missing if the user is no moderator."""
    if not memberships.remove_moderator(context.database, channel.id, user.id):
        raise Missing(f"user {user.id} is not a moderator of channel {channel.id}")
    _answer(context, channel, "channel.moderator_deleted")
    context.publish_user(f"channels/{channel.id}", "moderators", "channel.moderator.deleted", user)


def invite(context: ActionContext, channel: Channel, invitee: User) -> Invite:
    """Invite a user to a channel."""
    links = context.links
    invitation = memberships.invite(context.database, channel.id, invitee.id)

    def event() -> dict[str, object]:
        inviting = {} if context.actor is None else {"invitingUser": write_user(context.actor, links)}
        return {"user": write_user(invitee, links), "channel": write_channel(channel, links), **inviting}

    context.fire(_INVITED, event)
    context.publish_channel(invitee.id, "user.channel.invited", channel)
    if context.actor is not None:
        context.publish_to(context.actor.id, "users", "user.user.invited", lambda: client_user(invitee, links))
    return invitation


def block(context: ActionContext, channel: Channel, user: User) -> BlockRecord:
    """Block a user from a channel: the user can no longer write there, or join it."""
    record = memberships.CHANNEL_BLOCKS.add(context.database, channel.id, user.id)
    _publish_block(context, record, "created")
    return record


def unblock(context: ActionContext, record: BlockRecord) -> None:
    """End the block of a user from a channel."""
    memberships.CHANNEL_BLOCKS.remove(context.database, record.id)
    _publish_block(context, record, "deleted")


def _publish_left(context: ActionContext, channel: Channel, user: User) -> None:
    # Clients 1.x listen to the first event, clients 2.x to the second.
    for event in ("user.channel.left", "me.channel.left"):
        context.publish_channel(user.id, event, channel)
    if context.actor is not None and context.actor.id != user.id:
        context.publish_channel(context.actor.id, "user.channel.left", channel)


def _seen_by_member(context: ActionContext, channel: Channel) -> dict[str, Any]:
    return client_channel(channel, context.links, member=True)


def _publish_block(context: ActionContext, record: BlockRecord, change: str) -> None:
    def write() -> dict[str, object]:
        return client_channel_block(record, context.links)

    if context.actor is not None:
        context.publish_to(context.actor.id, "channels", f"user.channel.block_record_{change}", write)
    context.publish(f"channels/{record.owner_id}", "blockRecords", f"channel.block_record.{change}", write)


def _answer(context: ActionContext, channel: Channel, event: str) -> None:
    """Publish a channel to the user whose client changed it."""
    if context.actor is not None:
        context.publish_channel(context.actor.id, f"user.{event}", channel)
