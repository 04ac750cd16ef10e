"""A client's subscriptions, and the topics that it may subscribe to."""

from __future__ import annotations

from typing import Protocol

from ckfunc.emulator.actions.access import visible_channel, visible_thread
from ckfunc.emulator.dispatch.topics import ConnectedClient, Topics
from ckfunc.emulator.http.problems import Denied, Missing
from ckfunc.emulator.realtime.requests import Destination
from ckfunc.emulator.store.database import Database
from ckfunc.model.chat import Channel, ChatSession, User
from ckfunc.wire.clients import CHANNEL_TOPICS, USER_TOPICS
from ckfunc.wire.stomp import BadFrame, write_frame

MOST_SUBSCRIPTIONS = 2000

_ENDS = b"%bmessage-id:%d\nack:%d\ncontent-length:%d\n\n"


def check_topic(database: Database, destination: Destination, user: User) -> Channel | None:
    """Check that a user may subscribe to a topic; return the channel whose chat session the subscription opens.

    Raises Missing and Denied.
    """
    part = destination.part or "self"
    if destination.kind == "users" and part in USER_TOPICS:
        if destination.id != user.id:
            raise Denied(f"the topics of user {destination.id} are for that user only")
        return None
    if destination.kind == "channels" and part in CHANNEL_TOPICS:
        channel = visible_channel(database, destination.id, user)
        return channel if part == "self" else None
    if destination.kind == "threads" and part == "self":
        visible_thread(database, destination.id, user)
        return None
    raise Missing(f"there is no topic {destination.name!r}")


class SendingClient(ConnectedClient, Protocol):
    """A client that frames can be sent to."""

    def next_number(self) -> int:
        """Return a number that no earlier message of this connection has."""

    def send(self, *parts: bytes) -> None:
        """Send a frame, given in parts."""


class Subscription:
    """A client's subscription to a topic, and the chat session that it opened."""

    __slots__ = ("_client", "_head", "chat", "topic")

    def __init__(self, client: SendingClient, name: str, topic: str, chat: ChatSession | None) -> None:
        self._client = client
        self.topic = topic
        self.chat = chat
        headers = {"destination": topic, "content-type": "application/json", "subscription": name}
        # Without the empty line and the null byte.
        self._head = write_frame("MESSAGE", headers)[:-2].replace(b"%", b"%%") + _ENDS

    @property
    def connection(self) -> ConnectedClient:
        """The client's connection."""
        return self._client

    def deliver(self, body: bytes, receipt: str | None) -> None:
        """Send an event; `receipt` is that of the connection's own action which caused it."""
        number = self._client.next_number()
        own = b"" if receipt is None else write_frame("", {"receipt-id": receipt})[1:-2]
        self._client.send(self._head % (own, number, number, len(body)), body, b"\0")


class Subscriptions:
    """The subscriptions of one client, by the ids that the client chose."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._by_name: dict[str, Subscription] = {}

    def check_new(self, name: str) -> None:
        """Check that a client may subscribe with this id. Raises BadFrame."""
        if name in self._by_name:
            raise BadFrame(f"there is a subscription {name[:100]!r} already")
        if len(self._by_name) >= MOST_SUBSCRIPTIONS:
            raise BadFrame(f"there are more than {MOST_SUBSCRIPTIONS} subscriptions")

    def add(self, name: str, subscription: Subscription) -> None:
        """Add a subscription."""
        self._by_name[name] = subscription
        self._topics.add(subscription.topic, subscription)

    def remove(self, name: str) -> Subscription | None:
        """Remove a subscription and return it, or None if there is none of that id."""
        subscription = self._by_name.pop(name, None)
        if subscription is not None:
            self._topics.remove(subscription.topic, subscription)
        return subscription

    def forget(self, subscriber: object) -> None:
        """Remove a subscription that was removed from its topic."""
        self._by_name = {
            name: subscription for name, subscription in self._by_name.items() if subscription is not subscriber
        }

    def clear(self) -> None:
        """Remove all subscriptions."""
        for subscription in self._by_name.values():
            self._topics.remove(subscription.topic, subscription)
        self._by_name.clear()
