"""Text of chats: tables of lists, styled lines of events, JSON of events."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, TypeVar

from ckfunc.api import Client
from ckfunc.api.lists import (
    ListItem,
    MessageFilter,
    PagePart,
    channel_of,
    find_channel,
    find_user,
    list_channels,
    list_users,
    newest_messages,
)
from ckfunc.base.clock import timestamp
from ckfunc.base.frozen import frozen
from ckfunc.base.text import Line, Segment, cells, cut, escaped, size_text, table
from ckfunc.chat.events import (
    ChatEvent,
    MembersListed,
    MessageChange,
    MessageEvent,
    PresenceChange,
    PresenceEvent,
    ReactionEvent,
    ReadEvent,
    RunEvent,
    SessionChange,
    SessionEvent,
    TypingEvent,
)
from ckfunc.logs.format import failure_lines, outcome, record
from ckfunc.logs.format import lines as log_lines
from ckfunc.model.application import Status
from ckfunc.model.chat import Channel, ChannelEvent, Message, User
from ckfunc.model.page import Page
from ckfunc.wire.messages import write_file

if TYPE_CHECKING:
    from ckfunc.model.outputs import ChatEventJson, MessageEventJson, SessionEventJson

T = TypeVar("T")

_USER_HEADINGS = ("ID", "NAME", "DISPLAY NAME", "KIND", "PRESENCE")
_CHANNEL_HEADINGS = ("ID", "TYPE", "NAME", "LAST MESSAGE")
_MESSAGE_HEADINGS = ("ID", "TIME", "CHANNEL", "USER", "MESSAGE")

_SYSTEM = "system"
"""The sender of messages without a user."""
_LONGEST_NAME = 40

_INDENT = "  "
_LONGEST_PROPERTIES = 200
_MOST_CHARACTERS = 4000
"""The most characters of a message on a terminal."""
_PRESENCE = {
    PresenceChange.ONLINE: "is online",
    PresenceChange.OFFLINE: "is offline",
    PresenceChange.OPENED: "opened the channel",
    PresenceChange.CLOSED: "closed the channel",
}


def _user_cells(user: User) -> list[Segment]:
    """Return a user as a row."""
    kind = "guest" if user.is_guest else user.type.value.lower()
    presence = Segment("online", "success") if user.presence.online else Segment("offline", "muted")
    shown = "" if user.display_name == user.name else _name_text(user.display_name)
    return [
        Segment(str(user.id), "muted"),
        Segment(_name_text(user.name), "title"),
        Segment(shown),
        Segment(kind),
        presence,
    ]


def _channel_cells(channel: Channel) -> list[Segment]:
    """Return a channel as a row; a direct channel is named by its members."""
    last = channel.last_received_message
    text = "" if last is None else f"{_local_time(last)}  {_sender(last)}: {_message_text(last)}"
    return [
        Segment(str(channel.id), "muted"),
        Segment(channel.type.value.lower()),
        Segment(channel_title(channel), "title"),
        Segment(text),
    ]


def _message_cells(message: Message, titles: Mapping[int, str]) -> list[Segment]:
    """Return a message as a row; `titles` are the names of channels, by id."""
    return [
        Segment(str(message.id), "muted"),
        Segment(_local_time(message), "muted"),
        Segment(titles.get(message.channel_id, "")),
        Segment(_sender(message), "muted" if message.user is None else "title"),
        Segment(_message_text(message)),
    ]


def _fitting_table(headings: Sequence[str], rows: Sequence[Line], width: int | None) -> list[Line]:
    """Return a table whose last column is cut at `width` columns (None: never)."""
    lines: list[Line] = []
    for line in table(headings, rows):
        *others, (text, style) = line
        left = None if width is None else max(width - sum(cells(cell) for cell, _ in others), 0)
        lines.append([*others, (cut(text, left), style)])
    return lines


def channel_title(channel: Channel) -> str:
    """Return the name of a channel on one line; that of a direct channel are its members."""
    if channel.name is not None:
        return _name_text(channel.name)
    names = ", ".join(_name_text(member.name) for member in channel.members)
    return cut(names, _LONGEST_NAME) or f"channel {channel.id}"


@frozen
class Listing:
    """A part of a list. `rest` is a message about the other parts, if there are any, or about an empty list.

    With `rest_first`, the other parts come before this one.
    """

    headings: Sequence[str]
    rows: Sequence[Line]
    documents: Sequence[Mapping[str, Any]]
    rest: Line = ()
    rest_first: bool = False

    def lines(self, width: int | None) -> Sequence[Line]:
        """Return the table, at most `width` columns wide; nothing for an empty list."""
        return _fitting_table(self.headings, self.rows, width) if self.rows else ()


@frozen
class MessageChoice:
    """The messages to list: of a channel and of a user (name or id), with a text, and older than `before` (an id)."""

    channel: str | None = None
    user: str | None = None
    text: str | None = None
    before: int | None = None


def users_listing(client: Client, size: int, page: int, channel: str | None, hint: str) -> Listing:
    """Read a page (from 1) of the users, or of the members of a channel (name or id). `hint` is for an empty list."""
    channel_id = None if channel is None else find_channel(client, channel).id
    part = list_users(client, PagePart(size, page - 1), channel_id=channel_id)
    return _listing(part, _USER_HEADINGS, _user_cells, "users", hint if channel is None else "")


def channels_listing(client: Client, size: int, page: int, user: str | None, kind: str | None, hint: str) -> Listing:
    """Read a page (from 1) of the channels, of a user (name or id), or of a type. `hint` is for an empty list."""
    user_id = None if user is None else find_user(client, user).id
    part = list_channels(client, PagePart(size, page - 1), user_id=user_id, kind=kind)
    return _listing(part, _CHANNEL_HEADINGS, _channel_cells, "channels", hint if user is kind is None else "")


def messages_listing(client: Client, most: int, choice: MessageChoice, *, titled: bool) -> Listing:
    """Read the newest messages that `choice` selects, oldest first.

    If `titled`, rows of different channels have their names.
    """
    channel_id = None if choice.channel is None else find_channel(client, choice.channel).id
    username = None if choice.user is None else find_user(client, choice.user).name
    part = newest_messages(client, most, MessageFilter(channel_id, username, choice.text, choice.before))
    shown = part.items[::-1]
    ids = {listed.item.channel_id for listed in shown} if channel_id is None and titled else set()
    channels = [channel for each in ids if (channel := channel_of(client, each)) is not None]
    titles = {channel.id: channel_title(channel) for channel in channels}
    rows = [_message_cells(listed.item, titles) for listed in shown]
    rest: Line = () if shown else [("no messages", "muted")]
    if part.more:
        older = f"`ckfunc emulator messages --before {shown[0].item.id}` lists them"
        rest = [(f"older messages are not shown: {older}", "muted")]
    return Listing(_MESSAGE_HEADINGS, rows, [listed.document for listed in shown], rest, bool(shown))


def _listing(
    page: Page[ListItem[T]], headings: Sequence[str], cells_of: Callable[[T], Line], name: str, hint: str
) -> Listing:
    rows = [cells_of(listed.item) for listed in page.items]
    return Listing(headings, rows, [listed.document for listed in page.items], _rest(page, name, hint))


def _rest(page: Page[Any], name: str, hint: str) -> Line:
    """Return a message about the other pages, or about an empty list."""
    if page.total_pages > 1 and page.items:
        more = "" if page.number + 1 == page.total_pages else f"; --page {page.number + 2} shows the next"
        text = f"page {page.number + 1} of {page.total_pages}, {page.total_elements} {name} in total{more}"
        return [(text, "muted")]
    if not page.items and page.total_elements:
        pages = "is 1 page" if page.total_pages == 1 else f"are {page.total_pages} pages"
        return [(f"no {name} on page {page.number + 1}: there {pages}", "muted")]
    if not page.items:
        return [(f"no {name}", "muted"), (f"; {hint}" if hint else "", "plain")]
    return ()


@frozen
class ChatView:
    """The way in which events are shown.

    `username` is the user whose chat it is. With `flat`, each event is one line. `width` is that of the terminal, or
    None. `details` adds console output, results and API calls of runs. Times are in `zone` (None: the local one).
    """

    username: str
    flat: bool = False
    width: int | None = None
    details: bool = False
    zone: tzinfo | None = UTC


def event_lines(event: ChatEvent, view: ChatView, now: datetime) -> list[Line]:
    """Return an event as lines, with hidden characters as escapes; `now` is the time of those that have none.

    The user's own presence and typing are left out.
    """
    if isinstance(event, PresenceEvent | TypingEvent) and event.user.name == view.username:
        return []
    first, *remaining = _LINES[type(event)](event, view)
    moment = now
    if isinstance(event, MessageEvent) and event.change is MessageChange.SENT:
        moment = event.message.created_time
    local, today = moment.astimezone(view.zone), now.astimezone(view.zone).date()
    clock = f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M:%S}"
    lines = [[(f"{clock} ", "muted"), *first], *remaining]
    return lines[:1] if view.flat else lines


def event_record(event: ChatEvent) -> ChatEventJson:
    """Return an event for `--json`."""
    return _RECORDS[type(event)](event)


def _sender(message: Message) -> str:
    """Return the name of a message's sender."""
    return _SYSTEM if message.user is None else _name_text(message.user.name)


