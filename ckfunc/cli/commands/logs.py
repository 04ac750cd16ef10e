"""`ckfunc logs`: list or follow invocations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from ckfunc.base.errors import UsageProblem
from ckfunc.base.interrupts import ended_by_signals, require_uninterrupted
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import argument, choice, command, flag, integer, option
from ckfunc.cli.output import Output
from ckfunc.logs.entries import Filter, Gap, Item, LogEntry, Recovered, Trouble, parse_filter
from ckfunc.logs.finding import deployed_functions, read_invocation, recent, require_deployed, undeployed
from ckfunc.logs.follow import CheckedClock
from ckfunc.logs.follow import follow as following
from ckfunc.logs.format import json_line, lines, notice, whole

if TYPE_CHECKING:
    from ckfunc.api import Client
    from ckfunc.deploy.stacks import Stacks
    from ckfunc.model.project import Project

USUAL_COUNT = 25
"""The default number of past invocations to print."""


@command
@argument("names", "[TYPE | ID]...", complete=complete_types, nargs=-1)
@flag("--follow", "Wait for new invocations until Ctrl-C.", short="-f")
@option(
    "--lines",
    "N",
    "Show at most N past invocations (default: 25, or all with --since).",
    integer(0),
    short="-n",
    dest="limit",
)
@option("--since", "WHEN", "Not older than this: 10m, 2h, 1d, today, yesterday, or an ISO time.")
@option("--until", "WHEN", "Not newer than this; same formats as --since.")
@choice("--status", ["running", "succeeded", "failed"], "Only invocations with this status.", case_sensitive=False)
@option("--version", "NUMBER", "Only invocations of this version.", integer(1))
def logs(
    app: App,
    names: tuple[str, ...],
    follow: bool,
    limit: int | None,
    since: str | None,
    until: str | None,
    status: str | None,
    version: int | None,
) -> None:
    """List the invocations of the functions of TYPE (default: all), oldest first; with -f, follow them.

    Each line begins with the time and the invocation's ID in brackets. With IDs instead of TYPEs, print these
    invocations in full. An invocation that is still running is printed again when it ends. On the emulator, console
    output is shown below its invocation.
    """
    if names and all(name.isdecimal() for name in names):
        if follow or any(option is not None for option in (limit, since, until, status, version)):
            raise UsageProblem(
                "options that select invocations can't be used with an ID", hint=f"run `ckfunc logs {names[0]}`"
            )
        _print_whole(app, [int(name) for name in names])
        return
    if follow and until is not None:
        raise UsageProblem("--follow and --until can't be used together", hint="leave out one of them")
    row_filter = parse_filter(status, version, since, until, app.clock.now())
    if limit is None and row_filter.since is None:
        limit = USUAL_COUNT
    if follow:
        _follow(app, names, limit, row_filter)
    else:
        _list(app, names, limit, row_filter)


def _list(app: App, types: Collection[str], limit: int | None, row_filter: Filter) -> None:
    client = app.client()
    with app.output.progress("reading"):
        functions = deployed_functions(client, types)
    require_deployed(types, functions)
    stacks = stacks_of(app, client)

    def left_out() -> None:
        older = f"older invocations are not shown: use -n {(limit or USUAL_COUNT) * 4}, or --since and --until"
        app.output.talk((older, "muted"))

    count = 0
    for item in recent(client, functions, limit, row_filter, left_out):
        count += isinstance(item, LogEntry)
        print_item(app.output, item, dated=True, stacks=stacks)
        app.output.flush()  # raises once the reader has closed the pipe
    if not count:
        app.output.talk(("no invocations", "muted"), *([] if functions else [": no functions are deployed"]))


@ended_by_signals()
def _follow(app: App, types: Collection[str], limit: int | None, row_filter: Filter) -> None:
    client = app.client(lasting=True)
    with app.output.progress("reading"):
        functions = deployed_functions(client, types)
    for name in undeployed(types, functions):
        app.output.warn(f"the application has no function of type {name!r} yet")
    app.output.talk(("following ", "title"), ", ".join(types) or "every function", ("; press Ctrl-C to stop", "muted"))
    stacks = stacks_of(app, client, fresh=True)

    def check() -> None:
        require_uninterrupted()
        app.output.require_reader()

    for item in following(client, types, clock=CheckedClock(app.clock, check), limit=limit, row_filter=row_filter):
        print_item(app.output, item, stacks=stacks)
        app.output.flush()


def _print_whole(app: App, ids: Sequence[int]) -> None:
    """Print complete invocations, in the order of `ids`. Raises NoSuchInvocation."""
    client = app.client()
    with app.output.progress("reading"):
        entries = [read_invocation(client, invocation_id, target=app.target().name) for invocation_id in ids]
    stacks = stacks_of(app, client, project=app.project)
    for entry in entries:
        if app.settings.json:
            app.output.line(json_line(entry))
        else:
            app.output.lines(whole(stacks.mapped(entry)))


def stacks_of(app: App, client: Client, *, project: Callable[[], Project] | None = None, fresh: bool = False) -> Stacks:
    """Return a mapper of stacks to local files of the project, by default with the scripts that `app` reads."""
    from ckfunc.deploy.stacks import Stacks  # which --help and completion do not need

    return Stacks(client, project or app.scripts, fresh=fresh)


def print_item(output: Output, item: Item, *, dated: bool = False, stacks: Stacks | None = None) -> None:
    """Print an item of a log: an invocation as a result, the state of the connection as a message.

    Text output refers to local files where `stacks` can map them; JSON has the platform's values.
    """
    if isinstance(item, Trouble | Recovered | Gap):
        output.talk(*notice(item))
    elif output.settings.json:
        output.line(json_line(item))
    else:
        shown = item if stacks is None else stacks.mapped(item)
        output.lines(lines(shown, width=output.width(), zone=None, dated=dated, calls=output.settings.verbose))
