"""Membership actions: join, leave, moderate, invite, block."""

from __future__ import annotations

from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.store import channels, memberships, sessions
from ckfunc.model.chat import BlockRecord, Channel, ChannelType, Invite
from ckfunc.model.user import User
from ckfunc.wire.channels import write_channel
from ckfunc.wire.clients import client_channel_block, client_user
from ckfunc.wire.users import write_user

_INVITED = "user.received.channel_invite"


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


def _publish_left(context: ActionContext, channel: Channel, user: User) -> None:
    # Clients 1.x listen to the first event, clients 2.x to the second.
    for event in ("user.channel.left", "me.channel.left"):
        context.publish_channel(user.id, event, channel)
    if context.actor is not None and context.actor.id != user.id:
        context.publish_channel(context.actor.id, "user.channel.left", channel)


def add_moderator(context: ActionContext, channel: Channel, user: User) -> None:
    """Make a member of a channel its moderator; an existing moderator stays one."""
    memberships.add_moderator(context.database, channel.id, user.id)
    _answer(context, channel, "channel.moderator_added")
    context.publish_user(f"channels/{channel.id}", "moderators", "channel.moderator.added", user)


def remove_moderator(context: ActionContext, channel: Channel, user: User) -> bool:
    """Make a moderator an ordinary member; return whether the user was a moderator."""
    removed = memberships.remove_moderator(context.database, channel.id, user.id)
    if removed:
        _answer(context, channel, "channel.moderator_deleted")
        context.publish_user(f"channels/{channel.id}", "moderators", "channel.moderator.deleted", user)
    return removed


def invite(context: ActionContext, channel: Channel, invitee: User) -> Invite:
    """Invite a user to a channel."""
    links = context.links
    made = memberships.invite(context.database, channel.id, invitee.id)

    def event() -> dict[str, object]:
        inviting = {} if context.actor is None else {"invitingUser": write_user(context.actor, links)}
        return {"user": write_user(invitee, links), "channel": write_channel(channel, links), **inviting}

    context.fire(_INVITED, event)
    context.publish_channel(invitee.id, "user.channel.invited", channel)
    if context.actor is not None:
        context.publish_to(context.actor.id, "users", "user.user.invited", lambda: client_user(invitee, links))
    return made


def block(context: ActionContext, channel: Channel, user: User) -> BlockRecord:
    """Block a user from a channel: the user can no longer write there, or join it."""
    record = memberships.add_block(context.database, memberships.CHANNEL_BLOCKS, channel.id, user.id)
    _publish_block(context, record, "created")
    return record


def unblock(context: ActionContext, record: BlockRecord) -> None:
    """End the block of a user from a channel."""
    memberships.remove_block(context.database, memberships.CHANNEL_BLOCKS, record.id)
    _publish_block(context, record, "deleted")


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
