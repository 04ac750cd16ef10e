"""The chat page: a conversation as several users see it, saved as a test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from ckfunc.base.frozen import frozen
from ckfunc.emulator.actions import access
from ckfunc.emulator.actions import channels as channel_actions
from ckfunc.emulator.actions import messages as message_actions
from ckfunc.emulator.actions import users as user_actions
from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.actions.messages import emoji_of, stored
from ckfunc.emulator.http.bodies import UPLOAD_BYTES
from ckfunc.emulator.http.calls import Call, Reply, whole_number
from ckfunc.emulator.http.problems import Denied, Missing, Refused
from ckfunc.emulator.options import ConversationDrafts
from ckfunc.emulator.services import EmulatorServices, delete_in_steps, result_of
from ckfunc.emulator.store import channels, conversations, invocations, messages, reading, sessions, users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.files import FILE_URL
from ckfunc.emulator.store.invocations import RunFilter
from ckfunc.emulator.store.paging import CursorRequest, PageRequest
from ckfunc.emulator.ui.invocations import ShownRun, latest_runs, read_cursor
from ckfunc.emulator.ui.pages import HEADERS, back, form_route, on_a_thread, page, page_route
from ckfunc.model.chat import Channel, ChannelType, File, Message, NewMessage, Thread, ThreadType, User, UserReference
from ckfunc.model.page import Cursor
from ckfunc.model.triggers import concerns, event_field
from ckfunc.scaffold.templates import sample_seed
from ckfunc.wire.messages import read_client_message

MOST_PARTICIPANTS = 4
_MOST_CHOICES = 100
_EMOJI = ("👍", "❤️", "😂", "🎉", "😢")
_AGENT = "ckfunc dashboard"
_MOST_VIEWS = 60
_COUNTED_MESSAGES = 1000
_CONSIDERED_RUNS = 200
_SHOWN_RUNS = 25
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif")


async def show_chat(call: Call, services: EmulatorServices) -> Reply:
    """Show a channel as the chosen users see it, by default its first two members."""
    database = services.database
    listed = await result_of(channels.page(database, PageRequest(0, _MOST_CHOICES, "channels.id ASC")))
    number = call.number("channel", 0, least=0, most=2**63 - 1)
    channel = access.channel(services.database, number) if number else next(iter(listed.items), None)
    if channel is None:
        return page(call, services, "chat_empty", section="chat", title="Chat")
    choices = _members_first(database, channel, _MOST_CHOICES)
    chosen = [_user(services, text) for text in dict.fromkeys(call.every("as")) if text]
    chosen = (chosen or choices[:2])[:MOST_PARTICIPANTS]
    people = [_participant(services, channel, user) for user in chosen]
    thread = _thread_in(database, channel, call.number("thread", 0, least=0, most=2**63 - 1))
    shown = await _timeline(services, channel, people, thread=thread, cursor=read_cursor(call))
    return page(
        call,
        services,
        "chat",
        title=f"Chat in {channel_title(channel)}",
        channel=channel,
        can_save=services.options.conversations is not None,
        channel_title=channel_title(channel),
        channels=[(listed_channel.id, channel_title(listed_channel)) for listed_channel in listed.items],
        choices=choices,
        people=people,
        most=MOST_PARTICIPANTS,
        thread=thread,
        timeline=shown,
        emoji=_EMOJI,
    )


def send_message(call: Call, services: EmulatorServices) -> Reply:
    """Send a text or a file as a user, to the channel or to a thread."""
    form = call.form()
    user = _user(services, form.get("user", ""))
    thread_id = whole_number(form.get("thread", "")) or 0
    if thread_id:
        thread = access.writable_thread(services.database, thread_id, user)
        channel_id = thread.channel_id
    else:
        thread = None
        channel_id = access.writable_channel(services.database, call.id(), user).id
    context = services.context(call, user)
    sent = False
    if call.is_multipart and (part := call.multipart().get("file")) is not None and part.content:
        new = NewMessage(user=UserReference(id=user.id))
        new = stored(services.database, new, call.upload())
        message_actions.send(context, channel_id, new, user, thread)
        sent = True
    body = form.get("body", "")
    if body.strip():
        new = read_client_message({"type": "TEXT", "body": body}, UserReference(id=user.id))
        message_actions.send(context, channel_id, new, user, thread)
    elif not sent:
        raise Refused("write a message or choose a file")
    services.typing.stop(context, user, channel_id)
    return _back(call)


async def change_message(call: Call, services: EmulatorServices) -> Reply:
    """React to a message, read it or delete it, as a user."""
    form = call.form()
    user = _user(services, form.get("user", ""))
    context = services.context(call, user)
    message = access.visible_message(services.database, call.id(), user)
    if "react" in form:
        _react(context, user, message, form["react"])
    elif "read" in form:
        message_actions.read(context, user, message)
    elif "unread" in form:
        message_actions.unread(context, user, message)
    elif "delete" in form:
        own = access.own_message(services.database, message.id, user, moderated=True)
        await delete_in_steps(services.database, message_actions.delete(context, own))
    else:
        raise Refused("the form has no action")
    return _back(call)


async def change_participant(call: Call, services: EmulatorServices) -> Reply:
    """Connect or disconnect a user, read all messages, or make the user a member of the channel."""
    form = call.form()
    channel, user = access.channel(services.database, call.id()), _user(services, form.get("user", ""))
    context = services.context(call, user)
    if "connect" in form:
        await _connect(context, channel, user)
    elif "disconnect" in form:
        _disconnect(context, user)
    elif "read" in form:
        channel = access.visible_channel(services.database, channel.id, user)
        message_actions.read_all(context, user, conversations.unread_ids(services.database, user.id, channel.id))
    elif "join" in form:
        if channel.type is ChannelType.DIRECT:
            raise Refused("a direct channel does not accept new members")
        channel_actions.add_member(context, channel, user)
    else:
        raise Refused("the form has no action")
    return _back(call)


async def add_sample(call: Call, services: EmulatorServices) -> Reply:
    """Add two users in a channel, so that there is something to try."""
    await services.add_seed(sample_seed())
    return _back(call)


async def show_conversation(call: Call, services: EmulatorServices) -> Reply:
    """Show the conversation of a channel as a test case."""
    return await _conversation_page(call, services)


async def download_conversation(call: Call, services: EmulatorServices) -> Reply:
    """Answer with the conversation of a channel as a test file."""
    drafts = _drafts(services)
    channel = access.channel(services.database, call.id())
    draft = await on_a_thread(lambda: drafts.draft(channel.id))
    name = f'attachment; filename="conversation-{channel.id}.yaml"'
    return Reply(
        content=draft.text.encode(),
        headers={**HEADERS, "content-disposition": name},
        content_type="application/yaml; charset=utf-8",
    )


async def add_conversation(call: Call, services: EmulatorServices) -> Reply:
    """Add the conversation of a channel to the project's tests."""
    drafts = _drafts(services)
    channel = access.channel(services.database, call.id())
    return await _conversation_page(call, services, await on_a_thread(lambda: drafts.add(channel.id)))


