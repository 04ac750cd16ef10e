"""Relays: what clients can read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ckfunc.base.frozen import frozen
from ckfunc.base.text import is_id
from ckfunc.emulator.actions import access
from ckfunc.emulator.http.problems import Missing, Refused
from ckfunc.emulator.realtime import streams
from ckfunc.emulator.realtime.requests import (
    ClientRequest,
    Destination,
    cursor_request,
    page_request,
    paged,
    written_message_page,
    written_page,
)
from ckfunc.emulator.store import channels, conversations, memberships, messages, reading, users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import PageRequest
from ckfunc.emulator.store.steps import run
from ckfunc.model.chat import ChannelType, Message, User
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
from ckfunc.wire.links import Links

Relay = Callable[[ClientRequest, Destination], Any]


def relayed(destination: Destination, request: ClientRequest) -> Any:
    """Return the resource at a relay. Raises Missing, Denied and Refused."""
    relay = RELAYS.get(destination.name)
    if relay is None:
        raise Missing(f"there is no relay {destination.name!r}")
    return relay(request, destination)


# The current user


def _current_user(request: ClientRequest, _at: Destination) -> Any:
    return client_current_user(request.user, request.context.links)


def _write_grant(request: ClientRequest, _at: Destination) -> Any:
    return {"grant": streams.issued_grant(request.database, request.session_id, "write")}


def _read_grant(request: ClientRequest, _at: Destination) -> Any:
    return {"grant": streams.issued_grant(request.database, request.session_id, "read")}


def _own_channels(request: ClientRequest, at: Destination) -> Any:
    return _channels(request, at, conversations.Listed.OWN)


def _joinable_channels(request: ClientRequest, at: Destination) -> Any:
    return _channels(request, at, conversations.Listed.JOINABLE)


def _unread_channels(request: ClientRequest, at: Destination) -> Any:
    return _channels(request, at, conversations.Listed.UNREAD)


def _channels(request: ClientRequest, at: Destination, listed: conversations.Listed) -> Any:
    paging = page_request(at, conversations.SORTABLE, conversations.DEFAULT_ORDER)
    name = request.text("name")
    page = conversations.channels_page(request.database, request.user.id, listed, paging, name=name)
    member = listed is not conversations.Listed.JOINABLE
    return written_page(at, "channels", page, partial(client_channel, member=member), request.context.links)


def _channels_count(request: ClientRequest, _at: Destination) -> Any:
    kind = request.text("type")
    if kind is not None and kind not in list(ChannelType):
        raise Refused(f"parameter 'type' is {kind[:60]!r}, not one of {', '.join(ChannelType)}")
    listed = conversations.Listed.UNREAD if request.flag("unread") else conversations.Listed.OWN
    return {"count": conversations.channels_count(request.database, request.user.id, listed, kind=kind)}


def _unread_channels_count(request: ClientRequest, _at: Destination) -> Any:
    unread = conversations.Listed.UNREAD
    return {"count": conversations.channels_count(request.database, request.user.id, unread)}


def _own_messages(request: ClientRequest, at: Destination) -> Any:
    files_only = request.text("type") == "FILE"
    paging = cursor_request(at)
    page = conversations.messages_page(request.database, request.user.id, paging, files_only=files_only)
    return written_message_page(at, page, request.context.links)


def _unread_messages_count(request: ClientRequest, _at: Destination) -> Any:
    return {"count": reading.unread_count(request.database, request.user.id)}


def _contacts(request: ClientRequest, at: Destination) -> Any:
    paging = page_request(at, users.SORTABLE, users.DEFAULT_ORDER)
    return _users(request, at, conversations.contacts_page(request.database, request.user.id, paging, _filter(request)))


def _contacts_count(request: ClientRequest, _at: Destination) -> Any:
    return {"count": conversations.contacts_count(request.database, request.user.id, _filter(request))}


def _filter(request: ClientRequest) -> conversations.UserFilter:
    return conversations.UserFilter(request.text("name"), request.text("displayName"), request.flag("online"))


def _users(request: ClientRequest, at: Destination, page: Any) -> Any:
    return written_page(at, "users", page, client_user, request.context.links)


def _blocked_users(request: ClientRequest, at: Destination) -> Any:
    paging = page_request(at, memberships.BLOCKS_SORTABLE, memberships.BLOCKS_ORDER)
    page = memberships.blocks_page(request.database, memberships.USER_BLOCKS, request.user.id, paging)
    return written_page(at, "items", page, client_user_block, request.context.links)


# Other users


def _user(request: ClientRequest, at: Destination) -> Any:
    return client_user(access.user(request.database, at.id), request.context.links)


def _is_member(request: ClientRequest, at: Destination) -> Any:
    user = access.user(request.database, at.id)
    text = request.text("channelId") or ""
    if not is_id(text):
        raise Refused(f"parameter 'channelId' is {text[:60]!r}, not the id of a channel")
    channel = access.visible_channel(request.database, int(text), request.user)
    return {"exists": channels.is_member(request.database, channel.id, user.id)}


# Channels


def _channel(request: ClientRequest, at: Destination) -> Any:
    channel = access.visible_channel(request.database, at.id, request.user)
    member = channels.is_member(request.database, channel.id, request.user.id)
    return client_channel(channel, request.context.links, member=member)


def _channel_context(request: ClientRequest, at: Destination) -> Any:
    channel = access.visible_channel(request.database, at.id, request.user)
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


def _channel_messages(request: ClientRequest, at: Destination) -> Any:
    channel = access.visible_channel(request.database, at.id, request.user)
    page = conversations.messages_page(
        request.database,
        request.user.id,
        cursor_request(at),
        channel_id=channel.id,
        files_only=request.text("type") == "FILE",
        main_thread=request.flag("mainThread") is True,
    )
    return written_message_page(at, page, request.context.links)


def _channel_messages_count(request: ClientRequest, at: Destination) -> Any:
    channel = access.visible_channel(request.database, at.id, request.user)
    if request.flag("unread"):
        return {"count": reading.unread_in(request.database, channel.id, request.user.id)}
    return {"count": messages.count_in_channel(request.database, channel.id)}


def _last_received_message(request: ClientRequest, at: Destination) -> Any:
    channel = access.visible_channel(request.database, at.id, request.user)
    return _message_or_none(request, channel.last_received_message)


def _last_read_message(request: ClientRequest, at: Destination) -> Any:
    channel = access.visible_channel(request.database, at.id, request.user)
    name = request.text("username")
    reader: User | None = request.user if name is None else users.find_by_name(request.database, name)
    if reader is None:
        raise Missing(f"there is no user {name!r}")
    message_id = conversations.last_read(request.database, channel.id, reader.id)
    return _message_or_none(request, None if message_id is None else messages.get(request.database, message_id))


def _message_or_none(request: ClientRequest, message: Message | None) -> Any:
    return None if message is None else client_message(message, request.context.links)


def _channel_unread(request: ClientRequest, at: Destination) -> Any:
    channel = access.visible_channel(request.database, at.id, request.user)
    return {"exists": reading.has_unread(request.database, channel.id, request.user.id)}


def _members(request: ClientRequest, at: Destination) -> Any:
    channel = access.visible_channel(request.database, at.id, request.user)
    paging = page_request(at, users.SORTABLE, users.DEFAULT_ORDER)
    page = conversations.members_page(request.database, channel.id, paging, _filter(request))
    return _users(request, at, page)


def _moderators(request: ClientRequest, at: Destination) -> Any:
    channel = access.visible_channel(request.database, at.id, request.user)
    paging = page_request(at, users.SORTABLE, users.DEFAULT_ORDER)
    return _users(request, at, memberships.moderators_page(request.database, channel.id, paging))


def _block_records(request: ClientRequest, at: Destination) -> Any:
    channel = access.visible_channel(request.database, at.id, request.user)
    paging = page_request(at, memberships.BLOCKS_SORTABLE, memberships.BLOCKS_ORDER)
    page = memberships.blocks_page(request.database, memberships.CHANNEL_BLOCKS, channel.id, paging)
    return written_page(at, "records", page, client_channel_block, request.context.links)


def _channel_threads(request: ClientRequest, at: Destination) -> Any:
    channel = access.visible_channel(request.database, at.id, request.user)
    threads = conversations.threads(
        request.database,
        channel.id,
        main=request.flag("includeMainThread") is not False,
        standalone_only=request.flag("standalone") is True,
    )
    return written_page(
        at, "threads", paged(threads, at), lambda thread, _: client_thread(thread), request.context.links
    )


def _calls(request: ClientRequest, at: Destination) -> Any:
    access.visible_channel(request.database, at.id, request.user)
    none: Page[Any] = paged((), at)  # the emulator has no calls
    return written_page(at, "calls", none, lambda call, _: call, request.context.links)


# Messages and threads


def _message(request: ClientRequest, at: Destination) -> Any:
    return client_message(access.visible_message(request.database, at.id, request.user), request.context.links)


@frozen
class _MessagePages:
    """The relay of a list that belongs to a message: its name, its orders, its query, and an item as clients see it."""

    name: str
    sortable: Mapping[str, str]
    order: str
    page: Callable[[Database, int, PageRequest], Page[Any]]
    written: Callable[[Any, Links], Any]

    def __call__(self, request: ClientRequest, at: Destination) -> Any:
        """Return the page that a client requests. Raises Missing and Refused."""
        message = access.visible_message(request.database, at.id, request.user)
        page = self.page(request.database, message.id, page_request(at, self.sortable, self.order))
        return written_page(at, self.name, page, self.written, request.context.links)


def _reports_count(request: ClientRequest, at: Destination) -> Any:
    message = access.visible_message(request.database, at.id, request.user)
    return {"count": message.report_count or 0}


def _replies(request: ClientRequest, at: Destination) -> Any:
    access.visible_message(request.database, at.id, request.user)
    return _thread_messages(request, at)


def _replies_count(request: ClientRequest, at: Destination) -> Any:
    message = access.visible_message(request.database, at.id, request.user)
    return {"count": message.replies_count or 0}


def _thread(request: ClientRequest, at: Destination) -> Any:
    return client_thread(access.visible_thread(request.database, at.id, request.user))


def _thread_messages(request: ClientRequest, at: Destination) -> Any:
    thread = access.visible_thread(request.database, at.id, request.user)
    page = run(messages.page(request.database, cursor_request(at), thread=thread))
    return written_message_page(at, page, request.context.links)


RELAYS: Mapping[str, Relay] = {
    "user": _current_user,
    "user.read_file_access_grant": _read_grant,
    "user.write_file_access_grant": _write_grant,
    "user.channels": _own_channels,
    "user.channels_count": _channels_count,
    "user.joinable_channels": _joinable_channels,
    "user.unread_channels": _unread_channels,
    "user.unread_channels_count": _unread_channels_count,
    "user.messages": _own_messages,
    "user.unread_messages_count": _unread_messages_count,
    "user.contacts": _contacts,
    "user.contacts_count": _contacts_count,
    "user.blocks": _blocked_users,
    "users": _user,
    "users.channelMember": _is_member,
    "channels": _channel,
    "channels.context": _channel_context,
    "channels.messages": _channel_messages,
    "channels.messages_count": _channel_messages_count,
    "channels.last_received_message": _last_received_message,
    "channels.last_read_message": _last_read_message,
    "channels.unread": _channel_unread,
    "channels.members": _members,
    "channels.moderators": _moderators,
    "channels.block_records": _block_records,
    "channels.threads": _channel_threads,
    "channels.calls": _calls,
    "messages": _message,
    "messages.read_receipts": _MessagePages(
        "receipts", reading.RECEIPTS_SORTABLE, reading.RECEIPTS_ORDER, reading.receipts_page, client_receipt
    ),
    "messages.reactions": _MessagePages(
        "reactions", reading.REACTIONS_SORTABLE, reading.REACTIONS_ORDER, reading.reactions_page, client_reaction
    ),
    "messages.reports": _MessagePages(
        "reports", reading.REPORTS_SORTABLE, reading.REPORTS_ORDER, reading.reports_page, client_report
    ),
    "messages.report_count": _reports_count,
    "messages.replies": _replies,
    "messages.replies_count": _replies_count,
    "threads": _thread,
    "threads.messages": _thread_messages,
}
"""Every relay, by the kind and part of its destination."""
