"""A user's chat in one channel of the emulator."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ckfunc.base.errors import CkfuncError
from ckfunc.base.text import did_you_mean, is_id
from ckfunc.chat.commands import SAY, ChatCommand
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

TOPICS = ("messages", "reactions", "readReceipts", "typing", "participants", "events", "self")
"""The topics of a channel that a chat shows. The last one opens the chat session."""

_MISSED_PAGE = 50
_MOST_MISSED_PAGES = 40
_CHANNELS_PAGE = 200
_NEWEST_FIRST = "lastReceivedMessage.createdTime,desc"


class NoChannel(CkfuncError):
    """The user can see no such channel."""


@dataclass(frozen=True, slots=True)
class WantedChannel:
    """The channel to chat in: a name or an id, or by default the one with the newest message.

    `create` creates a public channel if there is none of this name. `history` is the number of earlier messages to
    show.
    """

    text: str | None = None
    create: bool = False
    history: int = 10


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """A connection was lost, or ended by the emulator. `number` counts the chat's connections."""

    reason: CkfuncError
    number: int


class ChatClient:
    """A chat of a user. `put` gets its events, on several threads."""

    def __init__(
        self, login: ChatLogin, wanted: WantedChannel, put: Callable[[ChatEvent | ConnectionEnded], object]
    ) -> None:
        self._login = login
        self._wanted = wanted
        self._put = put
        self._lock = threading.Lock()
        self._held: list[ChatEvent] | None = None
        self._newest = self._newest_of_others = 0
        self._url = ""
        self._connection: ChatConnection | None = None
        self._channel: Mapping[str, Any] = {}
        self.number = 0
        """The number of the current connection; an end of an earlier one is of no interest."""
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
        found = self._find(connection)
        if "join" in found["_actions"]:
            connection.act(found["_actions"]["join"])
            found = connection.read(found["_relays"]["self"])
        self._enter(connection, found, SessionChange.OPENED)

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
        """Return the wanted channel as JSON. Raises NoChannel."""
        own, joinable = pages("user", "channels"), pages("user", "joinable_channels")
        text = self._wanted.text
        if text is None:
            for listed in (own, joinable):
                if found := _channels(connection, _sized(listed, 1, _NEWEST_FIRST)):
                    return found[0]
            raise NoChannel(f"there is no channel that {self.username!r} can see", hint="add `--channel NAME --create`")
        for listed in (own, joinable):
            if found := _channels(connection, listed, name=text):
                return found[0]
        if is_id(text):
            try:
                return connection.read(relay(f"channels/{text}"))
            except ActionRefused:
                pass
        if self._wanted.create:
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

    def _enter(self, connection: ChatConnection, found: Any, change: SessionChange) -> None:
        """Listen to a channel, then read the messages since those before, so that none is missed."""
        self._channel = found
        channel = read_channel(found)
        self.channel_id = channel.id
        earlier = self._history(connection) if change is SessionChange.OPENED else []
        for name in TOPICS:
            connection.listen(found["_topics"][name])
        missed = self._missed(connection)
        self._put(SessionEvent(change, channel.id, channel_title(channel)))
        with self._lock:
            held, self._held = self._held or [], None
            for event in (*earlier, *missed, *held):
                self._deliver(event)

    def _history(self, connection: ChatConnection) -> list[MessageEvent]:
        """Return the last messages, as many as are wanted."""
        size = self._wanted.history
        found, _ = self._page(connection, _sized(self._channel["_relays"]["messages"], size or 1))
        if size:
            return [replace(event, earlier=True) for event in found]
        self._newest = found[0].message.id if found else 0
        return []

    def _missed(self, connection: ChatConnection) -> list[MessageEvent]:
        """Return messages since the newest one that is known, oldest first, perhaps with some before."""
        missed: list[MessageEvent] = []
        next_page: str | None = _sized(self._channel["_relays"]["messages"], _MISSED_PAGE)
        for _ in range(_MOST_MISSED_PAGES):
            if next_page is None:
                break
            found, next_page = self._page(connection, next_page)
            missed = [*found, *missed]
            if found and found[0].message.id <= self._newest:
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


def _channels(connection: ChatConnection, at: str, **parameters: str) -> list[Any]:
    return list(connection.read(at, **parameters)["_embedded"]["channels"])


def _sized(pages_relay: str, size: int, sort: str = "") -> str:
    """Return the relay of the first page with a size and a sort order."""
    return f"{pages_relay.removesuffix(PAGE)}.size.{size}.sort.{sort}"
