"""Lists of users, channels and messages, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ckfunc.api import Client
from ckfunc.api.lists import (
    ListItem,
    MessageFilter,
    PagePart,
    channel_of,
    find_channel,
    find_user,
    list_channels,
    list_users,
    newest_messages,
)
from ckfunc.base.text import Line
from ckfunc.chat.lines import (
    CHANNEL_HEADINGS,
    MESSAGE_HEADINGS,
    USER_HEADINGS,
    channel_cells,
    channel_title,
    fitting_table,
    message_cells,
    user_cells,
)
from ckfunc.model.page import Page

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listing:
    """A part of a list. `rest` is a message about the other parts, if there are any, or about an empty list."""

    headings: Sequence[str]
    rows: Sequence[Line]
    documents: Sequence[Mapping[str, Any]]
    rest: Line = ()

    def lines(self, width: int | None) -> Sequence[Line]:
        """Return the table, at most `width` columns wide; nothing for an empty list."""
        return fitting_table(self.headings, self.rows, width) if self.rows else ()


@dataclass(frozen=True, slots=True)
class MessageChoice:
    """The messages to list: of a channel and of a user (name or id), with a text, and older than `before` (an id)."""

    channel: str | None = None
    user: str | None = None
    text: str | None = None
    before: int | None = None


def users_listing(client: Client, size: int, page: int, channel: str | None, hint: str) -> Listing:
    """Read a page (from 1) of the users, or of the members of a channel (name or id). `hint` is for an empty list."""
    channel_id = None if channel is None else find_channel(client, channel).id
    part = list_users(client, PagePart(size, page - 1), channel_id=channel_id)
    return _listing(part, USER_HEADINGS, user_cells, "users", hint if channel is None else "")


def channels_listing(client: Client, size: int, page: int, user: str | None, kind: str | None, hint: str) -> Listing:
    """Read a page (from 1) of the channels, of a user (name or id), or of a type. `hint` is for an empty list."""
    user_id = None if user is None else find_user(client, user).id
    part = list_channels(client, PagePart(size, page - 1), user_id=user_id, kind=kind)
    return _listing(part, CHANNEL_HEADINGS, channel_cells, "channels", hint if user is kind is None else "")


def messages_listing(client: Client, most: int, choice: MessageChoice, *, titled: bool) -> Listing:
    """Read the newest messages that `choice` selects, oldest first.

    If `titled`, rows of different channels have their names.
    """
    channel_id = None if choice.channel is None else find_channel(client, choice.channel).id
    username = None if choice.user is None else find_user(client, choice.user).name
    part = newest_messages(client, most, MessageFilter(channel_id, username, choice.text, choice.before))
    shown = part.items[::-1]
    ids = {listed.item.channel_id for listed in shown} if channel_id is None and titled else set()
    channels = [channel for each in ids if (channel := channel_of(client, each)) is not None]
    titles = {channel.id: channel_title(channel) for channel in channels}
    rows = [message_cells(listed.item, titles) for listed in shown]
    rest: Line = () if shown else [("no messages", "muted")]
    if part.more:
        older = f"`ckfunc emulator messages --before {shown[0].item.id}` lists them"
        rest = [(f"older messages are not shown: {older}", "muted")]
    return Listing(MESSAGE_HEADINGS, rows, [listed.document for listed in shown], rest)


def _listing(
    page: Page[ListItem[T]], headings: Sequence[str], cells_of: Callable[[T], Line], name: str, hint: str
) -> Listing:
    rows = [cells_of(listed.item) for listed in page.items]
    return Listing(headings, rows, [listed.document for listed in page.items], _rest(page, name, hint))


def _rest(page: Page[Any], name: str, hint: str) -> Line:
    """Return a message about the other pages, or about an empty list."""
    if page.total_pages > 1 and page.items:
        more = "" if page.number + 1 == page.total_pages else f"; --page {page.number + 2} shows the next"
        text = f"page {page.number + 1} of {page.total_pages}, {page.total_elements} {name} in total{more}"
        return [(text, "muted")]
    if not page.items and page.total_elements:
        pages = "is 1 page" if page.total_pages == 1 else f"are {page.total_pages} pages"
        return [(f"no {name} on page {page.number + 1}: there {pages}", "muted")]
    if not page.items:
        return [(f"no {name}", "muted"), (f"; {hint}" if hint else "", "plain")]
    return ()
