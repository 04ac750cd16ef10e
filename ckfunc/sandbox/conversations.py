"""Conversations inside an emulator: users and the system act, and functions run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ckfunc.base.errors import CkfuncError
from ckfunc.base.text import did_you_mean, with_hint
from ckfunc.emulator.actions import channels as channel_actions
from ckfunc.emulator.actions import messages as message_actions
from ckfunc.emulator.actions import users as user_actions
from ckfunc.emulator.actions.access import visible_channel, writable_channel
from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.actions.messages import stored
from ckfunc.emulator.http.bodies import safe_name
from ckfunc.emulator.http.problems import Denied, HttpProblem, Missing
from ckfunc.emulator.realtime.actions import perform
from ckfunc.emulator.realtime.requests import ClientRequest, Destination
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import channels, invocations, messages, notifications, steps, users
from ckfunc.emulator.store.application import APPLICATION_ID
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.files import StoredFile
from ckfunc.emulator.store.invocations import RunFilter
from ckfunc.emulator.store.paging import CursorRequest, PageRequest
from ckfunc.model.chat import Channel, ChannelEvent, ChatSession, Message, NewMessage, User, UserReference
from ckfunc.model.execution import Compiled, Determinism, Environment, HandlerError, SyntaxProblem
from ckfunc.model.page import Cursor, Relation
from ckfunc.sandbox.acts import Act, ChainedRun, Consequences, SaidMessage, SentNotification, UploadedFile, Verb
from ckfunc.sandbox.scripts import Ran
from ckfunc.sandbox.trials import pin
from ckfunc.wire.links import Links
from ckfunc.wire.reading import Malformed

STEP_S = 1.0
"""How long an act takes on the conversation's clock, so that no two acts have the same time."""

_AGENT = "ckfunc test"
_MOST = 10_000


@dataclass(slots=True)
class VirtualCall:
    """A call on the clock of a conversation."""

    due: datetime
    run: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """Make sure that the call does not happen."""
        self.cancelled = True


class VirtualTime:
    """The clock of a conversation, and the random numbers of its runs."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._runs = 0
        self._calls: list[VirtualCall] = []

    def now(self) -> datetime:
        """Return the current time."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Advance the clock, and make the calls that are due. Raises CkfuncError beyond the year 9999."""
        try:
            end = self._now + timedelta(seconds=seconds)
        except OverflowError:
            raise CkfuncError("the conversation's clock cannot go beyond the year 9999") from None
        while due := [call for call in self._calls if call.due <= end]:
            call = min(due, key=lambda call: call.due)
            self._calls.remove(call)
            if not call.cancelled:
                self._now = call.due
                call.run()
        self._now = end

    def call_later(self, seconds: float, function: Callable[..., None], *arguments: object) -> VirtualCall:
        """Call a function when the clock has advanced by some seconds."""
        call = VirtualCall(self._now + timedelta(seconds=seconds), partial(function, *arguments))
        self._calls.append(call)
        return call

    def next_run(self) -> Determinism:
        """Return clock and seed of the next run. Each run has another seed."""
        self._runs += 1
        return Determinism(round(self._now.timestamp() * 1000), self._runs)


