"""Users, channels and messages as rows of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ckfunc.base.text import Line, Segment, cells, cut, escaped, size_text, table
from ckfunc.model.chat import Channel, Message, User

USER_HEADINGS = ("ID", "NAME", "DISPLAY NAME", "KIND", "PRESENCE")
CHANNEL_HEADINGS = ("ID", "TYPE", "NAME", "LAST MESSAGE")
MESSAGE_HEADINGS = ("ID", "TIME", "CHANNEL", "USER", "MESSAGE")

SYSTEM = "system"
"""The sender of messages without a user."""
_LONGEST_NAME = 40


def user_cells(user: User) -> list[Segment]:
    """Return a user as a row."""
    kind = "guest" if user.is_guest else user.type.value.lower()
    presence = Segment("online", "success") if user.presence.online else Segment("offline", "muted")
    shown = "" if user.display_name == user.name else name_text(user.display_name)
    return [
        Segment(str(user.id), "muted"),
        Segment(name_text(user.name), "title"),
        Segment(shown),
        Segment(kind),
        presence,
    ]


def channel_cells(channel: Channel) -> list[Segment]:
    """Return a channel as a row; a direct channel is named by its members."""
    last = channel.last_received_message
    text = "" if last is None else f"{local_time(last)}  {sender(last)}: {message_text(last)}"
    return [
        Segment(str(channel.id), "muted"),
        Segment(channel.type.value.lower()),
        Segment(channel_title(channel), "title"),
        Segment(text),
    ]


def message_cells(message: Message, titles: Mapping[int, str]) -> list[Segment]:
    """Return a message as a row; `titles` are the names of channels, by id."""
    return [
        Segment(str(message.id), "muted"),
        Segment(local_time(message), "muted"),
        Segment(titles.get(message.channel_id, "")),
        Segment(sender(message), "muted" if message.user is None else "title"),
        Segment(message_text(message)),
    ]


def fitting_table(headings: Sequence[str], rows: Sequence[Line], width: int | None) -> list[Line]:
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
        return name_text(channel.name)
    names = ", ".join(name_text(member.name) for member in channel.members)
    return cut(names, _LONGEST_NAME) or f"channel {channel.id}"


def sender(message: Message) -> str:
    """Return the name of a message's sender."""
    return SYSTEM if message.user is None else name_text(message.user.name)


def message_text(message: Message) -> str:
    """Return a message on one line: its text, or its file's name and size."""
    if message.body is not None:
        return " ".join(escaped(message.body).split())
    file = message.file
    return "(file)" if file is None else f"({name_text(file.name)}, {size_text(file.size_bytes)})"


def name_text(text: str) -> str:
    """Return a name on one line, cut if it is long."""
    return cut(" ".join(escaped(text).split()), _LONGEST_NAME)


def local_time(message: Message) -> str:
    """Return when a message was sent, in the zone of this machine."""
    return f"{message.created_time.astimezone():%Y-%m-%d %H:%M:%S}"