def _message_text(message: Message) -> str:
    """Return a message on one line: its text, or its file's name and size."""
    if message.body is not None:
        return " ".join(escaped(message.body).split())
    file = message.file
    return "(file)" if file is None else f"({_name_text(file.name)}, {size_text(file.size_bytes)})"


def _name_text(text: str) -> str:
    """Return a name on one line, cut if it is long."""
    return cut(" ".join(escaped(text).split()), _LONGEST_NAME)


def _local_time(message: Message) -> str:
    """Return when a message was sent, in the zone of this machine."""
    return f"{message.created_time.astimezone():%Y-%m-%d %H:%M:%S}"


def _message(event: MessageEvent, view: ChatView) -> list[Line]:
    message, mine = event.message, event.message.user is not None and event.message.user.name == view.username
    style = "muted" if message.user is None else "title" if mine else "place"
    head = [(f"[{message.id}] ", "muted"), (_sender(message), style)]
    if event.change is MessageChange.DELETED:
        return [[*head, ("'s message was deleted: ", "muted"), (_message_text(message), "muted")]]
    if event.change is MessageChange.EDITED:
        head.append((" edited", "muted"))
    elif event.parent_id is not None:
        head.append((f" to [{event.parent_id}]", "muted"))
    head.append((": ", "muted"))
    if message.body is None:
        url = "" if message.file is None else f" {escaped(message.file.url)}"
        return [[*head, (f"{_message_text(message)}{url}", "plain")]]
    if view.flat:
        return [[*head, (escaped(message.body).replace("\r\n", "\n").replace("\n", "\\n"), "plain")]]
    shown = escaped(message.body[:_MOST_CHARACTERS]).expandtabs(4)
    first, *remaining = shown.splitlines() or [""]
    lines: list[Line] = [[*head, (first, "plain")], *([(_INDENT + line, "plain")] for line in remaining)]
    if (more := len(message.body) - _MOST_CHARACTERS) > 0:
        lines.append([(f"{_INDENT}… {more:,} more characters; --json has all of them", "muted")])
    return lines


