"""A user's chat in one channel of the emulator: commands, actions, events."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ckfunc.base.errors import CkfuncError
from ckfunc.base.frozen import frozen
from ckfunc.base.text import Line, Segment, did_you_mean, is_id
from ckfunc.chat.connection import ActionRefused, ChatConnection, ChatLogin, upload_file
from ckfunc.chat.events import (
    ChatEvent,
    MembersListed,
    MessageChange,
    MessageEvent,
    SessionChange,
    SessionEvent,
    message_event,
    read_event,
)
from ckfunc.chat.lines import channel_title
from ckfunc.wire.channels import read_channel
from ckfunc.wire.clients import PAGE, action, pages, relay
from ckfunc.wire.reading import Malformed
from ckfunc.wire.users import read_user

COMMANDS: dict[str, tuple[str, str]] = {
    "file": ("PATH", "send a file"),
    "react": ("EMOJI [ID]", "react to a message (default: another user's last one)"),
    "unreact": ("EMOJI [ID]", "remove your reaction from a message"),
    "reply": ("ID TEXT", "reply to a message"),
    "edit": ("ID TEXT", "change your message"),
    "delete": ("ID", "delete your message"),
    "read": ("", "mark all messages as read"),
    "who": ("", "list the members and who is online"),
    "help": ("", "list these commands"),
    "quit": ("", "leave, as Ctrl-C does"),
}
"""The slash commands: their arguments, and what they do."""

SAY = "say"
"""The command of a line that is a message."""

_ARGUMENTS = {
    "": re.compile(""),
    "PATH": re.compile(r"(?=.)(?P<quote>[\"']?)(?P<text>.*)(?P=quote)", re.DOTALL),
    "EMOJI [ID]": re.compile(r"(?P<text>\S+)(?:\s+(?P<id>\S+))?"),
    "ID TEXT": re.compile(r"(?P<id>[^ ]+) \s*(?P<text>\S.*)", re.DOTALL),
    "ID": re.compile(r"(?P<id>.+)", re.DOTALL),
}
"""How the arguments in COMMANDS are read."""
_NUMBER = re.compile(r"\[?#?(\d{1,18})\]?", re.ASCII)

TOPICS = ("messages", "reactions", "readReceipts", "typing", "participants", "events", "self")
"""The topics of a channel that a chat shows. The last one opens the chat session."""

_MISSED_PAGE = 50
_MOST_MISSED_PAGES = 40
_CHANNELS_PAGE = 200
_NEWEST_FIRST = "lastReceivedMessage.createdTime,desc"


class BadLine(CkfuncError):
    """A typed line is not a valid command."""


@frozen
class ChatCommand:
    """A command: its name, a text, and the message that it refers to."""

    name: str
    text: str = ""
    message_id: int | None = None


def parse_line(line: str) -> ChatCommand | None:
    """Return the command of a line, or None for an empty one. Two slashes begin a message with one. Raises BadLine."""
    text = line.strip()
    if not text:
        return None
    if not text.startswith("/"):
        return ChatCommand(SAY, line.rstrip("\r\n"))
    if text.startswith("//"):
        return ChatCommand(SAY, text[1:])
    name, _, rest = text[1:].partition(" ")
    if name not in COMMANDS:
        close = did_you_mean(name, COMMANDS)
        raise BadLine(
            f"there is no command /{name}", hint=close or "/help lists the commands; // begins a message with /"
        )
    arguments, _ = COMMANDS[name]
    match = _ARGUMENTS[arguments].fullmatch(rest.strip())
    if match is None:
        raise BadLine(f"usage: /{name} {arguments}" if arguments else f"/{name} takes no arguments")
    parts = match.groupdict()
    number = parts.get("id")
    return ChatCommand(name, parts.get("text") or "", None if number is None else _id(name, number))


def help_lines() -> Iterator[Line]:
    """Yield a line for each command."""
    for name, (arguments, text) in COMMANDS.items():
        yield Segment("  "), Segment(f"/{name} {arguments}".ljust(22), "title"), Segment(text)


class NoChannel(CkfuncError):
    """The user can see no such channel."""


@frozen
class ChannelChoice:
    """The channel to chat in: a name or an id, or by default the one with the newest message.

    `create` creates a public channel if there is none of this name. `history` is the number of earlier messages to
    show.
    """

    text: str | None = None
    create: bool = False
    history: int = 10


@frozen
class ConnectionEnded:
    """A connection was lost, or ended by the emulator. `number` counts the chat's connections."""

    reason: CkfuncError
    number: int


