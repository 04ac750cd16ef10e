"""Actions: what clients can write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ckfunc.emulator.actions import access
from ckfunc.emulator.actions import channels as channel_actions
from ckfunc.emulator.actions import messages as message_actions
from ckfunc.emulator.actions import users as user_actions
from ckfunc.emulator.actions.messages import emoji_of
from ckfunc.emulator.http.problems import Denied, Missing, Refused
from ckfunc.emulator.realtime.requests import ClientRequest, Destination
from ckfunc.emulator.services import delete_in_steps
from ckfunc.emulator.store import application, channels, conversations, memberships
from ckfunc.model.chat import (
    BlockRecord,
    Channel,
    ChannelEvent,
    ChannelType,
    Message,
    MessageReport,
    Thread,
    User,
    UserReference,
)
from ckfunc.wire.channels import patched_channel, read_keys, read_new_channel
from ckfunc.wire.messages import patched_message, read_client_message, read_file
from ckfunc.wire.reading import label, optional_label, required, resource, user_data
from ckfunc.wire.users import patched_user, read_reference

Action = Callable[[ClientRequest, Destination], Awaitable[None] | None]


def perform(destination: Destination, request: ClientRequest) -> Awaitable[None] | None:
    """Do what a client asks for. Raises Missing, Denied, Refused and Malformed.

    An action that takes longer is returned, to be awaited.
    """
    action = ACTIONS.get(destination.name)
    if action is None:
        raise Missing(f"there is no action {destination.name!r}")
    return action(request, destination)


# Users


def _update_user(request: ClientRequest, _at: Destination) -> None:
    # A client sends its whole user: what a client cannot change is not read from it.
    body = {name: value for name, value in request.body.items() if name in ("displayName", "presence", "properties")}
    user_actions.update(request.context, request.user, patched_user(request.user, body))


def _update_display_picture(request: ClientRequest, _at: Destination) -> None:
    picture = read_file({**resource(request.body, "file"), "type": None})
    user_actions.set_display_picture(request.context, request.user, picture.url)


def _delete_user(request: ClientRequest, at: Destination) -> Awaitable[None]:
    user = access.user(request.database, at.id)
    if user.id != request.user.id:
        raise Denied("users can only delete themselves")
    return delete_in_steps(request.database, user_actions.delete(request.context, user))


def _block_user(request: ClientRequest, at: Destination) -> None:
    user = access.user(request.database, at.id)
    if user.id == request.user.id:
        raise Refused("users cannot block themselves")
    user_actions.block(request.context, request.user, user)


def _unblock_user(request: ClientRequest, at: Destination) -> None:
    record = _record(request, memberships.USER_BLOCKS, at)
    if record.owner_id != request.user.id:
        raise Missing(f"there is no block {at.id}")
    user_actions.unblock(request.context, record)


def _record(request: ClientRequest, table: str, at: Destination) -> BlockRecord:
    block = None if at.id is None else memberships.get_block(request.database, table, at.id)
    if block is None:
        raise Missing(f"there is no block {at.id}")
    return block


# Channels


def _create_channel(request: ClientRequest, _at: Destination) -> None:
    if not application.settings(request.database).user_created_channels:
        raise Denied("users cannot create channels in this application")
    new = read_new_channel({name: value for name, value in request.body.items() if name != "creator"})
    members = [access.referred_user(request.database, reference) for reference in new.members]
    channel_actions.create(request.context, new, request.user, members)


def _update_channel(request: ClientRequest, at: Destination) -> None:
    channel = access.own_channel(request.database, at.id, request.user)
    changeable = ("properties",) if channel.type is ChannelType.DIRECT else ("displayName", "properties")
    body = {name: value for name, value in request.body.items() if name in changeable}
    channel_actions.update(request.context, patched_channel(channel, body))


def _delete_channel(request: ClientRequest, at: Destination) -> Awaitable[None]:
    channel = _direct_or_moderated(request, at)
    return delete_in_steps(request.database, channel_actions.delete(request.context, channel))


def _direct_or_moderated(request: ClientRequest, at: Destination) -> Channel:
    channel = access.own_channel(request.database, at.id, request.user)
    if channel.type is ChannelType.DIRECT:
        return channel
    return access.moderated_channel(request.database, at.id, request.user)


def _join(request: ClientRequest, at: Destination) -> None:
    channel = access.visible_channel(request.database, at.id, request.user)
    if memberships.is_blocked(request.database, memberships.CHANNEL_BLOCKS, channel.id, request.user.id):
        raise Denied(f"{request.user.name!r} is blocked from channel {channel.id}")
    channel_actions.add_member(request.context, channel, request.user)


def _leave(request: ClientRequest, at: Destination) -> None:
    channel = access.group_channel(
        access.own_channel(request.database, at.id, request.user), "cannot be left; hide it instead"
    )
    user = request.user
    if request.body.get("user") is not None:
        user = _referred(request, request.body["user"])
        if user.id != request.user.id:
            access.moderated_channel(request.database, at.id, request.user)
    if not channels.is_member(request.database, channel.id, user.id):
        raise Missing(f"user {user.id} is not a member of channel {channel.id}")
    channel_actions.remove_member(request.context, channel, user)


def _add_moderator(request: ClientRequest, at: Destination) -> None:
    channel_actions.add_moderator(request.context, _with_moderators(request, at), _referred(request, request.body))


def _remove_moderator(request: ClientRequest, at: Destination) -> None:
    channel_actions.remove_moderator(request.context, _with_moderators(request, at), _referred(request, request.body))


def _with_moderators(request: ClientRequest, at: Destination) -> Channel:
    return access.group_channel(access.moderated_channel(request.database, at.id, request.user), "has no moderators")


def _invite(request: ClientRequest, at: Destination) -> None:
    channel = access.group_channel(
        access.own_channel(request.database, at.id, request.user), "does not accept new members"
    )
    invitee = _referred(request, required(resource(request.body, "invite"), "user", dict))
    channel_actions.invite(request.context, channel, invitee)


def _block_in_channel(request: ClientRequest, at: Destination) -> None:
    channel = access.moderated_channel(request.database, at.id, request.user)
    channel_actions.block(request.context, channel, _referred(request, request.body))


def _unblock_in_channel(request: ClientRequest, at: Destination) -> None:
    record = _record(request, memberships.CHANNEL_BLOCKS, at)
    access.moderated_channel(request.database, record.owner_id, request.user)
    channel_actions.unblock(request.context, record)


def _read_channel(request: ClientRequest, at: Destination) -> None:
    channel = access.visible_channel(request.database, at.id, request.user)
    unread = conversations.unread_ids(request.database, request.user.id, channel.id)
    message_actions.read_all(request.context, request.user, unread)


def _mute(request: ClientRequest, at: Destination) -> None:
    channel = access.own_channel(request.database, at.id, request.user)
    state = required(resource(request.body, "mute"), "state", str)
    if state not in ("ON", "OFF"):
        raise Refused(f"field 'state' is {state[:60]!r}, not one of ON, OFF")
    channel_actions.mute(request.context, channel, request.user, muted=state == "ON")


def _hide(request: ClientRequest, at: Destination) -> None:
    channel = access.own_channel(request.database, at.id, request.user)
    channel_actions.hide(request.context, channel, request.user)


def _clear_history(request: ClientRequest, at: Destination) -> None:
    channel = access.own_channel(request.database, at.id, request.user)
    channel_actions.clear_history(request.context, channel, request.user)


def _trigger_event(request: ClientRequest, at: Destination) -> None:
    channel = access.writable_channel(request.database, at.id, request.user)
    document = resource(request.body, "event")
    event = ChannelEvent(label(document, "type"), user_data(document), request.user)
    channel_actions.trigger_event(request.context, channel, event)


def _create_thread(request: ClientRequest, at: Destination) -> None:
    channel = access.writable_channel(request.database, at.id, request.user)
    document = resource(request.body, "thread")
    named = optional_label(document, "name"), user_data(document)
    channel_actions.create_thread(request.context, channel, request.user, named)


def _call(_request: ClientRequest, _at: Destination) -> None:
    raise Refused("the emulator does not support calls")


def _channel_keystrokes(request: ClientRequest, at: Destination) -> None:
    access.check_writable(request.database, at.id, request.user)
    _type(request, channels.main_thread(request.database, at.id or 0))


def _type(request: ClientRequest, thread: Thread) -> None:
    keys = read_keys(resource(request.body, "keystrokes"))
    request.services.typing.type(request.context, request.user, thread.channel_id, thread.id, keys)


def _referred(request: ClientRequest, document: Any) -> User:
    reference = resource(document, "user")
    # A client's whole user has an id and a name.
    if reference.get("id") is None and reference.get("username") is None and isinstance(reference.get("name"), str):
        return access.referred_user(request.database, UserReference(username=reference["name"]))
    return access.referred_user(request.database, read_reference(reference))


# Messages and threads


def _send_to_channel(request: ClientRequest, at: Destination) -> None:
    access.check_writable(request.database, at.id, request.user)
    _send(request, at.id or 0, None)


def _reply(request: ClientRequest, at: Destination) -> None:
    _send_to_thread(request, at)


def _send_to_thread(request: ClientRequest, at: Destination) -> None:
    thread = access.writable_thread(request.database, at.id, request.user)
    _send(request, thread.channel_id, thread)


def _send(request: ClientRequest, channel_id: int, thread: Thread | None) -> None:
    new = read_client_message(request.body, UserReference(id=request.user.id))
    message_actions.send(request.context, channel_id, new, request.user, thread)
    request.services.typing.stop(request.context, request.user, channel_id)


def _edit(request: ClientRequest, at: Destination) -> None:
    message = access.own_message(request.database, at.id, request.user)
    body = {"body": required(resource(request.body, "message"), "body", str)}
    message_actions.update(request.context, patched_message(message, body, request.database.now()))


def _update_properties(request: ClientRequest, at: Destination) -> None:
    message = access.own_message(request.database, at.id, request.user)
    # The client sends the properties as they should be; a merge patch would keep those that are missing.
    changed = {"properties": None}, {"properties": user_data(resource(request.body, "message"))}
    for patch in changed:
        message = patched_message(message, patch, request.database.now())
    message_actions.update(request.context, message)


def _delete_message(request: ClientRequest, at: Destination) -> Awaitable[None]:
    message = access.own_message(request.database, at.id, request.user, moderated=True)
    return delete_in_steps(request.database, message_actions.delete(request.context, message))


def _delete_for_me(request: ClientRequest, at: Destination) -> None:
    message_actions.delete_for(request.context, _message(request, at), request.user)


def _read_message(request: ClientRequest, at: Destination) -> None:
    message_actions.read(request.context, request.user, _message(request, at))


def _unread_message(request: ClientRequest, at: Destination) -> None:
    message_actions.unread(request.context, request.user, _message(request, at))


def _react(request: ClientRequest, at: Destination) -> None:
    message = _message(request, at)
    access.check_writable(request.database, message.channel_id, request.user)
    emoji = emoji_of(label(resource(request.body, "reaction"), "emoji"))
    message_actions.react(request.context, request.user, message, emoji)


def _remove_reaction(request: ClientRequest, at: Destination) -> None:
    message = _message(request, at)
    emoji = emoji_of(label(resource(request.body, "reaction"), "emoji"))
    if message_actions.remove_reaction(request.context, request.user, message, emoji.character) is None:
        raise Missing(f"{request.user.name!r} did not react to message {message.id} with {emoji.character!r}")


def _report(request: ClientRequest, at: Destination) -> None:
    message = _message(request, at)
    document = resource(request.body, "report")
    report = MessageReport(
        message.id, request.user, request.database.now(), optional_label(document, "reason"), user_data(document)
    )
    message_actions.report(request.context, report)


def _remove_report(request: ClientRequest, at: Destination) -> None:
    message_actions.remove_report(request.context, request.user, _message(request, at))


def _read_thread(request: ClientRequest, at: Destination) -> None:
    thread = access.visible_thread(request.database, at.id, request.user)
    unread = conversations.unread_ids(request.database, request.user.id, thread.channel_id, thread)
    message_actions.read_all(request.context, request.user, unread)


def _thread_keystrokes(request: ClientRequest, at: Destination) -> None:
    _type(request, access.writable_thread(request.database, at.id, request.user))


def _message(request: ClientRequest, at: Destination) -> Message:
    return access.visible_message(request.database, at.id, request.user)


ACTIONS: Mapping[str, Action] = {
    "user.update": _update_user,
    "user.updateDisplayPicture": _update_display_picture,
    "user.createChannel": _create_channel,
    "users.delete": _delete_user,
    "users.block": _block_user,
    "user_blocks.delete": _unblock_user,
    "channels.update": _update_channel,
    "channels.delete": _delete_channel,
    "channels.join": _join,
    "channels.leave": _leave,
    "channels.addModerator": _add_moderator,
    "channels.deleteModerator": _remove_moderator,
    "channels.invite": _invite,
    "channels.block": _block_in_channel,
    "channel_blocks.delete": _unblock_in_channel,
    "channels.read": _read_channel,
    "channels.mute": _mute,
    "channels.hide": _hide,
    "channels.clearHistory": _clear_history,
    "channels.triggerEvent": _trigger_event,
    "channels.createThread": _create_thread,
    "channels.call": _call,
    "channels.keystrokes": _channel_keystrokes,
    "channels.message": _send_to_channel,
    "messages.reply": _reply,
    "messages.edit": _edit,
    "messages.updateProperties": _update_properties,
    "messages.delete": _delete_message,
    "messages.deleteForMe": _delete_for_me,
    "messages.read": _read_message,
    "messages.unread": _unread_message,
    "messages.react": _react,
    "messages.removeReaction": _remove_reaction,
    "messages.report": _report,
    "messages.removeReport": _remove_report,
    "threads.message": _send_to_thread,
    "threads.keystrokes": _thread_keystrokes,
    "threads.read": _read_thread,
}
"""Every action, by the kind and part of its destination."""
