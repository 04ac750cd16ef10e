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
from ckfunc.emulator.realtime.requests import ClientRequest
from ckfunc.emulator.services import delete_in_steps
from ckfunc.emulator.store import application, channels, conversations, memberships
from ckfunc.emulator.store.memberships import BlockTable
from ckfunc.model.chat import (
    BlockRecord,
    Channel,
    ChannelEvent,
    ChannelType,
    MessageReport,
    Thread,
    User,
    UserReference,
)
from ckfunc.wire.channels import patched_channel, read_keys, read_new_channel
from ckfunc.wire.messages import patched_message, read_client_message, read_external_file
from ckfunc.wire.reading import label, optional_label, required, resource, user_data
from ckfunc.wire.users import patched_user, read_reference

Action = Callable[[ClientRequest], Awaitable[None] | None]


def perform(request: ClientRequest) -> Awaitable[None] | None:
    """Do what a client asks for. Raises Missing, Denied, Refused and Malformed.

    An action that takes longer is returned, to be awaited.
    """
    action = ACTIONS.get(request.at.name)
    if action is None:
        raise Missing(f"there is no action {request.at.name!r}")
    return action(request)


# Users


def _update_user(request: ClientRequest) -> None:
    # A client sends its whole user: what a client cannot change is not read from it.
    document, changeable = resource(request.body, "user"), ("displayName", "presence", "properties")
    body = {name: value for name, value in document.items() if name in changeable}
    user_actions.update(request.context, request.user, patched_user(request.user, body))


def _update_display_picture(request: ClientRequest) -> None:
    user_actions.set_display_picture(request.context, request.user, read_external_file(request.body).url)


def _delete_user(request: ClientRequest) -> Awaitable[None]:
    user = access.user(request.database, request.at.id)
    if user.id != request.user.id:
        raise Denied("users can only delete themselves")
    return delete_in_steps(request.database, user_actions.delete(request.context, user))


def _block_user(request: ClientRequest) -> None:
    user = access.user(request.database, request.at.id)
    if user.id == request.user.id:
        raise Refused("users cannot block themselves")
    user_actions.block(request.context, request.user, user)


def _unblock_user(request: ClientRequest) -> None:
    record = _record(request, memberships.USER_BLOCKS)
    if record.owner_id != request.user.id:
        raise Missing(f"there is no block {request.at.id}")
    user_actions.unblock(request.context, record)


def _record(request: ClientRequest, table: BlockTable) -> BlockRecord:
    return access.existing(table.get(request.database, request.at.id), "block", request.at.id)


# Channels


def _create_channel(request: ClientRequest) -> None:
    if not application.settings(request.database).user_created_channels:
        raise Denied("users cannot create channels in this application")
    document = resource(request.body, "channel")
    new = read_new_channel({name: value for name, value in document.items() if name != "creator"})
    members = [access.referred_user(request.database, reference) for reference in new.members]
    channel_actions.create(request.context, new, request.user, members)


def _update_channel(request: ClientRequest) -> None:
    channel = request.find(access.own_channel)
    changeable = ("properties",) if channel.type is ChannelType.DIRECT else ("displayName", "properties")
    body = {name: value for name, value in resource(request.body, "channel").items() if name in changeable}
    channel_actions.update(request.context, patched_channel(channel, body))


def _delete_channel(request: ClientRequest) -> Awaitable[None]:
    channel = request.find(access.own_channel)
    if channel.type is not ChannelType.DIRECT:
        request.find(access.moderated_channel)
    return delete_in_steps(request.database, channel_actions.delete(request.context, channel))


def _join(request: ClientRequest) -> None:
    channel = request.find(access.visible_channel)
    if memberships.CHANNEL_BLOCKS.has(request.database, channel.id, request.user.id):
        raise Denied(f"{request.user.name!r} is blocked from channel {channel.id}")
    channel_actions.add_member(request.context, channel, request.user)


def _leave(request: ClientRequest) -> None:
    channel = access.group_channel(request.find(access.own_channel), "cannot be left; hide it instead")
    user = request.user
    if (reference := resource(request.body, "member").get("user")) is not None:
        user = _referred(request, reference)
        if user.id != request.user.id:
            request.find(access.moderated_channel)
    if not channels.is_member(request.database, channel.id, user.id):
        raise Missing(f"user {user.id} is not a member of channel {channel.id}")
    channel_actions.remove_member(request.context, channel, user)


def _add_moderator(request: ClientRequest) -> None:
    channel_actions.add_moderator(request.context, _with_moderators(request), _referred(request, request.body))


def _remove_moderator(request: ClientRequest) -> None:
    channel_actions.remove_moderator(request.context, _with_moderators(request), _referred(request, request.body))


def _with_moderators(request: ClientRequest) -> Channel:
    return access.group_channel(request.find(access.moderated_channel), "has no moderators")


def _invite(request: ClientRequest) -> None:
    channel = access.group_channel(request.find(access.own_channel), "does not accept new members")
    invitee = _referred(request, required(resource(request.body, "invite"), "user", dict))
    channel_actions.invite(request.context, channel, invitee)


