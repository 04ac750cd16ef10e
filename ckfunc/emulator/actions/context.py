"""The context of an action: the data, and everything that an event reaches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ckfunc.base.frozen import frozen
from ckfunc.emulator.dispatch.dispatcher import Dispatcher
from ckfunc.emulator.dispatch.topics import Origin, Topics
from ckfunc.emulator.store import channels
from ckfunc.emulator.store.database import Database
from ckfunc.model.chat import Channel, User
from ckfunc.wire.clients import client_channel, client_user, topic
from ckfunc.wire.links import Links


@frozen
class ActionContext:
    """The data that an action changes, and what its events reach.

    `links` create the addresses in the events. `caller` is the run whose handler caused the action. `actor` is the user
    whose client sent it, and `origin` the client's connection.
    """

    database: Database
    dispatch: Dispatcher
    topics: Topics
    links: Links
    caller: int | None = None
    actor: User | None = None
    origin: Origin | None = None

    def fire(self, trigger_type: str, write: Callable[[], Mapping[str, Any]]) -> None:
        """Run the function of this type, if there is one; `write` returns the event."""
        if self.dispatch.handles(trigger_type):
            self.dispatch.fire(trigger_type, write(), caller=self.caller)

    def publish(self, of: str, part: str, event: str, write: Callable[[], Any], *, answer: str = "") -> None:
        """Publish an event about a resource such as `channels/1`, or about a part of it.

        It is sent when everything that was written before is stored, and not at all if that fails.

        With `answer`, the client that sent the action gets the event on that topic of its user, unless it is subscribed
        to the event's own topic.
        """
        own = topic(f"users/{self.actor.id}", answer) if answer and self.actor is not None else None
        self.topics.publish(topic(of, part), event, write, self.origin, fallback=own)

    def publish_to(self, user_id: int, part: str, event: str, write: Callable[[], Any]) -> None:
        """Publish an event on a topic of a user."""
        self.topics.publish(topic(f"users/{user_id}", part), event, write, self.origin)

    def publish_user(self, of: str, part: str, event: str, user: User) -> None:
        """Publish an event whose resource is a user."""
        self.publish(of, part, event, lambda: client_user(user, self.links))

    def publish_channel(self, user_id: int, event: str, channel: Channel) -> None:
        """Publish an event whose resource is a channel, as a user sees it, on that user's topic."""

        def write() -> Any:
            member = channels.is_member(self.database, channel.id, user_id)
            return client_channel(channel, self.links, member=member)

        self.publish_to(user_id, "channels", event, write)