def _reaction(event: ReactionEvent, _view: ChatView) -> list[Line]:
    verb, to = ("removed", "from") if event.removed else ("reacted", "to")
    return [[_name(event.user), (f" {verb} {_name_text(event.emoji)} {to} [{event.message_id}]", "muted")]]


def _presence(event: PresenceEvent, _view: ChatView) -> list[Line]:
    return [[_name(event.user), (f" {_PRESENCE[event.change]}", "muted")]]


def _typing(event: TypingEvent, _view: ChatView) -> list[Line]:
    return [[_name(event.user), (" is typing" if event.typing else " stopped typing", "muted")]]


def _read(event: ReadEvent, _view: ChatView) -> list[Line]:
    text = f"marked [{event.message_id}] as unread" if event.unread else f"read [{event.message_id}]"
    return [[_name(event.user), (f" {text}", "muted")]]


def _custom(event: ChannelEvent, _view: ChatView) -> list[Line]:
    sender = (_SYSTEM, "muted") if event.user is None else _name(event.user)
    properties = cut(escaped(json.dumps(event.properties, ensure_ascii=False)), _LONGEST_PROPERTIES)
    return [[sender, (" triggered ", "muted"), (_name_text(event.type), "title"), (f" {properties}", "plain")]]


def _run(event: RunEvent, view: ChatView) -> list[Line]:
    entry = event.entry
    first: Line = [(f"ƒ [{entry.invocation.id}] ", "muted"), *outcome(entry)]
    if view.details:
        return [first, *log_lines(entry, width=view.width, zone=view.zone, calls=True)[1:]]
    if entry.invocation.status is not Status.FAILED:
        return [first]
    reasons = list(failure_lines(entry.invocation, view.width))
    if view.flat and reasons:
        first = [*first, ("  ", "plain"), *((text.strip(), style) for text, style in reasons[0])]
    return [first, *reasons]


