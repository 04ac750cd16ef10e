"""A STOMP client for tests, which shows every frame as it was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Received:
    """A frame of the server."""

    command: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""

    @property
    def document(self) -> Any:
        return json.loads(self.body)


def parse(text: str) -> Received:
    assert text.endswith("\0"), text[-20:]
    head, _, body = text[:-1].partition("\n\n")
    command, *lines = head.split("\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        if command != "CONNECTED":
            value = value.replace("\\c", ":").replace("\\n", "\n").replace("\\\\", "\\")
        headers[name] = value
    return Received(command, headers, body)


def frame(command: str, headers: dict[str, str] | None = None, body: str = "") -> str:
    lines = [command, *(f"{name}:{value}" for name, value in (headers or {}).items())]
    if body:
        lines.append(f"content-length:{len(body.encode())}")
    return "\n".join(lines) + "\n\n" + body + "\0"


class StompClient:
    """A client that sends and reads frames; frames that a test skipped can be read later."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.user: dict[str, Any] = {}
        self._number = 0
        self._kept: list[Received] = []

    def send(self, command: str, headers: dict[str, str] | None = None, body: str = "") -> None:
        self.socket.send(frame(command, headers, body))

    def next(self) -> Received:
        """Return the next frame that is not a heart-beat."""
        if self._kept:
            return self._kept.pop(0)
        while True:
            data = self.socket.recv(timeout=TIMEOUT_S)
            text = data if isinstance(data, str) else data.decode()
            if text.strip("\n"):
                return parse(text)

    def until(self, wanted: Any) -> Received:
        """Return the next frame for which `wanted` is true; skipped frames can be read later, in order."""
        passed: list[Received] = []
        while not wanted(found := self.next()):
            passed.append(found)
        self._kept = passed + self._kept
        return found

    def connect(self, username: str, **headers: str) -> Received:
        """Connect as a user, and read the user."""
        self.send("CONNECT", {"accept-version": "1.2", "heart-beat": "60000,10000", "StompX-User": username, **headers})
        answer = self.next()
        if answer.command == "CONNECTED":
            self.send("SUBSCRIBE", {"id": "errors", "destination": "/user/queue/v1/errors"})
            self.user = self.read("/application/v1/user.relay")
        return answer

    def read(self, relay: str, **parameters: str) -> Any:
        """Return the resource at a relay, or the document of its error."""
        name = self._name("relay")
        self.send("SUBSCRIBE", {"id": name, "destination": relay, **parameters})
        answer = self.until(
            lambda frame: frame.headers.get("subscription") == name or frame.headers.get("subscription-id") == name
        )
        return answer.document["resource"] if answer.headers["subscription"] == name else answer.document

    def listen(self, topic: str) -> str:
        """Subscribe to a topic, and return the subscription's id."""
        name = self._name("topic")
        self.send(
            "SUBSCRIBE", {"id": name, "destination": topic, "ack": "client-individual", "receipt": f"{name}-receipt"}
        )
        answer = self.until(lambda frame: frame.headers.get("receipt-id") == f"{name}-receipt")
        assert answer.command == "RECEIPT", answer
        return name

    def listen_as_user(self) -> None:
        """Subscribe to the topics of the user, as a client does."""
        for topic in self.user["_topics"].values():
            self.listen(topic)

    def open_chat(self, channel: dict[str, Any]) -> str:
        """Subscribe to the topics of a channel, as a client does; return the id of the first subscription."""
        first, *_ = [self.listen(topic) for topic in channel["_topics"].values()]
        return first

    def act(self, action: str, body: Any = None) -> Received:
        """Send an action, and return its RECEIPT, or the message about its error."""
        name = self._name("action")
        self.send("SEND", {"destination": action, "receipt": name}, "" if body is None else json.dumps(body))
        return self.until(
            lambda frame: (
                frame.headers.get("receipt-id") == name
                and (frame.command != "MESSAGE" or frame.headers["destination"].startswith("/user/"))
            )
        )

    def do(self, action: str, body: Any = None) -> Any:
        """Send an action, and return the resource of the event that answers it."""
        done = self.act(action, body)
        assert done.command == "RECEIPT", done.body
        return self.until(lambda frame: frame.headers.get("receipt-id") == done.headers["receipt-id"]).document[
            "resource"
        ]

    def event(self, kind: str) -> Any:
        """Return the resource of the next event of a type, and acknowledge it."""
        found = self.until(lambda frame: frame.command == "MESSAGE" and frame.document.get("type") == kind)
        self.send("ACK", {"id": found.headers["ack"]})
        return found.document["resource"]

    def events(self) -> list[str]:
        """Return the types of the events so far: everything that arrives before the answer to a question."""
        self.send("UNSUBSCRIBE", {"id": "nothing", "receipt": (name := self._name("question"))})
        self._kept, earlier = [], self._kept
        while (found := self.next()).headers.get("receipt-id") != name:
            earlier.append(found)
        return [frame.document["type"] for frame in earlier if frame.command == "MESSAGE" and "type" in frame.document]

    def closed(self) -> Received:
        """Return the last frame, after which the server closes the connection."""
        last = self.next()
        try:
            while True:
                last = self.next()
        except ConnectionClosed:
            return last

    def _name(self, kind: str) -> str:
        self._number += 1
        return f"{kind}-{self._number}"


@contextmanager
def stomp(
    url: str, *, api_key: str = "emulator", path: str = "/rtm/websocket", **options: Any
) -> Iterator[StompClient]:
    """Yield a client that is connected over WebSocket, and has not sent CONNECT."""
    address = f"{url.replace('http', 'ws', 1)}{path}?api-key={api_key}"
    with connect(address, subprotocols=["v12.stomp"], compression=None, proxy=None, **options) as socket:  # type: ignore[list-item]
        yield StompClient(socket)


@contextmanager
def client_of(url: str, username: str) -> Iterator[StompClient]:
    """Yield the client of a user, connected and subscribed to the user's topics."""
    with stomp(url) as client:
        assert client.connect(username).command == "CONNECTED"
        client.listen_as_user()
        yield client
