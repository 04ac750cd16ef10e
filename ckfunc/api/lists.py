"""Lists of an application's users, channels and messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from ckfunc.api.client import Client, all_items, reading
from ckfunc.base.errors import NotFound
from ckfunc.base.frozen import frozen
from ckfunc.base.text import did_you_mean, is_id, shortened
from ckfunc.model.chat import Channel, Message, User
from ckfunc.model.page import Page
from ckfunc.wire.channels import read_channel
from ckfunc.wire.links import read_page
from ckfunc.wire.messages import read_message
from ckfunc.wire.reading import optional, resource
from ckfunc.wire.users import read_user

T = TypeVar("T")

LARGEST_PAGE = 2000
"""The most items of a page. Source: the platform's paging."""
_MOST_SUGGESTED = 1000


@frozen
class ListItem(Generic[T]):
    """An item of a list, and its JSON without links."""

    item: T
    document: Mapping[str, Any]


@frozen
class PagePart:
    """The requested part of a list: `size` items, of page `number`, which counts from 0."""

    size: int
    number: int = 0


@frozen
class MessageFilter:
    """Conditions that select messages; None does not restrict. `before` is the id of a newer message."""

    channel_id: int | None = None
    username: str | None = None
    text: str | None = None
    before: int | None = None


@frozen
class NewestMessages:
    """The newest messages of a list, newest first; `more` is whether there are older ones."""

    items: tuple[ListItem[Message], ...]
    more: bool


def list_users(client: Client, part: PagePart, *, channel_id: int | None = None) -> Page[ListItem[User]]:
    """Read a page of all users, or of the members of a channel."""
    path = "/users" if channel_id is None else f"/channels/{channel_id}/members"
    return _page(client, path, "users", read_user, {"page": part.number, "size": part.size})


def list_channels(
    client: Client, part: PagePart, *, user_id: int | None = None, kind: str | None = None
) -> Page[ListItem[Channel]]:
    """Read a page of all channels, of those of a type, or of a user's channels."""
    path = "/channels" if user_id is None else f"/users/{user_id}/channels"
    query: dict[str, object] = {"page": part.number, "size": part.size}
    return _page(client, path, "channels", read_channel, query | ({} if kind is None else {"type": kind}))


def newest_messages(client: Client, most: int, message_filter: MessageFilter) -> NewestMessages:
    """Read the newest messages, at most `most`."""
    query: dict[str, object] = {"size": most}
    for name, value in (
        ("username", message_filter.username),
        ("query", message_filter.text),
        ("next", message_filter.before),
    ):
        if value is not None:
            query[name] = value
    path = "/messages" if message_filter.channel_id is None else f"/channels/{message_filter.channel_id}/messages"
    document = client.session.get(f"/v1{path}", "the messages", query)
    return reading("the messages", client.session.server, _newest, document)


def find_user(client: Client, text: str) -> User:
    """Return the user of a name, or of an id. Raises NotFound."""
    if named := _page(client, "/users", "users", read_user, {"name": text}).items:
        return named[0].item
    if (user := _by_id(client, "users", text, read_user)) is not None:
        return user
    users = list_users(client, PagePart(_MOST_SUGGESTED)).items
    raise NotFound(
        f"there is no user {shortened(text, 60)!r}",
        hint=did_you_mean(text, (user.item.name for user in users)) or "`ckfunc emulator users` lists the users",
    )


def find_channel(client: Client, text: str) -> Channel:
    """Return the channel of a name, or of an id. Raises NotFound."""
    names: list[str] = []
    for channel in all_items(partial(_channels, client), "the channels"):
        if channel.name == text:
            return channel
        names += [channel.name] if channel.name and len(names) < _MOST_SUGGESTED else []
    if (match := _by_id(client, "channels", text, read_channel)) is not None:
        return match
    raise NotFound(
        f"there is no channel {shortened(text, 60)!r}",
        hint=did_you_mean(text, names) or "`ckfunc emulator channels` lists the channels",
    )


def channel_of(client: Client, channel_id: int) -> Channel | None:
    """Return the channel with an id, or None."""
    return _by_id(client, "channels", str(channel_id), read_channel)


def _channels(client: Client, number: int) -> Page[Channel]:
    subject, query = "the channels", {"page": number, "size": LARGEST_PAGE, "sort": "id,asc"}
    document = client.session.get("/v1/channels", subject, query)
    return reading(subject, client.session.server, lambda page: read_page(page, "channels", read_channel), document)


def _by_id(client: Client, kind: str, text: str, read: Callable[[Any], T]) -> T | None:
    if not is_id(text):
        return None
    try:
        document = client.session.get(f"/v1/{kind}/{text}", f"{kind[:-1]} {text}")
    except NotFound:
        return None
    return reading(f"{kind[:-1]} {text}", client.session.server, read, document)


def _page(
    client: Client, path: str, name: str, read: Callable[[Any], T], query: Mapping[str, object]
) -> Page[ListItem[T]]:
    subject = f"the {name}"
    document = client.session.get(f"/v1{path}", subject, query)
    return reading(subject, client.session.server, lambda page: read_page(page, name, partial(_listed, read)), document)


def _newest(document: Any) -> NewestMessages:
    data = resource(document, "page")
    embedded, links = optional(data, "_embedded", dict) or {}, optional(data, "_links", dict) or {}
    items = tuple(_listed(read_message, message) for message in embedded.get("messages") or ())
    return NewestMessages(items, "next" in links)


def _listed(read: Callable[[Any], T], document: Any) -> ListItem[T]:
    return ListItem(read(document), {name: value for name, value in document.items() if name != "_links"})