def _session(event: SessionEvent, view: ChatView) -> list[Line]:
    if event.change is SessionChange.LOST:
        return [[("disconnected", "warning"), (" from the emulator; trying again until Ctrl-C", "muted")]]
    verb = "connected" if event.change is SessionChange.OPENED else "connected again"
    username = _name_text(view.username)
    return [[(verb, "success"), (f" as {username} to {event.channel} (channel {event.channel_id})", "muted")]]


def _members(event: MembersListed, _view: ChatView) -> list[Line]:
    names: list[tuple[str, str]] = [("members: ", "muted")]
    for number, user in enumerate(event.users):
        state = ("online", "success") if user.presence.online else ("offline", "muted")
        names += [(", " if number else "", "plain"), _name(user), (" ", "plain"), state]
    return [names]


def _name(user: User) -> tuple[str, str]:
    return (_name_text(user.name), "place")


def _message_record(event: MessageEvent) -> MessageEventJson:
    message = event.message
    document: MessageEventJson = {
        "event": "message",
        "change": event.change.value,
        "id": message.id,
        "channelId": message.channel_id,
        "user": None if message.user is None else message.user.name,
        "createdTime": timestamp(message.created_time),
        "earlier": event.earlier,
    }
    if event.parent_id is not None:
        document["parentId"] = event.parent_id
    if message.file is not None:
        document["file"] = write_file(message.file)
    else:
        document["body"] = message.body
    return document


def _session_record(event: SessionEvent) -> SessionEventJson:
    document: SessionEventJson = {"event": "session", "change": event.change.value, "channelId": event.channel_id}
    if event.reason:
        document["reason"] = event.reason
    return document


_LINES: Mapping[type, Callable[[Any, ChatView], list[Line]]] = {
    MessageEvent: _message,
    ReactionEvent: _reaction,
    PresenceEvent: _presence,
    TypingEvent: _typing,
    ReadEvent: _read,
    ChannelEvent: _custom,
    RunEvent: _run,
    SessionEvent: _session,
    MembersListed: _members,
}

_RECORDS: Mapping[type, Callable[[Any], ChatEventJson]] = {
    MessageEvent: _message_record,
    ReactionEvent: lambda event: {
        "event": "reaction",
        "user": event.user.name,
        "emoji": event.emoji,
        "messageId": event.message_id,
        "removed": event.removed,
    },
    PresenceEvent: lambda event: {"event": "presence", "user": event.user.name, "change": event.change.value},
    TypingEvent: lambda event: {"event": "typing", "user": event.user.name, "typing": event.typing},
    ReadEvent: lambda event: {
        "event": "read",
        "user": event.user.name,
        "messageId": event.message_id,
        "unread": event.unread,
    },
    ChannelEvent: lambda event: {
        "event": "custom",
        "type": event.type,
        "user": None if event.user is None else event.user.name,
        "properties": event.properties,
    },
    RunEvent: lambda event: {"event": "function", **record(event.entry)},
    SessionEvent: _session_record,
    MembersListed: lambda event: {
        "event": "members",
        "users": [{"name": user.name, "online": user.presence.online} for user in event.users],
    },
}


def typing_text(names: Sequence[str]) -> str:
    """Return who is typing, as one phrase; "" for nobody."""
    return "" if not names else f"{names[0]} is typing" if len(names) == 1 else f"{len(names)} users are typing"
