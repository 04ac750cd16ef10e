"""`ckfunc emulator users`, `channels` and `messages`: list the emulator's data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ckfunc.base.errors import UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_channels, complete_users
from ckfunc.cli.emulator_data import data_dir_option, stored_client
from ckfunc.cli.options import F, command

if TYPE_CHECKING:
    from ckfunc.base.text import Line
    from ckfunc.model.page import Page

# The client and the tables are imported inside the functions: `ckfunc emulator --help` does not need them.

_limit = click.option(
    "-n", "limit", type=click.IntRange(1, 2000), default=25, show_default=True, metavar="N", help="List at most N."
)
_page = click.option(
    "--page", type=click.IntRange(1), default=1, metavar="PAGE", help="Page of the list, from 1 (default: the first)."
)


def _channel(text: str) -> Callable[[F], F]:
    return click.option("--channel", metavar="NAME|ID", shell_complete=complete_channels, help=text)


def _user(text: str) -> Callable[[F], F]:
    return click.option("--user", metavar="NAME|ID", shell_complete=complete_users, help=text)


@command("""
  ckfunc emulator users                     all users
  ckfunc emulator users --channel support   the members of a channel
""")
@_channel("Only members of this channel.")
@_limit
@_page
@data_dir_option
def users(app: App, channel: str | None, limit: int, page: int, data_dir: Path | None) -> None:
    """List the users of the emulator.

    The emulator may be running.
    """
    from ckfunc.api.lists import PagePart, find_channel, list_users
    from ckfunc.chat.lines import USER_HEADINGS, user_cells

    client = stored_client(app, data_dir)
    with app.output.progress("reading"):
        of = None if channel is None else find_channel(client, channel).id
        part = list_users(client, PagePart(limit, page - 1), channel_id=of)
    rows = [user_cells(user.item) for user in part.items]
    _print_list(app, USER_HEADINGS, rows, [listed.document for listed in part.items])
    _print_rest(app, part, "users", "`ckfunc emulator seed FILE` adds some" if channel is None else "")


@command("""
  ckfunc emulator channels                  all channels
  ckfunc emulator channels --user jane      a user's channels
""")
@_user("Only channels that this user is a member of.")
@click.option(
    "--type", "kind", type=click.Choice(["PUBLIC", "PRIVATE", "DIRECT"], case_sensitive=False), help="Only this type."
)
@_limit
@_page
@data_dir_option
def channels(app: App, user: str | None, kind: str | None, limit: int, page: int, data_dir: Path | None) -> None:
    """List the channels of the emulator.

    A direct channel is named by its members. The emulator may be running.
    """
    from ckfunc.api.lists import PagePart, find_user, list_channels
    from ckfunc.chat.lines import CHANNEL_HEADINGS, channel_cells

    if user is not None and kind is not None:
        raise UsageProblem("--user and --type can't be used together", hint="use only one of them")
    client = stored_client(app, data_dir)
    with app.output.progress("reading"):
        of = None if user is None else find_user(client, user).id
        part = list_channels(client, PagePart(limit, page - 1), user_id=of, kind=kind)
    rows = [channel_cells(listed.item) for listed in part.items]
    _print_list(app, CHANNEL_HEADINGS, rows, [listed.document for listed in part.items])
    _print_rest(app, part, "channels", "`ckfunc emulator seed FILE` adds some" if user is kind is None else "")


@command("""
  ckfunc emulator messages                      of every channel
  ckfunc emulator messages --channel support    of one channel
  ckfunc emulator messages --search refund      with this text
  ckfunc emulator messages --before 4711        older ones
""")
@_channel("Only messages of this channel.")
@_user("Only messages of this user.")
@click.option("--search", metavar="TEXT", help="Only messages with this text.")
@click.option("--before", type=click.IntRange(1), metavar="ID", help="Only messages older than this one.")
@_limit
@data_dir_option
def messages(
    app: App,
    channel: str | None,
    user: str | None,
    search: str | None,
    before: int | None,
    limit: int,
    data_dir: Path | None,
) -> None:
    """List the newest messages of the emulator.

    The last line is the newest message. The emulator may be running.
    """
    from ckfunc.api.lists import MessageFilter, channel_of, find_channel, find_user, newest_messages
    from ckfunc.chat.lines import MESSAGE_HEADINGS, channel_title, message_cells

    client = stored_client(app, data_dir)
    with app.output.progress("reading"):
        of = None if channel is None else find_channel(client, channel).id
        by = None if user is None else find_user(client, user).name
        part = newest_messages(client, limit, MessageFilter(of, by, search, before))
        shown = part.items[::-1]
        ids = {listed.item.channel_id for listed in shown} if of is None and not app.output.json else set()
        channels = [there for channel_id in ids if (there := channel_of(client, channel_id)) is not None]
    titles = {channel.id: channel_title(channel) for channel in channels}
    rows = [message_cells(listed.item, titles) for listed in shown]
    if part.more:
        app.output.talk(
            (
                f"older messages are not shown: `ckfunc emulator messages --before {shown[0].item.id}` lists them",
                "muted",
            )
        )
    _print_list(app, MESSAGE_HEADINGS, rows, [listed.document for listed in shown])
    if not shown:
        app.output.talk(("no messages", "muted"))


def _print_list(
    app: App, headings: Sequence[str], rows: Sequence[Line], documents: Sequence[Mapping[str, Any]]
) -> None:
    """Print a list as a table, or as JSON."""
    from ckfunc.chat.lines import fitting_table

    if app.output.json:
        app.output.document(documents)
    elif rows:
        app.output.lines(fitting_table(headings, rows, app.output.width()))


def _print_rest(app: App, page: Page[Any], name: str, hint: str) -> None:
    """Print that there are other pages, or nothing at all."""
    if page.total_pages > 1 and page.items:
        more = "" if page.number + 1 == page.total_pages else f"; --page {page.number + 2} shows the next"
        text = f"page {page.number + 1} of {page.total_pages}, {page.total_elements} {name} in total{more}"
        app.output.talk((text, "muted"))
    elif not page.items and page.total_elements:
        pages = "is 1 page" if page.total_pages == 1 else f"are {page.total_pages} pages"
        app.output.talk((f"no {name} on page {page.number + 1}: there {pages}", "muted"))
    elif not page.items:
        app.output.talk((f"no {name}", "muted"), f"; {hint}" if hint else "")
