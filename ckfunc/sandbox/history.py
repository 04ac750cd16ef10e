"""Acts on an emulator since a moment, and everything that they caused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.base.errors import CkfuncError
from ckfunc.base.secrets import Secret
from ckfunc.emulator.data_directory import DATABASE
from ckfunc.emulator.store import application, channels, notifications, sessions, users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.database_file import copied
from ckfunc.emulator.store.paging import CursorRequest
from ckfunc.emulator.store.sessions import Occurrence
from ckfunc.model.application import ApiCall, Status
from ckfunc.model.chat import Channel, Message
from ckfunc.model.page import Cursor
from ckfunc.model.triggers import START_SESSION
from ckfunc.sandbox.acts import (
    Act,
    ChainedRun,
    RecordedConversation,
    RecordedStep,
    SentNotification,
    Verb,
    about_of,
    seed_channel,
    seed_message,
    seed_user,
    text_of,
    upload_of,
    with_waits,
)
from ckfunc.sandbox.conversations import all_channels, all_messages, chained_runs, said, title

MOST_ROWS = 500
"""The most users, channels and messages of an emulator whose conversation is recorded: all of them become test data."""

_MOST = 10_000
_AT_ONCE = timedelta(milliseconds=10)
_FIRST = (Verb.CONNECTS, Verb.JOINS, Verb.OPENS, Verb.STARTS_TYPING)
"""Acts that were first if others are of the same millisecond."""

_SENT = "user.sent.message"
_ABOUT_MESSAGES = {_SENT: ("message", "id"), "user.received.notification": ("notification", "data", "message", "id")}
"""Where events have the id of the message that caused them."""
_JOINED = """
SELECT channel_id, users.name FROM channel_members
  JOIN users ON users.id = user_id JOIN channels ON channels.id = channel_id
  WHERE channel_members.created_time >= ? AND channel_members.created_time > channels.created_time
