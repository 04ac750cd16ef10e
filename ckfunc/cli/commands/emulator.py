"""`ckfunc emulator`: run the local platform, list its data, manage its faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import CkfuncError, UsageProblem
from ckfunc.base.text import counted
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_operations, complete_users
from ckfunc.cli.emulator_data import DATA_COMMANDS, directory, stored_data
from ckfunc.cli.options import (
    FILE,
    argument,
    channel_option,
    choice,
    data_dir_option,
    flag,
    group,
    integer,
    keep_invocations_option,
    open_option,
    option,
    port_option,
)
from ckfunc.emulator.data_directory import UnusableDirectory
from ckfunc.emulator.store.trouble import UnwritableDatabase
from ckfunc.model.fault import fault_table
from ckfunc.wire.faults import FaultMistake, read_fault_entry, write_active_fault

if TYPE_CHECKING:
    from ckfunc.api import Client
    from ckfunc.api.emulator import FaultControls
    from ckfunc.chat.lines import Listing

_SEED_HINT = "`ckfunc emulator seed FILE` adds some"
_limit = option("-n", "N", "List at most N.", integer(1, 2000), dest="limit", default=25)
_page = option(
    "--page", "PAGE", "Page of the list, from 1 (default: the first).", integer(1), default=1, show_default=False
)
_user = partial(option, "--user", "NAME|ID", complete=complete_users)


@group
@option("--host", "ADDRESS", "Listen on this address.", default="127.0.0.1")
@port_option
@data_dir_option("Store data in this directory.")
@flag("--ephemeral", "Do not save data.")
@option("--seed", "FILE", "Add the users, channels and messages in this file.", FILE)
@keep_invocations_option
@open_option
def emulator(
    app: App, host: str, port: int, ephemeral: bool, seed: Path | None, keep_invocations: int, open_dashboard: bool
) -> None:
    """Run the emulator until Ctrl-C.

    The first line on stdout is `ready http://ADDRESS:PORT`. The client id, client secret and API key are all
    `emulator`; the application's id is 1. Data is stored in the project's .ckfunc/emulator/ by default. The
    dashboard is at /, and the API is described at /docs.
    """
    from ckfunc.emulator.options import EmulatorOptions

    if app.settings.data_dir and ephemeral:
        raise UsageProblem("--data-dir and --ephemeral can't be used together", hint="--ephemeral saves no data")
    data = None if ephemeral else directory(app, otherwise="--data-dir DIR or --ephemeral")
    options = EmulatorOptions(host=host, port=port, keep_invocations=keep_invocations)
    if options.is_public:
        app.output.warn(
            f"anyone who can reach {host} can run code on this machine, because the emulator's credentials are public"
        )

    def ready(url: str) -> None:
        app.output.line("ready ", url)
        app.output.flush()
        where = f"data in {app.output.path(data)}" if data else "data is not saved"
        app.output.talk(("emulator: ", "title"), f"{where}; client id and secret are `emulator`; press Ctrl-C to stop")
        app.show_dashboard(url, open_browser=open_dashboard)

    planted = None
    if seed:
        from ckfunc.emulator.stored_data import read_seed_file  # imports the client of the API

        planted = read_seed_file(app.directory / seed)[0]
    try:
        app.emulator(data, replace(options, seed=planted)).run_forever(ready)
    except (UnusableDirectory, UnwritableDatabase) as problem:
        if not problem.unwritable:
            raise
        hint = "choose another --data-dir, or use --ephemeral to save nothing"
        raise CkfuncError(problem.message, hint=hint) from None
    app.output.interrupted()


@emulator.subcommand
@channel_option("Only members of this channel.")
@_limit
@_page
@data_dir_option()
def users(app: App, channel: str | None, limit: int, page: int) -> None:
    """List the users of the emulator.

    The emulator may be running.
    """
    from ckfunc.chat.lines import users_listing

    _print_list(app, lambda client: users_listing(client, limit, page, channel, _SEED_HINT))


@emulator.subcommand
@_user("Only channels that this user is a member of.")
@choice("--type", ["PUBLIC", "PRIVATE", "DIRECT"], "Only this type.", case_sensitive=False, dest="kind")
@_limit
@_page
@data_dir_option()
def channels(app: App, user: str | None, kind: str | None, limit: int, page: int) -> None:
    """List the channels of the emulator.

    A direct channel is named by its members. The emulator may be running.
    """
    from ckfunc.chat.lines import channels_listing

    if user is not None and kind is not None:
        raise UsageProblem("--user and --type can't be used together", hint="use only one of them")
    _print_list(app, lambda client: channels_listing(client, limit, page, user, kind, _SEED_HINT))


@emulator.subcommand
@channel_option("Only messages of this channel.")
@_user("Only messages of this user.")
@option("--search", "TEXT", "Only messages with this text.")
@option("--before", "ID", "Only messages older than this one.", integer(1))
@_limit
@data_dir_option()
def messages(
    app: App, channel: str | None, user: str | None, search: str | None, before: int | None, limit: int
) -> None:
    """List the newest messages of the emulator.

    The last line is the newest message. The emulator may be running.
    """
    from ckfunc.chat.lines import MessageChoice, messages_listing

    chosen, titled = MessageChoice(channel, user, search, before), not app.settings.json
    _print_list(app, lambda client: messages_listing(client, limit, chosen, titled=titled))


def _print_list(app: App, read: Callable[[Client], Listing]) -> None:
    """Print a list of an emulator as a table, or as JSON, and the message about its rest."""
    stored_data(app).require()
    client = app.connect(app.emulator_connection())
    with app.output.progress("reading"):
        listing = read(client)
    rest = [listing.rest] if listing.rest else []
    app.output.talks(rest if listing.rest_first else [])
    app.output.result(listing.documents, listing.lines(app.output.width()))
    app.output.talks([] if listing.rest_first else rest)


@group
@data_dir_option()
def faults(app: App) -> None:
    """List the faults of a running emulator.

    Faults are errors, delays and lost responses of the Platform API. AFFECTED counts the requests that a fault has
    affected, out of those that it could have affected. Faults end with the emulator.
    """
    active = _running_faults(app).all()
    empty = (("no faults", "muted"), "; `ckfunc emulator faults add --help` shows examples")
    app.output.result([write_active_fault(fault) for fault in active], fault_table(active), empty)


@faults.subcommand
@argument("operation", "[OPERATION]", complete=complete_operations, required=False)
@option("--status", "STATUS", "Refuse requests with this status: 429, or 500 to 599.", int)
@option("--retry-after", "SECONDS", "Retry-After of the response (default for 429: 1).", int)
@option("--delay", "TIME", "Delay requests, for example by 500ms or 2s.")
@flag("--lost", "Carry requests out, but close the connection without a response.")
@option("--rate", "PERCENT", "Only affect this percentage of the requests, for example 20%.")
@option("--first", "N", "Only affect the first N requests.", int)
@option("--seed", "N", "Seed of the random numbers for --rate (default: 1).", int)
@data_dir_option()
def add(app: App, /, **entry: object) -> None:
    """Add a fault to a running emulator.

    It affects requests to the Platform API. OPERATION is the id of an operation, as /docs lists them; by default, all
    are affected. If several faults apply to a request, the oldest one takes effect.
    """
    try:
        fault = read_fault_entry(entry)
    except FaultMistake as mistake:
        raise UsageProblem(mistake.message, hint=mistake.hint or "see `ckfunc emulator faults add --help`") from None
    active = _running_faults(app).add(fault)
    description = f"fault {active.id}: {fault.effect}, {fault.requests} of {fault.operation or 'all operations'}"
    app.output.result(write_active_fault(active), (), [("added ", "success"), description])


@faults.subcommand
@argument("ids", "[ID]...", integer(1), nargs=-1)
@data_dir_option()
def clear(app: App, ids: tuple[int, ...]) -> None:
    """Remove faults of a running emulator, by default all. If an ID does not exist, nothing is removed."""
    running = _running_faults(app)
    removed = running.remove(ids) if ids else running.clear()
    count = (("removed ", "success"), counted(len(removed), "fault"))
    documents = [write_active_fault(fault) for fault in removed]
    app.output.result(documents, (), count if removed else (("no faults", "muted"),))


def _running_faults(app: App) -> FaultControls:
    """Return the faults of the emulator that is running. Raises CkfuncError if none is."""
    from ckfunc.api.emulator import FaultControls

    data = directory(app)
    url = app.running_emulator()
    if url is None:
        hint = "start one with `ckfunc emulator` or `ckfunc dev`; faults end with the emulator"
        raise CkfuncError(f"no emulator is running for {app.output.path(data)}", hint=hint)
    return FaultControls(app.connect(app.emulator_connection(url)))


for subcommand in (faults, *DATA_COMMANDS):
    emulator.add_command(subcommand)