class ChatClient:
    """A chat of a user. `put` gets its events, on several threads."""

    def __init__(
        self, login: ChatLogin, channel: ChannelChoice, put: Callable[[ChatEvent | ConnectionEnded], object]
    ) -> None:
        self._login = login
        self._choice = channel
        self._put = put
        self._lock = threading.Lock()
        self._held: list[ChatEvent] | None = None
        self._newest = self._newest_of_others = 0
        self._url = ""
        self._connection: ChatConnection | None = None
        self._channel: Mapping[str, Any] = {}
        self.number = 0
        """The number of the current connection; ends of earlier ones are ignored."""
        self.channel_id = 0
        """The channel, once it is known; 0 before."""

    @property
    def username(self) -> str:
        """The name of the user."""
        return self._login.username

    def open(self, url: str) -> None:
        """Start a session, open the channel, and put its last messages.

        Raises SessionDenied, ConnectionLost, NoChannel and ActionRefused.
        """
        connection = self._connect(url)
        channel = self._find(connection)
        if "join" in channel["_actions"]:
            connection.act(channel["_actions"]["join"])
            channel = connection.read(channel["_relays"]["self"])
        self._enter(connection, channel, SessionChange.OPENED)

    def reopen(self, url: str) -> None:
        """Continue the session after the connection was lost, and put the messages that were sent in the meantime.

        Raises as `open` does.
        """
        self.disconnect()
        connection = self._connect(url)
        self._enter(connection, connection.read(relay(f"channels/{self.channel_id}")), SessionChange.RESTORED)

    def disconnect(self) -> None:
        """End the session, if there is a connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def settle(self) -> None:
        """Wait until all events of earlier actions were put. Raises ConnectionLost."""
        self._connected().settle()

    def type(self, text: str) -> None:
        """Pass on what the user types; an empty text ends typing. Raises ConnectionLost."""
        self._connected().tell(self._channel["_actions"]["keystrokes"], {"keys": text})

    def perform(self, command: ChatCommand, directory: Path) -> None:
        """Do what a command asks for; paths are relative to `directory`.

        Raises ActionRefused, ConnectionLost, and CkfuncError for a file that cannot be sent.
        """
        connection, actions = self._connected(), self._channel["_actions"]
        if command.name == SAY:
            connection.act(actions["message"], {"type": "TEXT", "body": command.text})
        elif command.name == "file":
            grant = connection.read(relay("user", "write_file_access_grant"))["grant"]
            path = directory / Path(command.text).expanduser()
            upload_file(self._url + self._channel["_streams"]["messages"], path, grant)
        elif command.name == "read":
            connection.act(actions["read"])
        elif command.name == "who":
            members = connection.read(_sized(self._channel["_relays"]["members"], _CHANNELS_PAGE))
            self._put(MembersListed(tuple(map(read_user, members["_embedded"]["users"]))))
        else:
            self._act_on_message(connection, command)

    def _act_on_message(self, connection: ChatConnection, command: ChatCommand) -> None:
        number = command.message_id or self._newest_of_others or self._newest
        if not number:
            raise ActionRefused("there is no message to react to", hint="add the ID of a message")
        at = f"messages/{number}"
        body = {
            "react": {"emoji": command.text},
            "unreact": {"emoji": command.text},
            "reply": {"type": "TEXT", "body": command.text},
            "edit": {"body": command.text},
            "delete": None,
        }[command.name]
        name = {"unreact": "removeReaction"}.get(command.name, command.name)
        connection.act(action(at, name), body)

    def _connected(self) -> ChatConnection:
        assert self._connection is not None  # noqa: S101 - the loop performs nothing while there is no connection
        return self._connection

    def _connect(self, url: str) -> ChatConnection:
        with self._lock:
            self._held = []
        self._url = url
        self.number = number = self.number + 1
        self._connection = ChatConnection(
            url, self._login, self._receive, lambda reason: self._put(ConnectionEnded(reason, number))
        )
        self._login = replace(self._login, token=self._connection.token)
        return self._connection

    def _find(self, connection: ChatConnection) -> Any:
        """Return the chosen channel as JSON. Raises NoChannel."""
        own, joinable = pages("user", "channels"), pages("user", "joinable_channels")
        text = self._choice.text
        if text is None:
            for listed in (own, joinable):
                if matches := _channels(connection, _sized(listed, 1, _NEWEST_FIRST)):
                    return matches[0]
            raise NoChannel(f"there is no channel that {self.username!r} can see", hint="add `--channel NAME --create`")
        for listed in (own, joinable):
            if matches := _channels(connection, listed, name=text):
                return matches[0]
        if is_id(text):
            try:
                return connection.read(relay(f"channels/{text}"))
            except ActionRefused:
                pass
        if self._choice.create:
            connection.act(action("user", "createChannel"), {"type": "PUBLIC", "name": text})
            return _channels(connection, own, name=text)[0]
        names = [
            channel["name"]
            for listed in (own, joinable)
            for channel in _channels(connection, _sized(listed, _CHANNELS_PAGE, _NEWEST_FIRST))
            if channel.get("name") is not None  # a direct channel has none
        ]
        raise NoChannel(
            f"there is no channel {text!r} that {self.username!r} can see",
            hint=did_you_mean(text, names)
            or "`ckfunc emulator channels` lists the channels; --create creates this one",
        )

    def _enter(self, connection: ChatConnection, document: Any, change: SessionChange) -> None:
        """Listen to a channel, then read the messages since those before, so that none is missed."""
        self._channel = document
        channel = read_channel(document)
        self.channel_id = channel.id
        earlier = self._history(connection) if change is SessionChange.OPENED else []
        for name in TOPICS:
            connection.listen(document["_topics"][name])
        missed = self._missed(connection)
        self._put(SessionEvent(change, channel.id, channel_title(channel)))
        with self._lock:
            waiting, self._held = self._held or [], None
            for event in (*earlier, *missed, *waiting):
                self._deliver(event)

    def _history(self, connection: ChatConnection) -> list[MessageEvent]:
        """Return the last messages, as many as were chosen."""
        size = self._choice.history
        messages, _ = self._page(connection, _sized(self._channel["_relays"]["messages"], size or 1))
        if size:
            return [replace(event, earlier=True) for event in messages]
        self._newest = messages[0].message.id if messages else 0
        return []

    def _missed(self, connection: ChatConnection) -> list[MessageEvent]:
        """Return messages since the newest one that is known, oldest first, perhaps with some before."""
        missed: list[MessageEvent] = []
        next_page: str | None = _sized(self._channel["_relays"]["messages"], _MISSED_PAGE)
        for _ in range(_MOST_MISSED_PAGES):
            if next_page is None:
                break
            messages, next_page = self._page(connection, next_page)
            missed = [*messages, *missed]
            if messages and messages[0].message.id <= self._newest:
                break
        return missed

    def _page(self, connection: ChatConnection, at: str) -> tuple[list[MessageEvent], str | None]:
        """Return a page of messages, oldest first, and the relay of the next page, with older ones."""
        page = connection.read(at)
        messages = reversed(page["_embedded"]["messages"])
        return [message_event(message) for message in messages], page["_relays"].get("next")

    def _receive(self, document: Any) -> None:
        try:
            event = read_event(document)
        except Malformed:
            return
        if event is None:
            return
        with self._lock:
            if self._held is not None:
                self._held.append(event)
            else:
                self._deliver(event)

    def _deliver(self, event: ChatEvent) -> None:
        """Put an event; a message that was sent is put once. The lock must be held."""
        if isinstance(event, MessageEvent) and event.change is MessageChange.SENT:
            message = event.message
            if message.id <= self._newest:
                return
            self._newest = message.id
            if message.user is None or message.user.name != self.username:
                self._newest_of_others = message.id
        self._put(event)


def _id(name: str, text: str) -> int:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise BadLine(
            f"/{name}: {text[:40]!r} is not the ID of a message", hint="IDs are shown in brackets, such as [12]"
        )
    return int(match[1])


def _channels(connection: ChatConnection, at: str, **parameters: str) -> list[Any]:
    return list(connection.read(at, **parameters)["_embedded"]["channels"])


def _sized(pages_relay: str, size: int, sort: str = "") -> str:
    """Return the relay of the first page with a size and a sort order."""
    return f"{pages_relay.removesuffix(PAGE)}.size.{size}.sort.{sort}"
