"""Requests and subscriptions of clients: destinations, bodies, pages of lists, errors."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol, TypeVar

from ckfunc.base.clock import timestamp
from ckfunc.base.frozen import frozen
from ckfunc.emulator.actions import access
from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.dispatch.topics import ConnectedClient, Topics
from ckfunc.emulator.http.bodies import read_json
from ckfunc.emulator.http.paging import DEFAULT_SIZE, LARGEST_SIZE, Write
from ckfunc.emulator.http.problems import Denied, HttpProblem, Missing, Refused
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import CursorRequest, PageRequest, Sorting
from ckfunc.model.chat import Channel, ChatSession, Message, User
from ckfunc.model.page import Cursor, CursorPage, Page, Relation
from ckfunc.wire.clients import CHANNEL_TOPICS, USER_TOPICS, client_message, relay
from ckfunc.wire.dialects import compact_json
from ckfunc.wire.links import Links
from ckfunc.wire.stomp import BadFrame, write_frame

T = TypeVar("T")

ERROR_QUEUES = ("/user/queue/v1/errors", "/user/queue/errors")
"""Where clients 1.x and 2.x listen for errors."""

RELAY = ".relay"

_MOST_SUBSCRIPTIONS = 2000

_ENDS = b"%bmessage-id:%d\nack:%d\ncontent-length:%d\n\n"

_RESOURCE = r"(?P<kind>[a-z_]+)(?:/(?P<id>[0-9]{1,18}))?"
_APPLICATION = r"/application/(?:v1/)?"
_TOPIC = re.compile(rf"/topic/v1/{_RESOURCE}(?:\.(?P<part>[A-Za-z]+))?", re.ASCII)
_ACTION = re.compile(rf"{_APPLICATION}{_RESOURCE}\.(?P<part>[A-Za-z]+)", re.ASCII)
# Clients put their size and sort order into a page's relay, or append a sort order to it.
_RELAY = re.compile(
    rf"{_APPLICATION}{_RESOURCE}(?:\.(?P<part>[A-Za-z_]+))?\.relay"
    r"(?:\.(?P<direction>page|next|previous)\.(?P<at>[0-9]{1,18}))?"
    r"(?:\.size\.(?P<size>[0-9]{0,9})\.sort\.(?P<sort>[A-Za-z.,]{0,200}))?",
    re.ASCII,
)

_ABSENT = ("", "undefined", "null")
"""How JavaScript writes a missing parameter into a header."""


class BadConversation(HttpProblem):
    """A client breaks the protocol."""

    error = "ProtocolError"
    text = "The client broke the protocol"


class SlowClient(HttpProblem):
    """A client does not read what it subscribed to."""

    error = "SlowConsumerError"
    text = "The client does not read fast enough"


class TooManyClients(HttpProblem):
    """Every connection that the emulator allows for clients is in use."""

    error = "TooManyClientsError"
    text = "Too many clients are connected"


@frozen
class PagePosition:
    """The page that a relay requests: `direction` is page, next or previous, from the page or message `at`."""

    direction: str = "page"
    at: int = 0
    size: int | None = None
    sort: str = ""


@frozen
class Destination:
    """A destination: the kind of its resource with an id, or without one for the session's user, and a part of it."""

    kind: str
    id: int | None
    part: str
    page: PagePosition = PagePosition()

    @property
    def name(self) -> str:
        """The name in the tables of relays, topics and actions, such as `channels.messages`."""
        return f"{self.kind}.{self.part}" if self.part else self.kind

    @property
    def of(self) -> str:
        """The resource, such as `channels/1`."""
        return self.kind if self.id is None else f"{self.kind}/{self.id}"


@frozen
class ClientRequest:
    """A read or write that a client asks for: by whom, of which resource, with a JSON body or with parameters."""

    services: EmulatorServices
    context: ActionContext
    user: User
    session_id: int
    at: Destination
    body: Any
    parameters: Mapping[str, str]

    @property
    def database(self) -> Database:
        """The emulator's database."""
        return self.services.database

    @property
    def links(self) -> Links:
        """The links of resources."""
        return self.context.links

    def find(self, find: Callable[[Database, int | None, User], T]) -> T:
        """Return the resource, found for the user by a function of `access`. Raises Missing, Denied and Refused."""
        return find(self.database, self.at.id, self.user)

    def text(self, name: str) -> str | None:
        """Return a parameter, or None if it is missing."""
        value = self.parameters.get(name, "")
        return None if value in _ABSENT else value

    def flag(self, name: str) -> bool | None:
        """Return a parameter as true or false, or None if it is missing. Raises Refused."""
        value = self.text(name)
        if value is None:
            return None
        if value not in ("true", "false"):
            raise Refused(f"parameter {name!r} is {value[:60]!r}, not true or false")
        return value == "true"


def read_document(body: bytes) -> Any:
    """Return the JSON in a body; no body is an empty object. Raises Refused."""
    return read_json(body, None) if body.strip() else {}


