"""`ckfunc emulator users`, `channels` and `messages`: list the emulator's data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_users
from ckfunc.cli.emulator_data import stored_client
from ckfunc.cli.options import F, channel_option, choice, command, data_dir_option, integer, option

if TYPE_CHECKING:
    from ckfunc.chat.lists import Listing


_SEED_HINT = "`ckfunc emulator seed FILE` adds some"
_limit = option("-n", "N", "List at most N.", integer(1, 2000), dest="limit", default=25)
_page = option(
    "--page", "PAGE", "Page of the list, from 1 (default: the first).", integer(1), default=1, show_default=False
)


def _user(text: str) -> Callable[[F], F]:
    return option("--user", "NAME|ID", text, complete=complete_users)


@command("""
  ckfunc emulator users                     all users
  ckfunc emulator users --channel support   the members of a channel
""")
@channel_option("Only members of this channel.")
@_limit
@_page
@data_dir_option
def users(app: App, channel: str | None, limit: int, page: int, data_dir: Path | None) -> None:
    """List the users of the emulator.

    The emulator may be running.
    """
    from ckfunc.chat.lists import users_listing

    client = stored_client(app, data_dir)
    with app.output.progress("reading"):
        listing = users_listing(client, limit, page, channel, _SEED_HINT)
    _print(app, listing)


@command("""
  ckfunc emulator channels                  all channels
  ckfunc emulator channels --user jane      a user's channels
""")
@_user("Only channels that this user is a member of.")
@choice("--type", ["PUBLIC", "PRIVATE", "DIRECT"], "Only this type.", case_sensitive=False, dest="kind")
@_limit
@_page
@data_dir_option
def channels(app: App, user: str | None, kind: str | None, limit: int, page: int, data_dir: Path | None) -> None:
    """List the channels of the emulator.

    A direct channel is named by its members. The emulator may be running.
    """
    from ckfunc.chat.lists import channels_listing

    if user is not None and kind is not None:
        raise UsageProblem("--user and --type can't be used together", hint="use only one of them")
    client = stored_client(app, data_dir)
    with app.output.progress("reading"):
        listing = channels_listing(client, limit, page, user, kind, _SEED_HINT)
    _print(app, listing)


@command("""
  ckfunc emulator messages                      of every channel
  ckfunc emulator messages --channel support    of one channel
  ckfunc emulator messages --search refund      with this text
  ckfunc emulator messages --before 4711        older ones
""")
@channel_option("Only messages of this channel.")
@_user("Only messages of this user.")
@option("--search", "TEXT", "Only messages with this text.")
@option("--before", "ID", "Only messages older than this one.", integer(1))
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
    from ckfunc.chat.lists import MessageChoice, messages_listing

    client = stored_client(app, data_dir)
    with app.output.progress("reading"):
        listing = messages_listing(
            client, limit, MessageChoice(channel, user, search, before), titled=not app.settings.json
        )
    _print(app, listing, rest_first=bool(listing.rows))


def _print(app: App, listing: Listing, *, rest_first: bool = False) -> None:
    """Print a list as a table, or as JSON, and the message about its rest."""
    if rest_first and listing.rest:
        app.output.talk(*listing.rest)
    app.output.result(listing.documents, listing.lines(app.output.width()))
    if listing.rest and not rest_first:
        app.output.talk(*listing.rest)
