"""Messages of a target's channel, as a past conversation with its runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile

from ckfunc.api.client import Client
from ckfunc.api.lists import MessageFilter, PagePart, find_channel, list_users, newest_messages
from ckfunc.model.application import Function, Invocation, InvocationDetail, Status
from ckfunc.model.chat import Message
from ckfunc.model.triggers import START_SESSION
from ckfunc.sandbox.acts import (
    Act,
    ChainedRun,
    Past,
    PastStep,
    Verb,
    about_of,
    seed_channel,
    seed_user,
    text_of,
    upload_of,
    with_waits,
)
from ckfunc.sandbox.conversations import said, title
from ckfunc.sandbox.scripts import Ran
from ckfunc.testing.recording import CannotRecord

MOST_MESSAGES = 200
_MOST_MEMBERS = 100
_PAGE = 100
_MOST_PAGES = 10
_SENT = "user.sent.message"
_LONGEST_RUN = timedelta(seconds=15)
"""How long after the start of a run a message of the system is taken for one of the function."""
_SESSION = timedelta(days=1)
"""How long before the first message a user can have connected."""


@dataclass(frozen=True, slots=True)
class ChannelPast:
    """The newest messages of a channel as a past conversation, which begins at `start`."""

    past: Past
    start: datetime
    channel_id: int


def read_channel_past(client: Client, channel: str, most: int) -> ChannelPast:
    """Return the newest messages of a channel, at most `most`, and the runs for them. Only sends GET requests.

    `channel` is a name or an id. Raises NotFound, and CannotRecord for a channel without messages.
    """
    match = find_channel(client, channel)
    newest = newest_messages(client, most, MessageFilter(channel_id=match.id))
    messages = [entry.item for entry in reversed(newest.items)]
    if not messages:
        raise CannotRecord(f"channel {title(match)!r} has no messages", hint="use a channel with messages")
    members = [entry.item for entry in list_users(client, PagePart(_MOST_MEMBERS), channel_id=match.id).items]
    senders = [message.user for message in messages if message.user is not None]
    people = {user.id: user for user in (*members, *senders)}
    functions = client.functions()
    start = messages[0].created_time
    reader = _ChannelReader(
        title(match),
        {match.id: title(match)},
        {
            entry.args["message"]["id"]: entry
            for entry in _runs(client, functions, _SENT, start)
            if _channel_id(entry) == match.id
        },
        list(_runs(client, functions, START_SESSION, start - _SESSION)),
    )
    data = {"users": [seed_user(user) for user in people.values()], "channels": [seed_channel(match, people.values())]}
    past = Past(
        data,
        tuple(with_waits(reader.steps(messages), start)),
        tuple((user.name, user.display_name) for user in people.values()),
        tuple(client.runtime().environment.items()),
        running=False,
    )
    return ChannelPast(past, start, match.id)


def _runs(client: Client, functions: Iterable[Function], trigger_type: str, since: datetime) -> Iterator[Invocation]:
    """Yield the finished runs of the function of a type since a moment, the newest first, within limits."""
    for function in functions:
        if function.type != trigger_type:
            continue
        for number in range(_MOST_PAGES):
            page = client.invocations(function.id, page=number, size=_PAGE)
            recent = list(takewhile(lambda run: run.created_time >= since, page.items))
            yield from (run for run in recent if run.status is not Status.RUNNING)
            if len(recent) < len(page.items) or number + 1 >= page.total_pages:
                break


def _channel_id(run: Invocation) -> int | None:
    """Return the channel of a message's event, or None if the event has not the usual form."""
    channel, message = run.args.get("channel"), run.args.get("message")
    has_message = isinstance(message, Mapping) and isinstance(message.get("id"), int)
    channel_id = channel.get("id") if isinstance(channel, Mapping) and has_message else None
    return channel_id if isinstance(channel_id, int) else None


@dataclass(frozen=True, slots=True)
class _ChannelReader:
    """Makes steps of messages. `runs` are the runs for messages, by message, `sessions` those for sessions."""

    channel: str
    names: Mapping[int, str]
    runs: Mapping[int, Invocation]
    sessions: list[Invocation]

    def steps(self, messages: list[Message]) -> Iterator[PastStep]:
        """Yield the steps in the order of time. Each user connects before the first message."""
        connected: set[str] = set()
        by_id = {message.id: message for message in messages}
        acted = [self._step(message) for message in messages]
        edited = [step for message in messages if (step := self._edit(message)) is not None]
        last: PastStep | None = None
        for step in sorted([*acted, *edited], key=lambda step: step.time):
            user = step.act.user
            if last is not None and last.runs and user is None and self._is_answer(step, last):
                last.messages.append(said(by_id[step.message_id or 0], self.names))
                continue
            if last is not None:
                yield last
            if user is not None and user not in connected:
                connected.add(user)
                yield PastStep(step.time, self._connection(user, step.time))
            last = step
        if last is not None:
            yield last

    def _edit(self, message: Message) -> PastStep | None:
        """Return the step of a user who changed a message, unless the function may have changed it."""
        time, run = message.last_edited_time, self.runs.get(message.id)
        if time is None or message.user is None or message.body is None or run is None:
            return None  # without a run, the original text is not known
        if time - run.created_time <= _LONGEST_RUN:
            return None
        original = about_of(replace(message, body=_original(run)))
        return PastStep(time, Act(Verb.EDITS, message.user.name, self.channel, original, message.body))

    def _connection(self, user: str, before: datetime) -> Act:
        """Return how a user connected, with the authParams of the newest session until then, if it is known."""
        for run in self.sessions:
            params = run.args.get("authParams")
            until_then = run.args.get("username") == user and run.created_time <= before
            if until_then and isinstance(params, dict) and run.status is Status.SUCCEEDED:
                return Act(Verb.CONNECTS, user, data=params)
        return Act(Verb.CONNECTS, user)

    def _is_answer(self, step: PastStep, to: PastStep) -> bool:
        return timedelta(0) <= step.time - to.runs[-1].ran.invocation.created_time <= _LONGEST_RUN

    def _step(self, message: Message) -> PastStep:
        step = PastStep(message.created_time, self._act(message), message_id=message.id)
        if (run := self.runs.get(message.id)) is not None:
            step.runs.append(ChainedRun(_SENT, Ran(run, InvocationDetail(run.id))))
        return step

    def _act(self, message: Message) -> Act:
        data = dict(message.properties)
        if message.user is None:
            return Act(Verb.SENDS, None, self.channel, text=text_of(message), data=data)
        if message.file is not None:
            return upload_of(message, self.channel)
        run = self.runs.get(message.id)
        text = (_original(run) if run is not None else None) or text_of(message)
        return Act(Verb.SAYS, message.user.name, self.channel, text=text, data=data)


def _original(run: Invocation) -> str | None:
    """Return the text of a message when it was sent; it may have been edited since then."""
    body = run.args["message"].get("body")
    return body if isinstance(body, str) else None