async def _conversation_page(call: Call, services: EmulatorServices, command: str | None = None) -> Reply:
    drafts = _drafts(services)
    channel = access.channel(services.database, call.id())
    draft = await on_a_thread(lambda: drafts.draft(channel.id))
    return page(
        call,
        services,
        "saved_conversation",
        section="chat",
        title="Conversation as a test",
        channel=channel,
        draft=draft,
        command=command,
    )


def _drafts(services: EmulatorServices) -> ConversationDrafts:
    if services.options.conversations is None:
        raise Missing("only an emulator that saves its data can save conversations")
    services.database.commit()
    return services.options.conversations()


def _react(context: ActionContext, user: User, message: Message, text: str) -> None:
    access.writable_channel(context.database, message.channel_id, user)
    if not text.strip():
        raise Refused("choose an emoji")
    emoji = emoji_of(text[:64])
    if message_actions.remove_reaction(context, user, message, emoji.character) is None:
        message_actions.react(context, user, message, emoji)


async def _connect(context: ActionContext, channel: Channel, user: User) -> None:
    """Open a session of a user, as a client does, and a chat session in the channel."""
    channel = access.visible_channel(context.database, channel.id, user)
    event = {"username": user.name, "authParams": {}}
    decision = await user_actions.attempt_start_session(context.database, context.dispatch, event)
    if not decision.allowed:
        raise Denied(f"the session was denied: {decision.reason}")
    session_id = user_actions.connect(context, user, _AGENT)
    user_actions.open_chat(context, session_id, user, channel)