"""
_INVITED = "user.received.channel_invite"
_USER_TRIGGERED = "user.triggered.event"
_SYSTEM_TRIGGERED = "system.triggered.event"


class NoConversation(CkfuncError):
    """A channel has no messages."""


class TooMuchData(CkfuncError):
    """The emulator has too much data for a test case."""


def data_of(directory: Path) -> dict[str, Any]:
    """Return all users, channels and messages of an emulator, running or not, as a seed. Raises TooMuchData."""
    with closing(copied(directory / DATABASE)) as database:
        return _data_of(database)


def _data_of(database: Database) -> dict[str, Any]:
    everyone, every_channel = users.first(database, MOST_ROWS + 1), all_channels(database)
    every_message = all_messages(database)
    if max(map(len, (everyone, every_channel, every_message))) > MOST_ROWS:
        raise TooMuchData(
            f"the emulator has more than {MOST_ROWS} users, channels or messages",
            hint="record on less data: `ckfunc emulator export FILE` saves it, `ckfunc emulator reset` removes it",
        )
    return {
        "users": [seed_user(user) for user in everyone],
        "channels": [_channel_with_messages(database, channel, every_message) for channel in every_channel],
    }


def conversation_of_channel(directory: Path, channel_id: int) -> tuple[RecordedConversation, datetime]:
    """Return the conversation of a channel from its first message on, and the time of that message.

    The data before it is inferred from the data now: without later messages, without users and channels that functions
    have created since, and without members who have joined since. Raises TooMuchData and NoConversation.
    """
    with closing(copied(directory / DATABASE)) as database:
        row = database.one("SELECT min(created_time) FROM messages WHERE channel_id = ?", channel_id)
        if row is None or row[0] is None:
            raise NoConversation("this channel has no messages", hint="send some first")
        start = parse_timestamp(row[0])
        before = _HistoryReader(database, start).data_before(_data_of(database))
        channel = channels.get(database, channel_id)
    conversation = conversation_since(directory, before, start)
    if channel is None:
        raise NoConversation("this channel was deleted")
    name = title(channel)
    active = {step.act.user for step in conversation.steps if step.act.channel == name}
    visible = tuple(
        step
        for step in conversation.steps
        if step.act.channel == name or (step.act.channel is None and step.act.user in {*active, None})
    )
    return replace(conversation, steps=visible), start


def conversation_since(directory: Path, data: dict[str, Any], since: datetime) -> RecordedConversation:
    """Return what has happened on an emulator since a moment, at which it had `data`."""
    with closing(copied(directory / DATABASE)) as database:
        reader = _HistoryReader(database, since)
        people = tuple((user.name, user.display_name) for user in users.first(database, _MOST))
        environment = tuple((name, Secret(text)) for name, text in application.runtime(database).environment.items())
        steps = tuple(reader.steps())
        statuses = [run.ran.invocation.status for step in steps for run in step.runs]
        return RecordedConversation(data, steps, people, environment, running=Status.RUNNING in statuses)


class _Calls:
    """Calls of functions. Each explains one change of the data."""

    def __init__(self, runs: Iterable[ChainedRun]) -> None:
        self._left = [(run, call) for run in runs for call in run.ran.detail.calls if 200 <= call.status < 300]

    def take(self, method: str, path: str, **body: Any) -> ChainedRun | None:
        """Return the run that made such a call, the first time; None if a client or another program made it."""
        for index, (run, call) in enumerate(self._left):
            if call.method == method and call.path.partition("?")[0] == path and _has(call, body):
                del self._left[index]
                return run
        return None


def _has(call: ApiCall, body: dict[str, Any]) -> bool:
    recorded = call.body if isinstance(call.body, dict) else {}
    return all(recorded.get(name) == value for name, value in body.items())


class _HistoryReader:
    """Reads what has happened from a copy of the emulator's database."""

    def __init__(self, database: Database, since: datetime) -> None:
        self._database = database
        self._since = since
        every_channel = all_channels(database)
        self._names = {channel.id: title(channel) for channel in every_channel}
        self._created = {channel.id: channel.created_time for channel in every_channel}
        self._ids = {user.name: user.id for user in users.first(database, _MOST)}
        self._messages = {message.id: message for message in all_messages(database)}
        self._runs = chained_runs(database, CursorRequest(Cursor(), _MOST), since)
        self._calls = _Calls(self._runs)
        self._caused: dict[int, int] = {}
        """The runs that created or changed messages, by message."""

    def steps(self) -> list[RecordedStep]:
        """Return all steps in the order of time."""
        unordered = [*self._sent(), *self._edited(), *self._events(), *self._occurred()]
        unordered.sort(key=lambda step: (step.time, step.act.verb not in _FIRST))
        ordered = list(with_waits(self._connected(unordered), self._since))
        self._attribute(ordered)
        return ordered

    def data_before(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return a seed of all data now without what has been added since."""
        calls = _Calls(self._runs)
        joined = {(row["channel_id"], row["name"]) for row in self._database.all(_JOINED, timestamp(self._since))}
        before: dict[str, Any] = {"users": [], "channels": []}
        for user in data["users"]:
            if calls.take("POST", "/users", name=user["name"]) is None:
                before["users"].append(user)
        for channel in data["channels"]:
            if calls.take("POST", "/channels", name=channel.get("name")) is not None:
                continue
            earlier = [
                message
                for message in channel.get("messages", ())
                if self._messages[message["id"]].created_time < self._since
            ]
            members = [username for username in channel["members"] if (channel["id"], username) not in joined]
            plain = {name: value for name, value in channel.items() if name != "messages"} | {"members": members}
            before["channels"].append({**plain, "messages": earlier} if earlier else plain)
        return before

    # Acts

    def _sent(self) -> Iterator[RecordedStep]:
        """Yield the messages of users and of the system, without those of functions."""
        events = [run.ran.invocation.args for run in self._runs if run.type == _SENT]
        bodies = {
            _id(event, "message", "id"): text
            for event in events
            if isinstance(text := _field(event, "message", "body"), str)
        }
        for message in self._messages.values():
            if message.created_time < self._since:
                continue
            path = f"/channels/{message.channel_id}/messages"
            sent = {"type": "FILE"} if message.body is None else {"body": message.body}
            by = self._calls.take("POST", path, **sent)
            if by is not None:
                self._caused[message.id] = by.ran.invocation.id
                continue
            parent = self._messages.get(message.parent_id or 0)
            if message.file is not None and message.user is not None and parent is None:
                yield RecordedStep(
                    message.created_time, upload_of(message, self._names[message.channel_id]), message_id=message.id
                )
                continue
            text = bodies.get(message.id) or text_of(message)
            verb = Verb.SENDS if message.user is None else Verb.SAYS if parent is None else Verb.REPLIES
            name = None if message.user is None else message.user.name
            about = None if parent is None else about_of(parent)
            act = Act(verb, name, self._names[message.channel_id], about, text, dict(message.properties))
            yield RecordedStep(message.created_time, act, message_id=message.id)

    def _edited(self) -> Iterator[RecordedStep]:
        for message in self._messages.values():
            edited = message.last_edited_time
            if edited is None or edited < self._since or message.user is None:
                continue
            by = self._calls.take("PATCH", f"/messages/{message.id}")
            if by is not None:
                self._caused[message.id] = by.ran.invocation.id
            elif message.created_time < self._since:  # otherwise, the message is sent with its last text
                channel = self._names[message.channel_id]
                yield RecordedStep(edited, Act(Verb.EDITS, message.user.name, channel, text=message.body or ""))

    def _events(self) -> Iterator[RecordedStep]:
        """Yield what only functions know of: attempts to connect, custom events, invitations."""
        for run in self._runs:
            invocation, event = run.ran.invocation, run.ran.invocation.args
            channel_id = _id(event, "channel", "id")
            if run.type == START_SESSION and isinstance(event.get("username"), str):
                error = _field(invocation.result, "error", "message") if invocation.status is Status.FAILED else None
                params = event.get("authParams")
                act = Act(Verb.CONNECTS, event["username"], data=params if isinstance(params, dict) else {})
                yield RecordedStep(invocation.created_time, act, refusal=error, run_id=invocation.id)
            elif run.type in (_USER_TRIGGERED, _SYSTEM_TRIGGERED) and channel_id in self._names:
                user, properties = _field(event, "user", "name"), _field(event, "event", "properties")
                data = properties if isinstance(properties, dict) else {}
                kind = str(_field(event, "event", "type"))
                if isinstance(user, str) or (user is None and run.type == _SYSTEM_TRIGGERED):
                    act = Act(Verb.TRIGGERS, user, self._names[channel_id], text=kind, data=data)
                    yield RecordedStep(invocation.created_time, act)
            elif run.type == _INVITED and channel_id in self._names:
                inviting, invitee = _field(event, "invitingUser", "name"), _field(event, "user", "name")
                if isinstance(inviting, str) and isinstance(invitee, str):
                    act = Act(Verb.INVITES, inviting, self._names[channel_id], text=invitee)
                    yield RecordedStep(invocation.created_time, act)

    def _occurred(self) -> Iterator[RecordedStep]:
        occurrences = _read_together(sessions.occurrences(self._database, self._since))
        started = {str(run.ran.invocation.args.get("username")) for run in self._runs if run.type == START_SESSION}
        ends = {(occurrence.user, occurrence.time) for occurrence in occurrences if occurrence.kind == "disconnects"}
        open_now = Counter(
            (occurrence.user, occurrence.channel_id) for occurrence in sessions.open_at(self._database, self._since)
        )
        for occurrence in occurrences:
            key = (occurrence.user, occurrence.channel_id)
            if occurrence.kind in ("connects", "opens"):
                open_now[key] += 1
                skipped = occurrence.user in started if occurrence.kind == "connects" else open_now[key] > 1
            elif occurrence.kind == "stops_typing":
                skipped = self._has_sent(occurrence)
            elif occurrence.kind in ("disconnects", "closes"):
                open_now[key] -= 1
                skipped = open_now[key] > 0 or (
                    occurrence.kind == "closes" and (occurrence.user, occurrence.time) in ends
                )
            else:
                skipped = occurrence.kind == "joins" and self._was_added(occurrence)
            if not skipped:
                yield self._step_of(occurrence)

    def _has_sent(self, occurrence: Occurrence) -> bool:
        """Return whether a user stopped typing because the user sent a message."""
        return any(
            message.user is not None
            and (message.user.name, message.channel_id) == (occurrence.user, occurrence.channel_id)
            and timedelta(0) <= occurrence.time - message.created_time <= _AT_ONCE
            for message in self._messages.values()
        )

    def _was_added(self, occurrence: Occurrence) -> bool:
        """Return whether a function made a user a member, or the user is one since the channel was created."""
        path, user_id = f"/channels/{occurrence.channel_id}/members", self._ids[occurrence.user]
        taken = self._calls.take("POST", path, id=user_id) or self._calls.take("POST", path, username=occurrence.user)
        return taken is not None or self._created.get(occurrence.channel_id or 0) == occurrence.time

    def _step_of(self, occurrence: Occurrence) -> RecordedStep:
        channel = self._names.get(occurrence.channel_id or 0)
        message = self._messages.get(occurrence.message_id or 0)
        about = None if message is None else about_of(message)
        return RecordedStep(
            occurrence.time, Act(Verb(occurrence.kind), occurrence.user, channel, about, occurrence.text)
        )

    # Order

    def _connected(self, steps: Iterable[RecordedStep]) -> Iterator[RecordedStep]:
        """Yield the steps, with connections of users who were connected before, or who used no client."""
        connected: set[str] = set()
        for occurrence in sessions.open_at(self._database, self._since):
            connected.add(occurrence.user)
            yield self._step_of(occurrence)
        for step in steps:
            name, verb = step.act.user, step.act.verb
            if verb is Verb.CONNECTS and name is not None:
                connected |= set() if step.refusal else {name}
            elif name is not None and name not in connected:
                connected.add(name)
                yield RecordedStep(step.time, Act(Verb.CONNECTS, name))
            yield step
            if verb is Verb.DISCONNECTS:
                connected.discard(name or "")

    # Consequences

    def _attribute(self, timeline: list[RecordedStep]) -> None:
        """Add runs, messages of functions and notifications to the steps that caused them."""
        of_run: dict[int, RecordedStep] = {step.run_id: step for step in timeline if step.run_id is not None}
        of_message = {step.message_id: step for step in timeline if step.message_id is not None}
        for run in self._runs:
            invocation = run.ran.invocation
            step = of_run.get(invocation.id)
            if step is None and run.type in _ABOUT_MESSAGES:
                step = self._cause(run, of_message, of_run)  # None for an event that was triggered by hand
            elif step is None:
                step = _latest(timeline, invocation.created_time)
            if step is not None:
                of_run[invocation.id] = step
                step.runs.append(run)
        for message_id, run_id in self._caused.items():
            message, step = self._messages[message_id], of_run.get(run_id)
            if step is not None:
                changed = message_id in of_message or message.created_time < self._since
                step.messages.append(said(message, self._names, changed=changed))
                of_message.setdefault(message_id, step)
        received = [
            (notification, name)
            for name, user_id in self._ids.items()
            for notification in notifications.page(self._database, user_id, CursorRequest(Cursor(), _MOST)).items
            if notification.created_time >= self._since
        ]
        for notification, name in sorted(received, key=lambda pair: pair[0].id):
            step = of_message.get(notification.data.message.id)
            if step is not None:
                step.notifications.append(SentNotification(name, notification.title, notification.body))

    def _cause(
        self, run: ChainedRun, of_message: dict[int, RecordedStep], of_run: dict[int, RecordedStep]
    ) -> RecordedStep | None:
        """Return the step whose message, or whose function's message, an event is about."""
        message_id = _id(run.ran.invocation.args, *_ABOUT_MESSAGES[run.type])
        return of_message.get(message_id) or of_run.get(self._caused.get(message_id, 0))


def _read_together(occurrences: Iterable[Occurrence]) -> list[Occurrence]:
    """Make one occurrence, without a message, of messages that a user has read at once."""
    joined: list[Occurrence] = []
    for occurrence in occurrences:
        last = joined[-1] if joined else occurrence
        together = (last.kind, last.user, last.channel_id) == ("reads", occurrence.user, occurrence.channel_id)
        if occurrence.kind == "reads" and together and joined and occurrence.time - last.time <= _AT_ONCE:
            joined[-1] = replace(occurrence, message_id=None)
        else:
            joined.append(occurrence)
    return joined


def _latest(timeline: Iterable[RecordedStep], moment: datetime) -> RecordedStep | None:
    """Return the last act before a moment, which is not a wait."""
    latest = None
    for step in timeline:
        if step.time <= moment and step.act.verb is not Verb.WAITS:
            latest = step
    return latest


def _field(document: Any, *names: str) -> Any:
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _id(event: Any, *names: str) -> int:
    """Return a field of an event as an id; 0 if it is none, because anyone can trigger an event with anything in it."""
    value = _field(event, *names)
    return value if isinstance(value, int) else 0


def _channel_with_messages(database: Database, channel: Channel, every_message: Iterable[Message]) -> dict[str, Any]:
    document = seed_channel(channel, users.members(database, channel.id))
    messages = [seed_message(message) for message in every_message if message.channel_id == channel.id]
    return {**document, "messages": messages} if messages else document
