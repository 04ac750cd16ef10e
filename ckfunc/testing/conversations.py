"""Recorded conversations as test cases, without secrets and personal details."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from ckfunc.api.client import Client
from ckfunc.api.lists import MessageFilter, PagePart, find_channel, list_users, newest_messages
from ckfunc.base.clock import timestamp
from ckfunc.base.documents import deeper_than
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.manifest.tree import MAX_DEPTH
from ckfunc.model.application import Function, Invocation, InvocationDetail, Status
from ckfunc.model.chat import Message
from ckfunc.model.project import Project
from ckfunc.model.triggers import START_SESSION
from ckfunc.sandbox.acts import (
    Act,
    ChainedRun,
    RecordedConversation,
    RecordedStep,
    SaidMessage,
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
from ckfunc.testing.recording import Addition, CannotRecord, CaseFile, Recorded, addition_to, outcome_of
from ckfunc.testing.redacting import Redactor, ReplacedSecret
from ckfunc.testing.steps import NAMES_CHANNEL

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


@frozen
class PublicText:
    """Text that is public: the names of variables with literal values in functions.yaml, and the project's scripts."""

    variables: Collection[str] = ()
    scripts: str = ""


def public_text(project: Project) -> PublicText:
    """Return the text of a project that needs no placeholders."""
    scripts = [function.handler.text for function in project.functions or ()]
    if project.runtime.initialization_script is not None:
        scripts.append(project.runtime.initialization_script.text)
    return PublicText(project.runtime.literals, "\n".join(scripts))


def conversation_addition(
    conversation: RecordedConversation,
    file: CaseFile,
    *,
    name: str,
    start: datetime,
    project: Project | None,
    secrets: Iterable[tuple[str, Secret]] = (),
) -> Addition:
    """Return the addition of a conversation that begins at `start` to a test file. Writes nothing.

    `project` has the environment of tests, and public texts; `secrets` are further variables with secret values. Raises
    CannotRecord, CannotAddCase, and InvalidCases for an unreadable file.
    """
    environment, public = [*conversation.environment, *secrets], PublicText()
    if project is not None:
        environment += (project.runtime.environment or {}).items()
        public = public_text(project)
    return addition_to(
        file,
        lambda free: conversation_case(conversation, name=free, start=start, environment=environment, public=public),
        name=name,
    )


def conversation_case(
    conversation: RecordedConversation,
    *,
    name: str,
    start: datetime,
    environment: Iterable[tuple[str, Secret]],
    public: PublicText,
) -> Recorded:
    """Return a conversation that begins at `start` as a case. Raises CannotRecord if nothing has happened.

    Names of users, display names and e-mail addresses are replaced unless they are words of the project's scripts, then
    everything that looks like a secret. `environment` are the variables of the runtime.
    """
    if not conversation.steps:
        raise CannotRecord("nothing has happened on the emulator", hint="chat on the emulator before you press Ctrl-C")
    names = [(step.act.user, step.act.user) for step in conversation.steps if step.act.user is not None]
    people = _People([*conversation.people, *names], public.scripts)
    data, written = people.replaced(conversation.data), people.replaced(_steps(conversation.steps))
    if deeper_than([data, written], MAX_DEPTH - 4):
        raise CannotRecord("the conversation is nested too deeply for a test case")
    redactor = Redactor(_to_replace(environment, written, public.variables))
    for number, step in enumerate(written, 1):
        place = f"step {number}"
        redactor.learn({**step, "connects": None}, place)
        redactor.learn({"authParams": step.get("connects")}, place)
    redactor.learn(data, "data")
    case: dict[str, Any] = {"name": name, "now": timestamp(start)}
    if redactor.variables:
        case["environment"] = redactor.variables
    if any(data.values()):
        case["data"] = redactor.redacted({key: value for key, value in data.items() if value})
    case["conversation"] = redactor.redacted(written)
    return Recorded(case, (*people.replacements, *redactor.redactions))