class Conversation:
    """A conversation in an emulator with all functions. Everything happens on the emulator's thread."""

    def __init__(self, services: EmulatorServices, time: VirtualTime) -> None:
        self._services = services
        self._database = services.database
        self._time = time
        self._sessions: dict[str, int] = {}
        self._chats: dict[tuple[str, int], ChatSession] = {}
        self._uploads = 0

    async def perform(self, act: Act) -> Consequences:
        """Perform an act, wait for the end of all functions that it runs, and return everything that it caused."""
        refusal = None
        before, last_run, last_notification = self._messages(), self._last("invocations"), self._last("notifications")
        try:
            await self._do(act)
        except HttpProblem as problem:
            refusal = problem.explanation
        except Malformed as problem:
            refusal = str(problem)
        if act.verb is not Verb.CONNECTS:
            before = self._messages()  # no function has run yet
        await self._services.idle()
        everyone = users.first(self._database, _MOST)
        caused = Consequences(
            self._time.now(),
            refusal,
            messages=self._changed_messages(before),
            runs=tuple(chained_runs(self._database, _after(last_run))),
            notifications=self._notifications_since(last_notification, everyone),
            online={user.name: user.presence.online for user in everyone},
            typing=tuple(sorted(user.name for user in everyone if user.id in self._services.typing.user_ids)),
        )
        self._time.advance(act.wait_s if act.verb is Verb.WAITS else STEP_S)
        return caused

    # Acts

    async def _do(self, act: Act) -> None:
        match act.verb:
            case Verb.WAITS:
                return
            case Verb.CONNECTS:
                await self._connect(act)
            case Verb.DISCONNECTS:
                user = self._user(act)
                user_actions.disconnect(self._context(user), self._sessions.pop(user.name), user)
                self._chats = {key: chat for key, chat in self._chats.items() if key[0] != user.name}
            case _ if act.user is None:
                self._act_as_system(act)
            case Verb.OPENS:
                self._open(act)
            case Verb.CLOSES:
                self._close(act)
            case Verb.UPLOADS:
                self._upload(act)
            case _:
                await self._act_as_client(act)

    async def _connect(self, act: Act) -> None:
        context, name = self._context(), act.user or ""
        event = {"username": name, "authParams": dict(act.data)}
        decision = await user_actions.attempt_start_session(context.database, context.dispatch, event)
        if decision.user is None or not decision.allowed:
            raise Denied(decision.reason or "the session was denied")
        self._sessions[name] = user_actions.connect(context, decision.user, _AGENT)

    def _open(self, act: Act) -> None:
        user = self._user(act)
        channel = visible_channel(self._database, self._channel(act).id, user)
        opened = user_actions.open_chat(self._context(user), self._sessions[user.name], user, channel)
        self._chats[user.name, channel.id] = opened

    def _close(self, act: Act) -> None:
        user, channel = self._user(act), self._channel(act)
        chat = self._chats.pop((user.name, channel.id), None)
        if chat is None:
            raise Missing(f"{user.name!r} has not opened channel {title(channel)!r}")
        user_actions.close_chat(self._context(user), chat)

    def _upload(self, act: Act) -> None:
        user = self._user(act)
        context, channel = self._context(user), writable_channel(self._database, self._channel(act).id, user)
        file = act.file or UploadedFile("application/octet-stream", b"")
        self._uploads += 1
        new = stored(
            self._database,
            NewMessage(user=UserReference(id=user.id), properties=act.data),
            StoredFile(
                safe_name(act.text),
                file.content_type,
                file.content,
                key=f"upload-{self._uploads}",  # a random one would differ each time
            ),
        )
        message_actions.send(context, channel.id, new, user)
        self._services.typing.stop(context, user, channel.id)

    def _act_as_system(self, act: Act) -> None:
        context, channel = self._context(), self._channel(act)
        if act.verb is Verb.TRIGGERS:
            channel_actions.trigger_event(context, channel, ChannelEvent(act.text, act.data))
        else:
            message_actions.send(context, channel.id, NewMessage(body=act.text, properties=act.data), None)

    async def _act_as_client(self, act: Act) -> None:
        """Do what the user's client asks for with the client protocol."""
        user, channel = self._user(act), self._channel(act)
        kind, part, write = _CLIENT_ACTS[act.verb]
        number = channel.id
        if kind == "messages" or act.about is not None:
            kind, number = "messages", self._message(act, channel, user).id
        at, session_id = Destination(kind, number, part), self._sessions[user.name]
        request = ClientRequest(self._services, self._context(user), user, session_id, at, write(act), {})
        doing = perform(request)
        if doing is not None:
            await doing

    # References of acts

    def _context(self, user: User | None = None) -> ActionContext:
        services = self._services
        links = Links(services.dispatch.base_url, APPLICATION_ID)
        return ActionContext(services.database, services.dispatch, services.topics, links, actor=user)

    def _user(self, act: Act) -> User:
        name = act.user or ""
        user = users.find_by_name(self._database, name)
        if user is None or name not in self._sessions:
            raise Denied(with_hint(f"{name!r} is not connected", did_you_mean(name, self._sessions)))
        return user

    def _channel(self, act: Act) -> Channel:
        name, listed = act.channel or "", all_channels(self._database)
        for matches in (
            lambda channel: channel.name == name,
            lambda channel: str(channel.id) == name,
            lambda channel: title(channel) == name,
        ):
            for channel in filter(matches, listed):
                return channel
        hint = did_you_mean(name, [channel.name for channel in listed if channel.name])
        raise Missing(with_hint(f"there is no channel {name!r}", hint))

    def _message(self, act: Act, channel: Channel, user: User) -> Message:
        """Return the newest message in a channel with the text `about`; only the user's own to edit or delete."""
        own = act.about is None and act.verb in (Verb.EDITS, Verb.DELETES)
        for message in sorted(self._messages().values(), key=lambda message: -message.id):
            mine = message.user is not None and message.user.id == user.id
            if message.channel_id == channel.id and (act.about or "") in _shown_text(message) and (mine or not own):
                return message
        part = f" with {act.about!r}" if act.about else ""
        raise Missing(f"there is no message{part} in channel {title(channel)!r}")

    # Consequences

    def _messages(self) -> dict[int, Message]:
        return {message.id: message for message in all_messages(self._database)}

    def _last(self, table: str) -> int:
        newest: int = self._database.value(f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608 - a constant
        return newest

    def _changed_messages(self, before: Mapping[int, Message]) -> tuple[SaidMessage, ...]:
        names = {channel.id: title(channel) for channel in all_channels(self._database)}
        now = self._messages()
        changed = [
            said(message, names, changed=message.id in before)
            for message in now.values()
            if message.id not in before or _contents(before[message.id]) != _contents(message)
        ]
        deleted = [said(message, names, deleted=True) for message in before.values() if message.id not in now]
        return tuple(sorted(changed + deleted, key=lambda message: message.id))

    def _notifications_since(self, last: int, everyone: tuple[User, ...]) -> tuple[SentNotification, ...]:
        sent = [
            (notification, user.name)
            for user in everyone
            for notification in notifications.page(self._database, user.id, _after(last)).items
        ]
        return tuple(
            SentNotification(name, record.title, record.body, None if record.channel is None else title(record.channel))
            for record, name in sorted(sent, key=lambda pair: pair[0].id)
        )


def all_channels(database: Database) -> tuple[Channel, ...]:
    """Return the channels by ascending id, at most 10,000."""
    return steps.run(channels.page(database, PageRequest(0, _MOST, "channels.id ASC"))).items


def all_messages(database: Database) -> list[Message]:
    """Return the newest messages of all channels, at most 10,000, oldest first."""
    return list(reversed(steps.run(messages.page(database, CursorRequest(Cursor(), _MOST))).items))


def chained_runs(database: Database, request: CursorRequest, since: datetime | None = None) -> list[ChainedRun]:
    """Return runs of all functions with their details, oldest first; only those since a moment, if there is one."""
    page = steps.run(invocations.runs(database, request, RunFilter()))
    runs = [run for run in reversed(page.items) if since is None or run.invocation.created_time >= since]
    details = invocations.details(database, [run.invocation.id for run in runs])
    return [ChainedRun(run.type, Ran(run.invocation, detail)) for run, detail in zip(runs, details, strict=True)]


def begin(
    services: EmulatorServices,
    scripts: Mapping[str, Compiled | SyntaxProblem],
    environment: Environment | HandlerError,
    *,
    generation: int,
    time: VirtualTime,
) -> Conversation:
    """Begin a conversation in which events run all functions that were set up, in the time of `time`."""
    dispatch = services.dispatch
    dispatch.pin_environment(environment)
    for trigger_type, script in scripts.items():
        pin(dispatch, trigger_type, script, generation)
    dispatch.chained = True
    dispatch.next_conditions = time.next_run
    services.database.now = time.now
    services.typing.call_later = time.call_later
    return Conversation(services, time)


def end(services: EmulatorServices) -> None:
    """End a conversation: events run no functions any more."""
    services.dispatch.chained = False
    services.dispatch.next_conditions = None
    services.typing.close()
    services.typing.call_later = None


def _shown_text(message: Message) -> str:
    """Return the text of a message, or the name of its file."""
    return message.body or (message.file.name if message.file is not None else "")


def _text(act: Act) -> dict[str, Any]:
    return {"type": "TEXT", "body": act.text, "properties": dict(act.data)}


def _nothing(_act: Act) -> dict[str, Any]:
    return {}


_CLIENT_ACTS: Mapping[Verb, tuple[str, str, Callable[[Act], dict[str, Any]]]] = {
    Verb.JOINS: ("channels", "join", _nothing),
    Verb.LEAVES: ("channels", "leave", _nothing),
    Verb.INVITES: ("channels", "invite", lambda act: {"user": {"name": act.text}}),
    Verb.SAYS: ("channels", "message", _text),
    Verb.TRIGGERS: ("channels", "triggerEvent", lambda act: {"type": act.text, "properties": dict(act.data)}),
    Verb.READS: ("channels", "read", _nothing),
    Verb.STARTS_TYPING: ("channels", "keystrokes", lambda _: {"keys": "…"}),
    Verb.STOPS_TYPING: ("channels", "keystrokes", lambda _: {"keys": ""}),
    Verb.REPLIES: ("messages", "reply", _text),
    Verb.EDITS: ("messages", "edit", lambda act: {"body": act.text}),
    Verb.DELETES: ("messages", "delete", _nothing),
    Verb.REACTS: ("messages", "react", lambda act: {"emoji": act.text}),
}
"""The action of the client protocol for each act: kind and part of its destination, and its body."""


def _after(last: int) -> CursorRequest:
    return CursorRequest(Cursor(start=last, relation=Relation.PREVIOUS), _MOST)


def title(channel: Channel) -> str:
    """Return the name of a channel in acts and messages; for a direct channel, its members."""
    return channel.name or ", ".join(user.name for user in channel.members) or str(channel.id)


def _contents(message: Message) -> Message:
    """Return a message without what changes when others react to it, reply to it or report it."""
    return replace(message, reactions=(), replies_count=None, report_count=None, mentions=(), user=None)


def said(
    message: Message, channels_by_id: Mapping[int, str], *, changed: bool = False, deleted: bool = False
) -> SaidMessage:
    """Return a message that was created, changed or deleted."""
    return SaidMessage(
        message.id,
        channels_by_id.get(message.channel_id, str(message.channel_id)),
        None if message.user is None else message.user.name,
        message.type,
        message.body,
        None if message.file is None else message.file.name,
        dict(message.properties),
        changed=changed,
        deleted=deleted,
    )