def _block_in_channel(request: ClientRequest) -> None:
    channel = request.find(access.moderated_channel)
    channel_actions.block(request.context, channel, _referred(request, request.body))


def _unblock_in_channel(request: ClientRequest) -> None:
    record = _record(request, memberships.CHANNEL_BLOCKS)
    access.moderated_channel(request.database, record.owner_id, request.user)
    channel_actions.unblock(request.context, record)


def _read_channel(request: ClientRequest) -> None:
    channel = request.find(access.visible_channel)
    unread = conversations.unread_ids(request.database, request.user.id, channel.id)
    message_actions.read_all(request.context, request.user, unread)


def _mute(request: ClientRequest) -> None:
    channel = request.find(access.own_channel)
    state = required(resource(request.body, "mute"), "state", str)
    if state not in ("ON", "OFF"):
        raise Refused(f"field 'state' is {state[:60]!r}, not one of ON, OFF")
    channel_actions.mute(request.context, channel, request.user, muted=state == "ON")


def _hide(request: ClientRequest) -> None:
    channel_actions.hide(request.context, request.find(access.own_channel), request.user)


def _clear_history(request: ClientRequest) -> None:
    channel_actions.clear_history(request.context, request.find(access.own_channel), request.user)


def _trigger_event(request: ClientRequest) -> None:
    channel = request.find(access.writable_channel)
    document = resource(request.body, "event")
    event = ChannelEvent(label(document, "type"), user_data(document), request.user)
    channel_actions.trigger_event(request.context, channel, event)


def _create_thread(request: ClientRequest) -> None:
    channel = request.find(access.writable_channel)
    document = resource(request.body, "thread")
    named = optional_label(document, "name"), user_data(document)
    channel_actions.create_thread(request.context, channel, request.user, named)


def _call(_request: ClientRequest) -> None:
    raise Refused("the emulator does not support calls")


def _channel_keystrokes(request: ClientRequest) -> None:
    request.find(access.check_writable)
    _type(request, channels.main_thread(request.database, request.at.id or 0))


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


def _send_to_channel(request: ClientRequest) -> None:
    request.find(access.check_writable)
    _send(request, request.at.id or 0, None)


def _send_to_thread(request: ClientRequest) -> None:
    thread = request.find(access.writable_thread)
    _send(request, thread.channel_id, thread)


def _send(request: ClientRequest, channel_id: int, thread: Thread | None) -> None:
    new = read_client_message(request.body, UserReference(id=request.user.id))
    message_actions.send(request.context, channel_id, new, request.user, thread)
    request.services.typing.stop(request.context, request.user, channel_id)


def _edit(request: ClientRequest) -> None:
    message = request.find(access.own_message)
    body = {"body": required(resource(request.body, "message"), "body", str)}
    message_actions.update(request.context, patched_message(message, body, request.database.now()))


def _update_properties(request: ClientRequest) -> None:
    message = request.find(access.own_message)
    # The client sends the properties as they should be; a merge patch would keep those that are missing.
    changed = {"properties": None}, {"properties": user_data(resource(request.body, "message"))}
    for patch in changed:
        message = patched_message(message, patch, request.database.now())
    message_actions.update(request.context, message)


def _delete_message(request: ClientRequest) -> Awaitable[None]:
    message = access.own_message(request.database, request.at.id, request.user, moderated=True)
    return delete_in_steps(request.database, message_actions.delete(request.context, message))


def _delete_for_me(request: ClientRequest) -> None:
    message_actions.delete_for(request.context, request.find(access.visible_message), request.user)


def _read_message(request: ClientRequest) -> None:
    message_actions.read(request.context, request.user, request.find(access.visible_message))


def _unread_message(request: ClientRequest) -> None:
    message_actions.unread(request.context, request.user, request.find(access.visible_message))


def _react(request: ClientRequest) -> None:
    message = request.find(access.visible_message)
    access.check_writable(request.database, message.channel_id, request.user)
    emoji = emoji_of(label(resource(request.body, "reaction"), "emoji"))
    message_actions.react(request.context, request.user, message, emoji)


def _remove_reaction(request: ClientRequest) -> None:
    message = request.find(access.visible_message)
    emoji = emoji_of(label(resource(request.body, "reaction"), "emoji"))
    if message_actions.remove_reaction(request.context, request.user, message, emoji.character) is None:
        raise Missing(f"{request.user.name!r} did not react to message {message.id} with {emoji.character!r}")


def _report(request: ClientRequest) -> None:
    message = request.find(access.visible_message)
    document = resource(request.body, "report")
    report = MessageReport(
        message.id, request.user, request.database.now(), optional_label(document, "reason"), user_data(document)
    )
    message_actions.report(request.context, report)


def _remove_report(request: ClientRequest) -> None:
    message_actions.remove_report(request.context, request.user, request.find(access.visible_message))


def _thread_keystrokes(request: ClientRequest) -> None:
    _type(request, request.find(access.writable_thread))


def _read_thread(request: ClientRequest) -> None:
    thread = request.find(access.visible_thread)
    unread = conversations.unread_ids(request.database, request.user.id, thread.channel_id, thread)
    message_actions.read_all(request.context, request.user, unread)


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
    "messages.reply": _send_to_thread,
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