def _to_replace(
    environment: Iterable[tuple[str, Secret]], written: Iterable[Mapping[str, Any]], public: Collection[str]
) -> Iterator[tuple[str, Secret]]:
    """Yield the variables to replace: secret ones, and public ones that authParams contain, which are replaced too."""
    params = {value for step in written for value in step.get("connects", {}).values() if isinstance(value, str)}
    for name, value in environment:
        if name not in public or value.reveal() in params:
            yield name, value


class _People:
    """Replaces names of users and e-mail addresses. Equal ones get equal placeholders.

    Words of `scripts` are not replaced: they are in the project already, and functions depend on them.
    """

    def __init__(self, people: Iterable[tuple[str, str]], scripts: str) -> None:
        self._placeholders: dict[str, str] = {}
        self.replacements: list[ReplacedSecret] = []
        names: dict[str, str] = {}
        for name, display_name in people:
            names.setdefault(name, display_name)
        for number, (name, display_name) in enumerate(names.items(), 1):
            placeholder = f"person-{number}@example.com" if "@" in name else f"person-{number}"
            for text, replacement, reason in (
                (name, placeholder, "a user's name"),
                (display_name, f"Person {number}", "a display name"),
            ):
                if not re.search(rf"(?<!\w){re.escape(text)}(?!\w)", scripts):
                    self._add(text, replacement, reason)

    def _add(self, text: str, placeholder: str, reason: str) -> str:
        if text not in self._placeholders:
            self._placeholders[text] = placeholder
            self.replacements.append(ReplacedSecret("data", reason, placeholder))
        return self._placeholders[text]

    def replaced(self, document: Any) -> Any:
        """Return a document with all names and addresses replaced, in keys too."""
        if isinstance(document, Mapping):
            return {self._text(str(name)): self.replaced(value) for name, value in document.items()}
        if isinstance(document, list):
            return [self.replaced(item) for item in document]
        return self._text(document) if isinstance(document, str) else document

    def _text(self, text: str) -> str:
        if text in self._placeholders:
            return self._placeholders[text]
        for name in sorted(self._placeholders, key=len, reverse=True):
            # Inside of a text, a short name such as "a" would be found in many words.
            if len(name) > 2 and name in text:
                placeholder = self._placeholders[name].replace("\\", r"\\")
                text = re.sub(rf"(?<![\w@.-]){re.escape(name)}(?![\w@-])", placeholder, text)
        return _EMAIL.sub(self._address, text)

    def _address(self, match: re.Match[str]) -> str:
        if match[0].endswith("@example.com"):
            return match[0]
        return self._add(match[0], f"address-{len(self._placeholders) + 1}@example.com", "an e-mail address")


def _steps(steps: Iterable[RecordedStep]) -> list[dict[str, Any]]:
    written = []
    channel: str | None = None
    for step in steps:
        written.append(_step(step, channel))
        channel = step.act.channel or channel
    return written


def _step(step: RecordedStep, channel: str | None) -> dict[str, Any]:
    """Return a step as in a test file. The channel is left out if it is that of the previous step."""
    act = step.act
    document: dict[str, Any] = {} if act.user is None else {"user": act.user}
    document[act.verb.value] = _value(act)
    if act.channel is not None and act.verb not in NAMES_CHANNEL and act.channel != channel:
        document["channel"] = act.channel
    if act.about is not None:
        document["message"] = act.about
    if act.data and act.verb is not Verb.CONNECTS:
        document["properties"] = dict(act.data)
    if act.file is not None:
        document |= {"content_type": act.file.content_type, "size": len(act.file.content)}
    expect = _expect(step)
    return {**document, "expect": expect} if expect else document


def _value(act: Act) -> Any:
    if act.verb is Verb.CONNECTS:
        return dict(act.data)
    if act.verb in (Verb.DISCONNECTS, Verb.DELETES):
        return True
    return act.channel if act.verb in NAMES_CHANNEL else act.text


def _expect(step: RecordedStep) -> dict[str, Any]:
    expect: dict[str, Any] = {}
    if step.refusal is not None and step.refusal.strip():
        expect["error"] = step.refusal
    elif step.refusal is not None:
        expect["error_matches"] = "^\\s*$"
    if step.runs or step.messages:
        expect["messages"] = [_message(message) for message in step.messages]
    if step.runs:
        expect["functions"] = [{"type": run.type, **outcome_of(run.ran.invocation)} for run in step.runs]
    if step.notifications:
        expect["notifications"] = [
            {"user": notification.user, "title": notification.title, "body": notification.body}
            for notification in step.notifications
        ]
    return expect


