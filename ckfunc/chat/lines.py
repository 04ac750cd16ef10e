"""Events of a chat as text: styled lines for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from ckfunc.base.clock import timestamp
from ckfunc.base.text import Line, cut, escaped
from ckfunc.chat.events import (
    ChatEvent,
    CustomEvent,
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
from ckfunc.chat.tables import SYSTEM, message_text, name_text, sender
from ckfunc.logs.format import failure_lines, outcome, record
from ckfunc.logs.format import lines as log_lines
from ckfunc.model.application import Status
from ckfunc.model.chat import User
from ckfunc.wire.messages import write_file

if TYPE_CHECKING:
    from ckfunc.model.outputs import ChatEventJson, MessageEventJson, SessionEventJson

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


@dataclass(frozen=True, slots=True)
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
    first, *others = _LINES[type(event)](event, view)
    moment = event.message.created_time if isinstance(event, MessageEvent) and _is_sent(event) else now
    local, today = moment.astimezone(view.zone), now.astimezone(view.zone).date()
    clock = f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M:%S}"
    lines = [[(f"{clock} ", "muted"), *first], *others]
    return lines[:1] if view.flat else lines


def event_record(event: ChatEvent) -> ChatEventJson:
    """Return an event for `--json`."""
    return _RECORDS[type(event)](event)


def _is_sent(event: MessageEvent) -> bool:
    return event.change is MessageChange.SENT


def _message(event: MessageEvent, view: ChatView) -> list[Line]:
    message, mine = event.message, event.message.user is not None and event.message.user.name == view.username
    style = "muted" if message.user is None else "title" if mine else "place"
    head = [(f"[{message.id}] ", "muted"), (sender(message), style)]
    if event.change is MessageChange.DELETED:
        return [[*head, ("'s message was deleted: ", "muted"), (message_text(message), "muted")]]
    if event.change is MessageChange.EDITED:
        head.append((" edited", "muted"))
    elif event.parent_id is not None:
        head.append((f" to [{event.parent_id}]", "muted"))
    head.append((": ", "muted"))
    if message.body is None:
        url = "" if message.file is None else f" {escaped(message.file.url)}"
        return [[*head, (f"{message_text(message)}{url}", "plain")]]
    if view.flat:
        return [[*head, (escaped(message.body).replace("\r\n", "\n").replace("\n", "\\n"), "plain")]]
    shown = escaped(message.body[:_MOST_CHARACTERS]).expandtabs(4)
    first, *others = shown.splitlines() or [""]
    lines: list[Line] = [[*head, (first, "plain")], *([(_INDENT + line, "plain")] for line in others)]
    if (more := len(message.body) - _MOST_CHARACTERS) > 0:
        lines.append([(f"{_INDENT}… {more:,} more characters; --json has all of them", "muted")])
    return lines


def _reaction(event: ReactionEvent, _view: ChatView) -> list[Line]:
    verb, to = ("removed", "from") if event.removed else ("reacted", "to")
    return [[_name(event.user), (f" {verb} {name_text(event.emoji)} {to} [{event.message_id}]", "muted")]]


def _presence(event: PresenceEvent, _view: ChatView) -> list[Line]:
    return [[_name(event.user), (f" {_PRESENCE[event.change]}", "muted")]]


def _typing(event: TypingEvent, _view: ChatView) -> list[Line]:
    return [[_name(event.user), (" is typing" if event.typing else " stopped typing", "muted")]]


def _read(event: ReadEvent, _view: ChatView) -> list[Line]:
    text = f"marked [{event.message_id}] as unread" if event.unread else f"read [{event.message_id}]"
    return [[_name(event.user), (f" {text}", "muted")]]


def _custom(event: CustomEvent, _view: ChatView) -> list[Line]:
    who = (SYSTEM, "muted") if event.user is None else _name(event.user)
    properties = cut(escaped(json.dumps(event.properties, ensure_ascii=False)), _LONGEST_PROPERTIES)
    return [[who, (" triggered ", "muted"), (name_text(event.type), "title"), (f" {properties}", "plain")]]


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
    who = name_text(view.username)
    return [[(verb, "success"), (f" as {who} to {event.channel} (channel {event.channel_id})", "muted")]]


def _members(event: MembersListed, _view: ChatView) -> list[Line]:
    names: list[tuple[str, str]] = [("members: ", "muted")]
    for number, user in enumerate(event.users):
        state = ("online", "success") if user.presence.online else ("offline", "muted")
        names += [(", " if number else "", "plain"), _name(user), (" ", "plain"), state]
    return [names]


def _name(user: User) -> tuple[str, str]:
    return (name_text(user.name), "place")


_LINES: Mapping[type, Callable[[Any, ChatView], list[Line]]] = {
    MessageEvent: _message,
    ReactionEvent: _reaction,
    PresenceEvent: _presence,
    TypingEvent: _typing,
    ReadEvent: _read,
    CustomEvent: _custom,
    RunEvent: _run,
    SessionEvent: _session,
    MembersListed: _members,
}


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
    CustomEvent: lambda event: {
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