def _disconnect(context: ActionContext, user: User) -> None:
    """End the sessions of a user that the dashboard opened."""
    for session_id in sessions.open_session_ids(context.database, user.id):
        if session_id not in context.topics.connections:
            current = users.get(context.database, user.id)
            user_actions.disconnect(context, session_id, current or user)


def _back(call: Call) -> Reply:
    return back(call, "/ui/chat")


def _user(services: EmulatorServices, text: str) -> User:
    number = whole_number(text)
    user = users.get(services.database, number) if number is not None and number < 2**63 else None
    return access.existing(user, "user", repr(text[:60]))


@frozen
class Participant:
    """A user whose view of the channel is shown.

    `client` is whether a client is connected, besides the dashboard. `unread` counts among the newest 1,000 messages.
    """

    user: User
    member: bool
    present: bool
    client: bool
    unread: int


@frozen
class MessageView:
    """A message as one user sees it."""

    participant: Participant
    own: bool
    unread: bool
    reacted: frozenset[str]


@frozen
class FileLink:
    """A file that can be opened: a hosted one, or a web address. `image` is whether it is shown in the page."""

    url: str | None
    image: bool


@frozen
class TimelineRow:
    """A message with its views, or a run of a function."""

    time: datetime
    message: Message | None = None
    views: tuple[MessageView, ...] = ()
    readers: tuple[User, ...] = ()
    file: FileLink | None = None
    run: ShownRun | None = None

    @property
    def position(self) -> tuple[datetime, bool, int]:
        """The place in the timeline: by id at the same time, which all messages of a seed have."""
        item = self.message if self.run is None else self.run.run.invocation
        return self.time, self.run is not None, 0 if item is None else item.id


@frozen
class Timeline:
    """Rows in the order of time. `older` is the message before which older ones begin, or None."""

    rows: tuple[TimelineRow, ...]
    older: int | None


def _participant(services: EmulatorServices, channel: Channel, user: User) -> Participant:
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


async def _timeline(
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
    rows = [_message_row(message, participants, tuple(readers.get(message.id, ()))) for message in shown]
    if cursor == Cursor():
        since = min((row.time for row in rows), default=None) if page.has_next else None
        only = None if thread is None else {message.id for message in shown}
        rows += [
            TimelineRow(run.run.invocation.created_time, run=run)
            for run in await _runs(services, channel, participants, since, only)
        ]
    rows.sort(key=lambda row: row.position)
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


def _thread_in(database: Database, channel: Channel, thread_id: int) -> Thread | None:
    """Return a thread of a channel, or None."""
    thread = channels.get_thread(database, thread_id) if thread_id else None
    return thread if thread is not None and thread.channel_id == channel.id else None


def _members_first(database: Database, channel: Channel, most: int) -> list[User]:
    """Return users to choose from: the members of a channel, then others."""
    inside = list(users.members(database, channel.id))[:most]
    member_ids = {user.id for user in inside}
    return inside + [user for user in users.first(database, most) if user.id not in member_ids][: most - len(inside)]


def channel_title(channel: Channel) -> str:
    """Return a name for a channel; a direct channel is called by its members."""
    if channel.display_name or channel.name:
        return channel.display_name or channel.name or ""
    return ", ".join(member.display_name for member in channel.members) or f"channel {channel.id}"


ROUTES = (
    page_route("/ui/chat", show_chat),
    form_route("/ui/chat/sample", add_sample),
    form_route("/ui/chat/channels/{id}/messages", send_message, UPLOAD_BYTES, stores_file=True),
    form_route("/ui/chat/channels/{id}/participants", change_participant),
    form_route("/ui/chat/messages/{id}", change_message),
    page_route("/ui/chat/channels/{id}/test", show_conversation),
    page_route("/ui/chat/channels/{id}/test.yaml", download_conversation),
    form_route("/ui/chat/channels/{id}/test", add_conversation),
)
