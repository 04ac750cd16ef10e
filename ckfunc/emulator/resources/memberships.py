"""Members, moderators, invites and participants of channels."""

from __future__ import annotations

from ckfunc.emulator.actions import access
from ckfunc.emulator.actions import channels as actions
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.paging import page_reply, page_request
from ckfunc.emulator.http.problems import Missing, Refused
from ckfunc.emulator.http.routing import Route
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import channels, memberships, sessions, users
from ckfunc.model.chat import Channel, ChannelType
from ckfunc.wire.channels import read_new_invite, write_channel, write_invite, write_membership
from ckfunc.wire.users import read_reference, write_user


def list_channel_memberships(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a channel's memberships."""
    channel = access.channel(services.database, call.id())
    request = page_request(call, memberships.MEMBERSHIPS_SORTABLE, memberships.MEMBERSHIPS_ORDER)
    page = memberships.memberships_page(services.database, channel.id, request)
    items = [write_membership(membership, call.links) for membership in page.items]
    return page_reply(call, "memberships", page, items, request=request)


def list_channel_moderators(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a channel's moderators."""
    channel = access.channel(services.database, call.id())
    request = page_request(call, users.SORTABLE, users.DEFAULT_ORDER)
    page = memberships.moderators_page(services.database, channel.id, request)
    items = [write_user(user, call.links) for user in page.items]
    return page_reply(call, "users", page, items, request=request)


def add_channel_moderator(call: Call, services: EmulatorServices) -> Reply:
    """Make a member of a channel its moderator, and answer with the user; an existing moderator stays one."""
    channel = _group(access.channel(services.database, call.id()), "has no moderators")
    user = access.referred_user(services.database, read_reference(call.json()), "the body")
    if not channels.is_member(services.database, channel.id, user.id):
        raise Refused(f"user {user.id} is not a member of channel {channel.id}; only members can moderate it")
    actions.add_moderator(services.context(call), channel, user)
    return Reply(write_user(user, call.links))


def remove_channel_moderator(call: Call, services: EmulatorServices) -> Reply:
    """Make a moderator an ordinary member, and answer with the channel."""
    channel = access.channel(services.database, call.id())
    user = access.user(services.database, call.id("user_id"))
    if not actions.remove_moderator(services.context(call), channel, user):
        raise Missing(f"user {user.id} is not a moderator of channel {channel.id}")
    return Reply(write_channel(channel, call.links))


def list_channel_participants(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of the users who have a channel open."""
    channel = access.channel(services.database, call.id())
    request = page_request(call, users.SORTABLE, users.DEFAULT_ORDER)
    page = sessions.participants_page(services.database, channel.id, request)
    items = [write_user(user, call.links) for user in page.items]
    return page_reply(call, "users", page, items, request=request)


def list_channel_invites(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of the invites to a channel."""
    channel = access.channel(services.database, call.id())
    request = page_request(call, memberships.INVITES_SORTABLE, memberships.INVITES_ORDER)
    page = memberships.invites_page(services.database, channel.id, request)
    items = [write_invite(invite, call.links) for invite in page.items]
    return page_reply(call, "invites", page, items, request=request)


def send_channel_invite(call: Call, services: EmulatorServices) -> Reply:
    """Invite a user to a channel that is not direct."""
    channel = _group(access.channel(services.database, call.id()), "does not accept new members")
    user = access.referred_user(services.database, read_new_invite(call.json()), "field 'user'")
    return Reply(write_invite(actions.invite(services.context(call), channel, user), call.links))


def _group(channel: Channel, what: str) -> Channel:
    if channel.type is ChannelType.DIRECT:
        raise Refused(f"channel {channel.id} is a direct channel, which {what}")
    return channel


ROUTES = (
    Route("GET", "/channels/{id}/memberships", list_channel_memberships),
    Route("GET", "/channels/{id}/moderators", list_channel_moderators),
    Route("POST", "/channels/{id}/moderators", add_channel_moderator),
    Route("DELETE", "/channels/{id}/moderators/{user_id}", remove_channel_moderator),
    Route("GET", "/channels/{id}/participants", list_channel_participants),
    Route("GET", "/channels/{id}/invites", list_channel_invites),
    Route("POST", "/channels/{id}/invites", send_channel_invite),
)