def _message(message: SaidMessage) -> dict[str, Any]:
    document: dict[str, Any] = {"system": True} if message.user is None else {"user": message.user}
    document |= {"body": message.body} if message.body is not None else {"file": message.file}
    return {**document, "changed": True} if message.changed else document


_MOST_MEMBERS = 100
_PAGE = 100
_MOST_PAGES = 10
_SENT = "user.sent.message"
_LONGEST_RUN = timedelta(seconds=15)
"""How long after the start of a run a message of the system is taken for one of the function."""
_SESSION = timedelta(days=1)
"""How long before the first message a user can have connected."""


@frozen
class ChannelConversation:
    """The newest messages of a channel as a recorded conversation, which begins at `start`."""

    conversation: RecordedConversation
    start: datetime
    channel_id: int


def read_channel_conversation(client: Client, channel: str, most: int) -> ChannelConversation:
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
        {
            entry.args["message"]["id"]: entry
            for entry in _runs(client, functions, _SENT, start)
            if _channel_id(entry) == match.id
        },
        list(_runs(client, functions, START_SESSION, start - _SESSION)),
    )
    data = {"users": [seed_user(user) for user in people.values()], "channels": [seed_channel(match, people.values())]}
    conversation = RecordedConversation(
        data,
        tuple(with_waits(reader.steps(messages), start)),
        tuple((user.name, user.display_name) for user in people.values()),
        tuple(client.runtime().environment.items()),
        running=False,
    )
    return ChannelConversation(conversation, start, match.id)


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


@frozen
class _ChannelReader:
    """Makes steps of messages. `runs` are the runs for messages, by message, `sessions` those for sessions."""

    channel: str
    runs: Mapping[int, Invocation]
    sessions: list[Invocation]

    def steps(self, messages: list[Message]) -> Iterator[RecordedStep]:
        """Yield the steps in the order of time. Each user connects before the first message."""
        connected: set[str] = set()
        by_id = {message.id: message for message in messages}
        acted = [self._step(message) for message in messages]
        edited = [step for message in messages if (step := self._edit(message)) is not None]
        last: RecordedStep | None = None
        for step in sorted([*acted, *edited], key=lambda step: step.time):
            user = step.act.user
            if last is not None and last.runs and user is None and self._is_answer(step, last):
                message = by_id[step.message_id or 0]
                last.messages.append(said(message, {message.channel_id: self.channel}))
                continue
            if last is not None:
                yield last
            if user is not None and user not in connected:
                connected.add(user)
                yield RecordedStep(step.time, self._connection(user, step.time))
            last = step
        if last is not None:
            yield last

    def _edit(self, message: Message) -> RecordedStep | None:
        """Return the step of a user who changed a message, unless the function may have changed it."""
        time, run = message.last_edited_time, self.runs.get(message.id)
        if time is None or message.user is None or message.body is None or run is None:
            return None  # without a run, the original text is not known
        if time - run.created_time <= _LONGEST_RUN:
            return None
        original = about_of(replace(message, body=_original(run)))
        return RecordedStep(time, Act(Verb.EDITS, message.user.name, self.channel, original, message.body))

    def _connection(self, user: str, before: datetime) -> Act:
        """Return how a user connected, with the authParams of the newest session until then, if it is known."""
        for run in self.sessions:
            params = run.args.get("authParams")
            until_then = run.args.get("username") == user and run.created_time <= before
            if until_then and isinstance(params, dict) and run.status is Status.SUCCEEDED:
                return Act(Verb.CONNECTS, user, data=params)
        return Act(Verb.CONNECTS, user)

    def _is_answer(self, step: RecordedStep, to: RecordedStep) -> bool:
        return timedelta(0) <= step.time - to.runs[-1].ran.invocation.created_time <= _LONGEST_RUN

    def _step(self, message: Message) -> RecordedStep:
        step = RecordedStep(message.created_time, self._act(message), message_id=message.id)
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
