"""A conversation as several users see it, with runs of functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from ckfunc.emulator.services import EmulatorServices, result_of
from ckfunc.emulator.store import channels, invocations, messages, reading, sessions, users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.files import FILE_URL
from ckfunc.emulator.store.invocations import RunFilter
from ckfunc.emulator.store.paging import CursorRequest
from ckfunc.emulator.ui.invocations import ShownRun, latest_runs
from ckfunc.model.chat import Channel, File, Message, Thread, ThreadType, User
from ckfunc.model.page import Cursor
from ckfunc.model.triggers import concerns, event_field

_MOST_VIEWS = 60
_COUNTED_MESSAGES = 1000
_CONSIDERED_RUNS = 200
_SHOWN_RUNS = 25
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif")


@dataclass(frozen=True, slots=True)
class Participant:
    """A user whose view of the channel is shown.

    `client` is whether a client is connected, besides the dashboard. `unread` counts among the newest 1,000 messages.
    """

    user: User
    member: bool
    present: bool
    client: bool
    unread: int


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message as one user sees it."""

    participant: Participant
    own: bool
    unread: bool
    reacted: frozenset[str]


@dataclass(frozen=True, slots=True)
class FileLink:
    """A file that can be opened: a hosted one, or a web address. `image` is whether it is shown in the page."""

    url: str | None
    image: bool


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """A message with its views, or a run of a function."""

    time: datetime
    message: Message | None = None
    views: tuple[MessageView, ...] = ()
    readers: tuple[User, ...] = ()
    file: FileLink | None = None
    run: ShownRun | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rows in the order of time. `older` is the message before which older ones begin, or None."""

    rows: tuple[TimelineRow, ...]
    older: int | None


def participant(services: EmulatorServices, channel: Channel, user: User) -> Participant:
    """Return a user as a participant of a channel."""
    database = services.database
    connected = services.topics.connections.values()
    return Participant(
        user,
        channels.is_member(database, channel.id, user.id),
        sessions.is_present(database, channel.id, user.id),
        any(client.user_id == user.id for client in connected),
        reading.recent_unread(database, channel.id, user.id, _COUNTED_MESSAGES),
    )


async def timeline(
    services: EmulatorServices,
    channel: Channel,
    participants: Sequence[Participant],
    *,
    thread: Thread | None,
    cursor: Cursor,
) -> Timeline:
    """Return a page of a channel's or thread's messages, and the runs since the first of them."""
    database = services.database
    page = await result_of(
        messages.page(
            database,
            CursorRequest(cursor, _MOST_VIEWS // max(len(participants), 2)),
            channel_id=channel.id,
            thread=thread,
        )
    )
    shown = list(page.items)
    if thread is not None and thread.type is ThreadType.MESSAGE and (parent := messages.get(database, thread.id)):
        shown.append(parent)
    readers = reading.readers(database, [message.id for message in shown])
    rows = [_message_row(message, participants, readers.get(message.id, ())) for message in shown]
    if cursor == Cursor():
        since = min((row.time for row in rows), default=None) if page.has_next else None
        only = None if thread is None else {message.id for message in shown}
        rows += [_run_row(run) for run in await _runs(services, channel, participants, since, only)]
    rows.sort(key=lambda row: (row.time, row.run is not None))
    return Timeline(tuple(rows), page.next if page.has_next else None)


def _message_row(message: Message, participants: Iterable[Participant], readers: tuple[User, ...]) -> TimelineRow:
    read_by = {reader.id for reader in readers}
    views = []
    for viewer in participants:
        own = message.user is not None and message.user.id == viewer.user.id
        reacted = frozenset(
            reaction.emoji.character
            for reaction in message.reactions
            if any(user.id == viewer.user.id for user in reaction.users)
        )
        views.append(MessageView(viewer, own, not own and viewer.user.id not in read_by, reacted))
    file = None if message.file is None else file_link(message.file)
    return TimelineRow(message.created_time, message, tuple(views), readers, file)


def file_link(file: File) -> FileLink:
    """Return the link to a file, without one to an address that a browser would run."""
    if file.url.startswith(FILE_URL):
        return FileLink(file.url, file.content_type.partition(";")[0] in _IMAGES)
    return FileLink(file.url if urlsplit(file.url).scheme in ("http", "https") else None, False)


async def _runs(
    services: EmulatorServices,
    channel: Channel,
    participants: Sequence[Participant],
    since: datetime | None,
    message_ids: set[int] | None,
) -> list[ShownRun]:
    """Return runs that concern a channel, or only those about some messages, since a moment."""
    database = services.database
    page = await result_of(invocations.runs(database, CursorRequest(Cursor(), _CONSIDERED_RUNS), RunFilter()))
    names = {viewer.user.name for viewer in participants}
    about = [
        run
        for run in page.items
        if (since is None or run.invocation.created_time >= since)
        and concerns(run.invocation.args, channel.id, names)
        and (message_ids is None or event_field(run.invocation.args, "message", "id") in message_ids)
    ]
    return latest_runs(services, about[:_SHOWN_RUNS])


def _run_row(run: ShownRun) -> TimelineRow:
    return TimelineRow(run.run.invocation.created_time, run=run)


def thread_in(database: Database, channel: Channel, thread_id: int) -> Thread | None:
    """Return a thread of a channel, or None."""
    thread = channels.get_thread(database, thread_id) if thread_id else None
    return thread if thread is not None and thread.channel_id == channel.id else None


def members_first(database: Database, channel: Channel, most: int) -> list[User]:
    """Return users to choose from: the members of a channel, then others."""
    inside = list(users.members(database, channel.id))[:most]
    member_ids = {user.id for user in inside}
    return inside + [user for user in users.first(database, most) if user.id not in member_ids][: most - len(inside)]


def channel_title(channel: Channel) -> str:
    """Return a name for a channel; a direct channel is called by its members."""
    if channel.display_name or channel.name:
        return channel.display_name or channel.name or ""
    return ", ".join(member.display_name for member in channel.members) or f"channel {channel.id}"
