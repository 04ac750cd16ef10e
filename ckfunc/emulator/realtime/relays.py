"""Relays: what clients can read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ckfunc.base.frozen import frozen
from ckfunc.base.text import is_id
from ckfunc.emulator.actions import access
from ckfunc.emulator.http.paging import Write
from ckfunc.emulator.http.problems import Missing, Refused
from ckfunc.emulator.realtime.requests import (
    ClientRequest,
    cursor_request,
    page_request,
    paged,
    written_message_page,
    written_page,
)
from ckfunc.emulator.realtime.streams import issued_grant
from ckfunc.emulator.store import channels, conversations, memberships, messages, reading, users
from ckfunc.emulator.store.conversations import Listed
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import PageRequest, Sorting
from ckfunc.emulator.store.steps import run
from ckfunc.emulator.store.users import UserFilter
from ckfunc.model.chat import Channel, ChannelType, Message, User
from ckfunc.model.page import Page
from ckfunc.wire.clients import (
    client_channel,
    client_channel_block,
    client_current_user,
    client_message,
    client_reaction,
    client_receipt,
    client_report,
    client_thread,
    client_user,
    client_user_block,
)

Relay = Callable[[ClientRequest], Any]


def relayed(request: ClientRequest) -> Any:
    """Return the resource at a relay. Raises Missing, Denied and Refused."""
    relay = RELAYS.get(request.at.name)
    if relay is None:
        raise Missing(f"there is no relay {request.at.name!r}")
    return relay(request)


@frozen
class _Pages:
    """The relay of a list: its name, the resource that it is of, its orders, its query, and an item for clients."""

    name: str
    owner: Callable[[Database, int | None, User], User | Channel | Message]
    sorting: Sorting
    page: Callable[[Database, int, PageRequest], Page[Any]]
    write: Write[Any]

    def __call__(self, request: ClientRequest) -> Any:
        """Return the page that a client requests. Raises Missing and Refused."""
        owner = request.find(self.owner)
        page = self.page(request.database, owner.id, page_request(request.at, self.sorting))
        return written_page(request, self.name, page, self.write)


# The current user


def _grant(kind: str, request: ClientRequest) -> Any:
    return {"grant": issued_grant(request.database, request.session_id, kind)}


def _channels(listed: Listed, request: ClientRequest) -> Any:
    paging = page_request(request.at, conversations.SORTING)
    page = conversations.channels_page(request.database, request.user.id, listed, paging, name=request.text("name"))
    return written_page(request, "channels", page, partial(client_channel, member=listed is not Listed.JOINABLE))


def _unread_channels_count(request: ClientRequest) -> Any:
    return {"count": conversations.channels_count(request.database, request.user.id, Listed.UNREAD)}


def _channels_count(request: ClientRequest) -> Any:
    kind = request.text("type")
    if kind is not None and kind not in list(ChannelType):
        raise Refused(f"parameter 'type' is {kind[:60]!r}, not one of {', '.join(ChannelType)}")
    listed = Listed.UNREAD if request.flag("unread") else Listed.OWN
    return {"count": conversations.channels_count(request.database, request.user.id, listed, kind=kind)}


def _own_messages(request: ClientRequest) -> Any:
    files_only = request.text("type") == "FILE"
    page = conversations.messages_page(
        request.database, request.user.id, cursor_request(request.at), files_only=files_only
    )
    return written_message_page(request, page)


def _contacts(request: ClientRequest) -> Any:
    paging = page_request(request.at, users.SORTING)
    page = conversations.contacts_page(request.database, request.user.id, paging, _filter(request))
    return written_page(request, "users", page, client_user)


def _contacts_count(request: ClientRequest) -> Any:
    return {"count": conversations.contacts_count(request.database, request.user.id, _filter(request))}


def _filter(request: ClientRequest) -> UserFilter:
    return UserFilter(request.text("name"), request.text("displayName"), request.flag("online"))


# Other users


def _is_member(request: ClientRequest) -> Any:
    user = access.user(request.database, request.at.id)
    text = request.text("channelId") or ""
    if not is_id(text):
        raise Refused(f"parameter 'channelId' is {text[:60]!r}, not the id of a channel")
    channel = access.visible_channel(request.database, int(text), request.user)
    return {"exists": channels.is_member(request.database, channel.id, user.id)}


# Channels


def _channel(request: ClientRequest) -> Any:
    channel = request.find(access.visible_channel)
    member = channels.is_member(request.database, channel.id, request.user.id)
    return client_channel(channel, request.links, member=member)


def _channel_context(request: ClientRequest) -> Any:
    channel = request.find(access.visible_channel)
    first, last = _cursor(request, "startCursor"), _cursor(request, "endCursor")
    return {
        "startCursor": request.text("startCursor"),
        "endCursor": request.text("endCursor"),
        "readBy": conversations.read_by(request.database, channel.id, first, last),
    }


def _cursor(request: ClientRequest, name: str) -> int | None:
    text = request.text(name)
    if text is not None and not is_id(text):
        raise Refused(f"parameter {name!r} is {text[:60]!r}, not the id of a message")
    return None if text is None else int(text)


def _channel_messages(request: ClientRequest) -> Any:
    channel = request.find(access.visible_channel)
    page = conversations.messages_page(
        request.database,
        request.user.id,
        cursor_request(request.at),
        channel_id=channel.id,
        files_only=request.text("type") == "FILE",
        main_thread=request.flag("mainThread") is True,
    )
    return written_message_page(request, page)


def _channel_messages_count(request: ClientRequest) -> Any:
    channel = request.find(access.visible_channel)
    if request.flag("unread"):
        return {"count": reading.unread_in(request.database, channel.id, request.user.id)}
    return {"count": messages.count_in_channel(request.database, channel.id)}


def _last_received_message(request: ClientRequest) -> Any:
    return _message_or_none(request, request.find(access.visible_channel).last_received_message)


def _last_read_message(request: ClientRequest) -> Any:
    channel = request.find(access.visible_channel)
    name = request.text("username")
    named = request.user if name is None else users.find_by_name(request.database, name)
    reader = access.existing(named, "user", repr(name))
    message_id = conversations.last_read(request.database, channel.id, reader.id)
    return _message_or_none(request, None if message_id is None else messages.get(request.database, message_id))


def _message_or_none(request: ClientRequest, message: Message | None) -> Any:
    return None if message is None else client_message(message, request.links)


def _channel_unread(request: ClientRequest) -> Any:
    channel = request.find(access.visible_channel)
    return {"exists": reading.has_unread(request.database, channel.id, request.user.id)}


def _members(request: ClientRequest) -> Any:
    channel = request.find(access.visible_channel)
    paging = page_request(request.at, users.SORTING)
    page = users.members_page(request.database, channel.id, paging, _filter(request))
    return written_page(request, "users", page, client_user)


def _channel_threads(request: ClientRequest) -> Any:
    channel = request.find(access.visible_channel)
    threads = conversations.threads(
        request.database,
        channel.id,
        main=request.flag("includeMainThread") is not False,
        standalone_only=request.flag("standalone") is True,
    )
    return written_page(request, "threads", paged(threads, request.at), lambda thread, _: client_thread(thread))


def _calls(request: ClientRequest) -> Any:
    request.find(access.visible_channel)
    none: Page[Any] = paged((), request.at)  # the emulator has no calls
    return written_page(request, "calls", none, lambda call, _: call)


# Messages and threads


def _replies(request: ClientRequest) -> Any:
    request.find(access.visible_message)
    return _thread_messages(request)


def _thread_messages(request: ClientRequest) -> Any:
    page = run(messages.page(request.database, cursor_request(request.at), thread=request.find(access.visible_thread)))
    return written_message_page(request, page)


RELAYS: Mapping[str, Relay] = {
    "user": lambda request: client_current_user(request.user, request.links),
    "user.read_file_access_grant": partial(_grant, "read"),
    "user.write_file_access_grant": partial(_grant, "write"),
    "user.channels": partial(_channels, Listed.OWN),
    "user.channels_count": _channels_count,
    "user.joinable_channels": partial(_channels, Listed.JOINABLE),
    "user.unread_channels": partial(_channels, Listed.UNREAD),
    "user.unread_channels_count": _unread_channels_count,
    "user.messages": _own_messages,
    "user.unread_messages_count": lambda request: {"count": reading.unread_count(request.database, request.user.id)},
    "user.contacts": _contacts,
    "user.contacts_count": _contacts_count,
    "user.blocks": _Pages(
        "items",
        lambda _database, _id, user: user,
        memberships.BLOCKS_SORTING,
        memberships.USER_BLOCKS.page,
        client_user_block,
    ),
    "users": lambda request: client_user(access.user(request.database, request.at.id), request.links),
    "users.channelMember": _is_member,
    "channels": _channel,
    "channels.context": _channel_context,
    "channels.messages": _channel_messages,
    "channels.messages_count": _channel_messages_count,
    "channels.last_received_message": _last_received_message,
    "channels.last_read_message": _last_read_message,
    "channels.unread": _channel_unread,
    "channels.members": _members,
    "channels.moderators": _Pages(
        "users", access.visible_channel, users.SORTING, memberships.moderators_page, client_user
    ),
    "channels.block_records": _Pages(
        "records",
        access.visible_channel,
        memberships.BLOCKS_SORTING,
        memberships.CHANNEL_BLOCKS.page,
        client_channel_block,
    ),
    "channels.threads": _channel_threads,
    "channels.calls": _calls,
    "messages": lambda request: client_message(request.find(access.visible_message), request.links),
    "messages.read_receipts": _Pages(
        "receipts", access.visible_message, reading.RECEIPTS_SORTING, reading.receipts_page, client_receipt
    ),
    "messages.reactions": _Pages(
        "reactions", access.visible_message, reading.REACTIONS_SORTING, reading.reactions_page, client_reaction
    ),
    "messages.reports": _Pages(
        "reports", access.visible_message, reading.REPORTS_SORTING, reading.reports_page, client_report
    ),
    "messages.report_count": lambda request: {"count": request.find(access.visible_message).report_count or 0},
    "messages.replies": _replies,
    "messages.replies_count": lambda request: {"count": request.find(access.visible_message).replies_count or 0},
    "threads": lambda request: client_thread(request.find(access.visible_thread)),
    "threads.messages": _thread_messages,
}
"""Every relay, by the kind and part of its destination."""
