"""Channels with their members, moderators, invites and participants."""

from __future__ import annotations

from datetime import datetime

from ckfunc.base.clock import parse_timestamp
from ckfunc.emulator.actions import access
from ckfunc.emulator.actions import channels as actions
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.paging import page_reply, page_request, property_conditions
from ckfunc.emulator.http.problems import Missing, Refused
from ckfunc.emulator.http.routing import Route
from ckfunc.emulator.services import EmulatorServices, delete_in_steps, result_of
from ckfunc.emulator.store import application, channels, memberships, sessions, users
from ckfunc.model.chat import ChannelType
from ckfunc.wire.applications import write_application
from ckfunc.wire.channels import (
    patched_channel,
    read_new_channel,
    read_new_invite,
    write_channel,
    write_invite,
    write_membership,
)
from ckfunc.wire.users import read_reference, write_user


async def list_channels(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of channels: of a type, with certain members or properties, created within a time."""
    searching = channels.page(
        services.database,
        page_request(call, channels.SORTING),
        type=call.choice("type", ChannelType),
        members=call.every("members"),
        created_from=_time(call, "startTime"),
        created_until=_time(call, "endTime"),
        properties=property_conditions(call),
    )
    page = await result_of(searching)
    filters = call.pairs("type", "members", "startTime", "endTime", "properties")
    return page_reply(call, "channels", page, write_channel, filters)


def create_channel(call: Call, services: EmulatorServices) -> Reply:
    """Create a channel, or answer with the equivalent one that exists. Its creator becomes a member."""
    new = read_new_channel(call.json())
    database, reference = services.database, new.creator
    creator = None if reference is None else access.referred_user(database, reference, "field 'creator'")
    members = [
        access.referred_user(database, reference, f"entry {index} of 'members'")
        for index, reference in enumerate(new.members)
    ]
    return Reply(write_channel(actions.create(services.context(call), new, creator, members), call.links))


def retrieve_channel(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a channel."""
    return Reply(write_channel(access.channel(services.database, call.id()), call.links))


def update_channel(call: Call, services: EmulatorServices) -> Reply:
    """Change a channel by a merge patch."""
    channel = access.channel(services.database, call.id())
    changed = patched_channel(channel, call.json() if call.body else None)
    actions.update(services.context(call), changed)
    return Reply(write_channel(changed, call.links))


async def delete_channel(call: Call, services: EmulatorServices) -> Reply:
    """Delete a channel with everything in it, and answer with the application."""
    channel = access.channel(services.database, call.id())
    await delete_in_steps(services.database, actions.delete(services.context(call), channel))
    return Reply(write_application(application.get(services.database), call.links))


def list_channel_members(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a channel's members."""
    channel = access.channel(services.database, call.id())
    page = users.members_page(services.database, channel.id, page_request(call, users.SORTING))
    return page_reply(call, "users", page, write_user)


def add_channel_member(call: Call, services: EmulatorServices) -> Reply:
    """Make a user a member of a channel, and answer with the channel; an existing member stays one.

    Nobody can join a direct channel. Source: https://chatkitty.com/docs/concepts/channels.
    """
    channel = access.channel(services.database, call.id())
    user = access.referred_user(services.database, read_reference(call.json()), "the body")
    if channel.type is ChannelType.DIRECT and not channels.is_member(services.database, channel.id, user.id):
        raise Refused("users cannot be added to a direct channel; create another channel")
    actions.add_member(services.context(call), channel, user)
    return Reply(write_channel(channel, call.links))


def remove_channel_member(call: Call, services: EmulatorServices) -> Reply:
    """Remove a user from a channel, and answer with the channel. Members of a direct channel can't be removed."""
    channel = access.channel(services.database, call.id())
    user = access.user(services.database, call.id("user_id"))
    if not channels.is_member(services.database, channel.id, user.id):
        raise Missing(f"user {user.id} is not a member of channel {channel.id}")
    if channel.type is ChannelType.DIRECT:
        raise Refused("users cannot be removed from a direct channel")
    actions.remove_member(services.context(call), channel, user)
    return Reply(write_channel(channel, call.links))


def list_channel_memberships(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a channel's memberships."""
    channel = access.channel(services.database, call.id())
    page = memberships.memberships_page(
        services.database, channel.id, page_request(call, memberships.MEMBERSHIPS_SORTING)
    )
    return page_reply(call, "memberships", page, write_membership)


def list_channel_moderators(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a channel's moderators."""
    channel = access.channel(services.database, call.id())
    page = memberships.moderators_page(services.database, channel.id, page_request(call, users.SORTING))
    return page_reply(call, "users", page, write_user)


def add_channel_moderator(call: Call, services: EmulatorServices) -> Reply:
    """Make a member of a channel its moderator, and answer with the user; an existing moderator stays one."""
    channel = access.group_channel(access.channel(services.database, call.id()), "has no moderators")
    user = access.referred_user(services.database, read_reference(call.json()), "the body")
    actions.add_moderator(services.context(call), channel, user)
    return Reply(write_user(user, call.links))


def remove_channel_moderator(call: Call, services: EmulatorServices) -> Reply:
    """Make a moderator an ordinary member, and answer with the channel."""
    channel = access.channel(services.database, call.id())
    user = access.user(services.database, call.id("user_id"))
    actions.remove_moderator(services.context(call), channel, user)
    return Reply(write_channel(channel, call.links))


def list_channel_participants(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of the users who have a channel open."""
    channel = access.channel(services.database, call.id())
    page = sessions.participants_page(services.database, channel.id, page_request(call, users.SORTING))
    return page_reply(call, "users", page, write_user)


def list_channel_invites(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of the invites to a channel."""
    channel = access.channel(services.database, call.id())
    page = memberships.invites_page(services.database, channel.id, page_request(call, memberships.INVITES_SORTING))
    return page_reply(call, "invites", page, write_invite)


def send_channel_invite(call: Call, services: EmulatorServices) -> Reply:
    """Invite a user to a channel that is not direct."""
    channel = access.group_channel(access.channel(services.database, call.id()), "does not accept new members")
    user = access.referred_user(services.database, read_new_invite(call.json()), "field 'user'")
    return Reply(write_invite(actions.invite(services.context(call), channel, user), call.links))


def _time(call: Call, name: str) -> datetime | None:
    text = call.first(name)
    if not text:
        return None
    try:
        return parse_timestamp(text)
    except (ValueError, OverflowError):
        raise Refused(
            f"query parameter {name!r} is {text[:60]!r}, not a time such as 2022-01-31T12:00:00.000Z"
        ) from None


ROUTES = (
    Route("GET", "/channels", list_channels),
    Route("POST", "/channels", create_channel),
    Route("GET", "/channels/{id}", retrieve_channel),
    Route("DELETE", "/channels/{id}", delete_channel),
    Route("PATCH", "/channels/{id}", update_channel),
    Route("GET", "/channels/{id}/members", list_channel_members),
    Route("POST", "/channels/{id}/members", add_channel_member),
    Route("DELETE", "/channels/{id}/members/{user_id}", remove_channel_member),
    Route("GET", "/channels/{id}/memberships", list_channel_memberships),
    Route("GET", "/channels/{id}/moderators", list_channel_moderators),
    Route("POST", "/channels/{id}/moderators", add_channel_moderator),
    Route("DELETE", "/channels/{id}/moderators/{user_id}", remove_channel_moderator),
    Route("GET", "/channels/{id}/participants", list_channel_participants),
    Route("GET", "/channels/{id}/invites", list_channel_invites),
    Route("POST", "/channels/{id}/invites", send_channel_invite),
)
