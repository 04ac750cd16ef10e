"""Topics that connected clients subscribe to, and events published on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ckfunc.base.frozen import frozen
from ckfunc.emulator.http.problems import Denied, HttpProblem, Refused
from ckfunc.wire.clients import topic
from ckfunc.wire.dialects import compact_json


class ConnectedClient(Protocol):
    """A client's connection."""

    user_id: int

    def drop(self, subscriber: Subscriber) -> None:
        """End a subscription that was removed from its topic."""

    def end(self, problem: HttpProblem) -> None:
        """End the connection, with an error."""


class Subscriber(Protocol):
    """A client's subscription to a topic."""

    @property
    def connection(self) -> ConnectedClient:
        """The connection that the subscription belongs to."""

    def deliver(self, body: bytes, receipt: str | None) -> None:
        """Send an event; `receipt` is that of the connection's own action which caused it. Never raises."""


@frozen
class Origin:
    """The connection that sent an action, and the receipt that it asked for."""

    connection: ConnectedClient
    receipt: str | None


class Topics:
    """The subscriptions to all topics. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._subscribers: dict[str, dict[Subscriber, None]] = {}
        self.connections: dict[int, ConnectedClient] = {}
        """The connected clients, by their user sessions."""

    def add(self, name: str, subscriber: Subscriber) -> None:
        """Add a subscription to a topic."""
        self._subscribers.setdefault(name, {})[subscriber] = None

    def remove(self, name: str, subscriber: Subscriber) -> None:
        """Remove a subscription from a topic."""
        subscribers = self._subscribers.get(name)
        if subscribers is not None:
            subscribers.pop(subscriber, None)
            if not subscribers:
                del self._subscribers[name]

    def has(self, name: str) -> bool:
        """Return whether anyone is subscribed to a topic."""
        return name in self._subscribers

    def close(self, resource: str, user_id: int | None = None) -> None:
        """End the subscriptions to the topics of a resource such as `channels/1`: a user's, or all of them."""
        name = topic(resource)
        for subtopic in [key for key in self._subscribers if key == name or key.startswith(f"{name}.")]:
            for subscriber in list(self._subscribers[subtopic]):
                if user_id is None or subscriber.connection.user_id == user_id:
                    self.remove(subtopic, subscriber)
                    subscriber.connection.drop(subscriber)

    def disconnect(self, user_id: int) -> None:
        """End the connections of a user who was deleted."""
        for connection in list(self.connections.values()):
            if connection.user_id == user_id:
                connection.end(Denied("the user was deleted"))

    def disconnect_all(self, reason: str) -> None:
        """End all connections."""
        for connection in list(self.connections.values()):
            connection.end(Refused(reason))

    def publish(
        self,
        name: str,
        event: str,
        write: Callable[[], Any],
        origin: Origin | None = None,
        *,
        fallback: str | None = None,
    ) -> None:
        """Send an event to every subscriber of a topic; `write` returns its resource.

        The event is written once, and not at all if nobody is subscribed. The connection in `origin` gets it with its
        receipt: on `name`, or if it is not subscribed there, on `fallback`.
        """
        subscribers = list(self._subscribers.get(name, ()))
        own = None if origin is None else origin.connection
        if (
            fallback is not None
            and own is not None
            and not any(subscriber.connection is own for subscriber in subscribers)
        ):
            subscribers += [other for other in self._subscribers.get(fallback, ()) if other.connection is own][:1]
        if not subscribers:
            return
        body = compact_json({"type": event, "version": "v1", "resource": write()})
        for subscriber in subscribers:
            subscriber.deliver(body, origin.receipt if origin is not None and subscriber.connection is own else None)