def read_auth_params(header: str | None) -> Any:
    """Return what the header StompX-Auth-Params holds: JSON, encoded as base64. Raises Refused."""
    if not header:
        return {}
    try:
        raw = base64.b64decode(header, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("the header 'StompX-Auth-Params' is not base64") from None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")  # as browsers encode it
    return read_json(text.encode(), None)


def wants_heartbeats(header: str) -> bool:
    """Return whether a client sends and expects heart-beats. Raises Refused."""
    sent, comma, expected = header.partition(",")
    if not (comma and _is_number(sent) and _is_number(expected)):
        raise Refused(f"the header 'heart-beat' is {header[:40]!r}, not two numbers of milliseconds")
    return int(sent) > 0 and int(expected) > 0


def error_body(problem: HttpProblem) -> bytes:
    """Return the body of an ERROR frame, or of a message on the errors queue."""
    name = "AccessDeniedError" if isinstance(problem, Denied) else problem.error
    document = {"error": name, "message": problem.explanation, "timestamp": timestamp(datetime.now(UTC))}
    return compact_json(document)


def _read(pattern: re.Pattern[str], text: str) -> Destination:
    match = pattern.fullmatch(text)
    if match is None:
        raise Missing(f"there is no destination {text[:200]!r}")
    parts = match.groupdict(default="")
    number, size = parts["id"], parts.get("size")
    page = PagePosition(
        parts.get("direction") or "page", int(parts.get("at") or 0), int(size) if size else None, parts.get("sort", "")
    )
    return Destination(parts["kind"], int(number) if number else None, parts["part"], page)


read_topic, read_action, read_relay = partial(_read, _TOPIC), partial(_read, _ACTION), partial(_read, _RELAY)
"""Read the destination of a topic, an action or a relay. They raise Missing."""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 12


def page_request(destination: Destination, sorting: Sorting) -> PageRequest:
    """Return the requested page of an offset list, in the requested order. Raises Refused."""
    position = destination.page
    names = [name for name in position.sort.split(",") if name]
    direction = names.pop().upper() if names and names[-1].lower() in ("asc", "desc") else "ASC"
    order = sorting.order_by([f"{_column(name, sorting.columns)} {direction}" for name in names])
    return PageRequest(position.at if position.direction == "page" else 0, _size(destination), order)


def cursor_request(destination: Destination) -> CursorRequest:
    """Return the requested page of a list that grows at its head."""
    position = destination.page
    cursor = Cursor()
    if position.direction == "next":
        cursor = Cursor(next=position.at, relation=Relation.NEXT)
    elif position.direction == "previous":
        cursor = Cursor(start=position.at, relation=Relation.PREVIOUS)
    return CursorRequest(cursor, _size(destination))


def written_page(request: ClientRequest, name: str, page: Page[T], write: Write[T]) -> dict[str, Any]:
    """Return a page of an offset list."""
    destination = request.at
    last = max(page.total_pages - 1, 0)
    relays = {"self": _relay(destination, "page", page.number)}
    if page.total_pages > 1:
        relays |= {"first": _relay(destination, "page", 0), "last": _relay(destination, "page", last)}
    if page.number > 0:
        relays["prev"] = _relay(destination, "page", min(page.number - 1, last))
    if page.number < last:
        relays["next"] = _relay(destination, "page", page.number + 1)
    block = {
        "size": page.size,
        "totalElement": page.total_elements,
        "totalElements": page.total_elements,
        "totalPages": page.total_pages,
        "number": page.number,
    }
    items = [write(item, request.links) for item in page.items]
    return {"_embedded": {name: items}, "page": block, "_relays": relays}


def written_message_page(request: ClientRequest, page: CursorPage[Message]) -> dict[str, Any]:
    """Return a page of messages, newest first; `prev` is the page of newer ones."""
    destination = request.at
    relays = {"self": _relay(destination, destination.page.direction, destination.page.at)}
    block: dict[str, Any] = {"size": page.size}
    if page.start is not None:
        block["start"] = str(page.start)
        if destination.page.direction != "page":
            relays["prev"] = _relay(destination, "previous", page.start)
    if page.has_next and page.next is not None:
        block["next"] = str(page.next)
        relays["next"] = _relay(destination, "next", page.next)
    items = [client_message(message, request.links) for message in page.items]
    return {"_embedded": {"messages": items}, "page": block, "_relays": relays}


def paged(items: Sequence[T], destination: Destination) -> Page[T]:
    """Return a page of items that are all known."""
    size, number = _size(destination), destination.page.at
    total = len(items)
    return Page(tuple(items[number * size : (number + 1) * size]), number, size, total, -(-total // size))


def _relay(destination: Destination, direction: str, at: int) -> str:
    page = destination.page
    size = "" if page.size is None else page.size
    return f"{relay(destination.of, destination.part)}.{direction}.{at}.size.{size}.sort.{page.sort}"


def _size(destination: Destination) -> int:
    return min(destination.page.size or DEFAULT_SIZE, LARGEST_SIZE)


def _column(name: str, columns: Mapping[str, str]) -> str:
    """Return the SQL of a property, which may be written with the resource before it, such as `user.displayName`."""
    column = columns.get(name) or columns.get(name.rsplit(".", 1)[-1])
    if column is None:
        raise Refused(f"cannot sort by {name[:60]!r}; this list can be sorted by {', '.join(columns)}")
    return column


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
        channel = access.visible_channel(database, destination.id, user)
        return channel if part == "self" else None
    if destination.kind == "threads" and part == "self":
        access.visible_thread(database, destination.id, user)
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
        if len(self._by_name) >= _MOST_SUBSCRIPTIONS:
            raise BadFrame(f"there are more than {_MOST_SUBSCRIPTIONS} subscriptions")

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
