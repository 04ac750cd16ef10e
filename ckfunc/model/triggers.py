"""Trigger types, and the fields of their events.

Manifest, emulator and scaffolds use this table.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from ckfunc.base.errors import UsageProblem
from ckfunc.base.frozen import frozen
from ckfunc.base.text import did_you_mean, digest

_LONGEST = 100
# Source: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})


@frozen
class EventField:
    """A field of an event: its name, its TypeScript type, and whether it may be missing."""

    name: str
    type: str
    optional: bool = False


@frozen
class Trigger:
    """A trigger type. `when` is the cause of its events, such as "a reaction is added"."""

    type: str
    when: str
    fields: tuple[EventField, ...] = ()


def words(trigger_type: str) -> list[str]:
    """Return the words of a dotted trigger type, capitalised."""
    return [word.capitalize() for word in trigger_type.replace("_", ".").replace("-", ".").split(".") if word]


def file_stem(trigger_type: str) -> str:
    """Return the file name, without suffix, for any trigger type, such as user-attempted-start-session."""
    stem = re.sub(r"[^A-Za-z0-9]+", "-", trigger_type).strip("-") or "handler"
    if len(stem) > _LONGEST:
        stem = f"{stem[:_LONGEST]}-{digest(trigger_type)[:8]}"
    return f"{stem}-handler" if stem.casefold() in _DEVICES else stem


def display_name(trigger_type: str) -> str:
    """Return the default name of a function for any trigger type, such as "User Attempted Start Session"."""
    return " ".join(words(trigger_type))


def event_type(trigger_type: str) -> str:
    """Return the TypeScript name of the event for any trigger type, such as UserAttemptedStartSessionEvent."""
    name = "".join(words(trigger_type))
    return name if name.endswith("Event") else f"{name}Event"


START_SESSION = "user.attempted.start_session"
"""The type of the function that decides who may start a session."""

_USER = EventField("user", "User")
_CHANNEL = EventField("channel", "Channel")
_MESSAGE = EventField("message", "Message")
_EVENT = EventField("event", "ChannelEvent")

# Source: the Platform API document (types 1 to 4 and the names), the vendor's plugin framework (event fields).
# The fields of calls are not public; `reaction` is inferred.
TRIGGERS: tuple[Trigger, ...] = (
    Trigger(
        START_SESSION,
        "a client connects; a throw denies the session",
        (EventField("username", "string"), EventField("authParams", "Record<string, any>")),
    ),
    Trigger(
        "user.received.notification",
        "a notification is created for a user",
        (_USER, EventField("notification", "Notification"), EventField("userHasActiveSession", "boolean")),
    ),
    Trigger("user.sent.message", "a user's message is created", (_USER, _CHANNEL, _MESSAGE)),
    Trigger(
        "user.started.chat_session",
        "a client opens a channel",
        (_USER, _CHANNEL, EventField("channelUnread", "boolean"), EventField("channelMessagesCount", "number")),
    ),
    Trigger("user.read.message", "a read receipt is created", (_USER, _MESSAGE, EventField("receipt", "ReadReceipt"))),
    Trigger("user.reacted_to.message", "a reaction is added", (_USER, _MESSAGE, EventField("reaction", "Reaction"))),
    Trigger(
        "user.received.channel_invite",
        "a channel invite is sent",
        (_USER, _CHANNEL, EventField("invitingUser", "User", optional=True)),
    ),
    Trigger("user.triggered.event", "a client triggers a custom channel event", (_USER, _CHANNEL, _EVENT)),
    Trigger("system.triggered.event", "the Platform API sends a custom channel event", (_CHANNEL, _EVENT)),
    # The emulator has no calls, so it never sends these events by itself.
    Trigger("user.started.call", "a user starts a call"),
    Trigger("call.active", "a call becomes active"),
    Trigger("call.ended", "a call ends"),
    Trigger("user.sent.call_invite", "a user invites another to a call"),
    Trigger("user.accepted.call_invite", "a user accepts a call invite"),
    Trigger("user.declined.call_invite", "a user declines a call invite"),
    Trigger("call_participant.joined.call", "a participant joins a call"),
    Trigger("call_participant.left.call", "a participant leaves a call"),
)

BY_TYPE = {trigger.type: trigger for trigger in TRIGGERS}


def concerns(event: Mapping[str, Any], channel_id: int, usernames: Collection[str]) -> bool:
    """Return whether an event is about a channel, or starts a session of one of these users."""
    return (
        event_field(event, "channel", "id") == channel_id
        or event_field(event, "message", "channelId") == channel_id
        or event_field(event, "notification", "data", "channelId") == channel_id
        or event.get("username") in usernames
    )


def event_field(event: Any, *names: str) -> Any:
    """Return the value at a path of fields, or None."""
    for name in names:
        event = event.get(name) if isinstance(event, Mapping) else None
    return event


class NoSuchFunction(UsageProblem):
    """functions.yaml has no function of a type that the command line names.

    `known` are those that it has, `sections` what else could be named.
    """

    def __init__(self, trigger_type: str, known: Collection[str], sections: Collection[str] = ()) -> None:
        hints = [f"`ckfunc new {trigger_type}` adds one"] if trigger_type in BY_TYPE or not known else []
        if not hints and (meant := did_you_mean(trigger_type, [*known, *sections])):
            hints = [meant]
        else:
            hints += [f"functions.yaml has: {', '.join(known)}"] if known else []
            hints += [f"sections are: {', '.join(sections)}"] if sections else []
        super().__init__(f"functions.yaml has no function of type {trigger_type!r}", hint="; ".join(hints))
