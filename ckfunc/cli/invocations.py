"""How invocations are listed, followed, and shown after a trigger."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ckfunc.base.errors import CkfuncError, UsageProblem
from ckfunc.base.interrupts import require_uninterrupted
from ckfunc.base.nearest import nearest
from ckfunc.base.text import printable
from ckfunc.cli.app import App
from ckfunc.cli.output import Output, ReaderGone
from ckfunc.cli.stacks import Stacks
from ckfunc.logs.entries import Entry, Gap, Item, Recovered, Trouble
from ckfunc.logs.format import json_line, lines, notice, whole
from ckfunc.logs.since import parse_since
from ckfunc.model.function import Status
from ckfunc.wire.functions import read_detail, read_invocation

if TYPE_CHECKING:
    from ckfunc.api import Client
    from ckfunc.model.function import Function
    from ckfunc.model.project import Project

USUAL_COUNT = 25
"""How many old invocations `ckfunc logs` shows unless told otherwise."""


class NoSuchInvocation(CkfuncError):
    """The target has no invocation of this id."""


class UnknownFunction(CkfuncError):
    """The application has no function of a type that was asked for."""


def show_logs(
    app: App,
    types: Collection[str],
    *,
    follow: bool,
    limit: int | None,
    since: str | None,
    until: str | None,
    status: str | None,
    version: int | None,
) -> None:
    """Print the newest invocations that are wanted, oldest first, and with `follow` every later one."""
    from ckfunc.logs.follow import follow as following
    from ckfunc.logs.recent import recent

    now = app.clock.now()
    moment = parse_since(since, now) if since is not None else None
    end = parse_since(until, now, option="--until") if until is not None else None
    if moment is not None and end is not None and end < moment:
        raise UsageProblem("--until is before --since", hint="such as --since 2h --until 1h")
    wanted: dict[str, Any] = {
        "limit": limit if limit is not None or moment is not None else USUAL_COUNT,
        "since": moment,
        "status": Status(status.upper()) if status else None,
        "version": version,
    }
    client = app.client(lasting=follow)
    with app.output.progress("reading"):
        functions = _functions(client, types)
    stacks = Stacks(client, app.scripts, fresh=follow)
    if types and not follow:
        _require_known(types, functions)
    if not follow:
        found = 0

        def left_out() -> None:
            older = f"older invocations are not shown: use -n {wanted['limit'] * 4}, or --since and --until"
            app.output.talk((older, "muted"))

        for listed in recent(client, functions, until=end, left_out=left_out, **wanted):
            found += isinstance(listed, Entry)
            show(app.output, listed, dated=True, stacks=stacks)
            app.output.flush()  # raises once the reader has seen enough
        if not found:
            app.output.talk(("no invocations", "muted"), *([] if functions else [": nothing is deployed"]))
        return
    if types:
        _warn_of_unknown(app, types, functions)
    app.output.talk(("following ", "title"), ", ".join(types) or "every function", ("; Ctrl-C ends", "muted"))
    for item in following(client, types, clock=_ReadClock(app), **wanted):
        show(app.output, item, stacks=stacks)
        app.output.flush()


def show_invocations(app: App, ids: Sequence[int]) -> None:
    """Print invocations of the target whole, in the order asked for. Raises NoSuchInvocation."""
    client = app.client()
    with app.output.progress("reading"):
        found = [read_invocation_of(app, one) for one in ids]
    stacks = Stacks(client, app.project)
    for entry in found:
        if app.output.json:
            app.output.line(json_line(entry))
        else:
            app.output.lines(whole(stacks.mapped(entry), zone=None))


def read_invocation_of(app: App, invocation_id: int, trigger_type: str | None = None) -> Entry:
    """Read an invocation of the target, with GET alone, and what an emulator knows of it. Raises NoSuchInvocation.

    With a `trigger_type`, only the function of that type is looked at.
    """
    from ckfunc.logs.finding import find_invocation
    from ckfunc.logs.recent import detailed

    client = app.client()
    functions = [one for one in client.functions() if trigger_type in (None, one.type)]
    found = find_invocation(client, functions, invocation_id)
    if found is None:
        of = f" of {trigger_type}" if trigger_type else ""
        none = f": no function of type {trigger_type} is deployed" if trigger_type and not functions else ""
        raise NoSuchInvocation(
            f"target {app.target().name!r} has no invocation {invocation_id}{of}{none}",
            hint="`ckfunc logs` shows the ids; --target chooses where to look",
        )
    function, row = found
    return detailed(client, [(function.type, row, False)])[0]


def stream_logs(
    app: App,
    client: Client,
    types: Callable[[], Collection[str]],
    stop: threading.Event,
    *,
    project: Callable[[], Project] | None = None,
    ran: Callable[[Entry], object] = lambda _: None,
) -> threading.Thread:
    """Print the invocations of `types` as they come, on a thread of their own, until `stop` is set.

    `project` gives the project as it is now, whose local files stacks are shown in; it is the app's unless given.
    `ran` hears of each invocation that was printed.
    """
    from ckfunc.logs.follow import follow as following

    stacks = Stacks(client, project or app.scripts, fresh=True)

    def stream() -> None:
        try:
            for item in following(client, clock=_EndingClock(app, stop)):
                if not isinstance(item, Entry) or item.type in types():
                    show(app.output, item, stacks=stacks)
                    app.output.flush()
                    if isinstance(item, Entry):
                        ran(item)
        except _Ended:
            pass
        except CkfuncError as problem:
            if not stop.is_set():
                app.output.failure(problem)
        except ReaderGone:
            stop.set()

    thread = threading.Thread(target=stream, name="ckfunc-logs", daemon=True)
    thread.start()
    return thread


def show(output: Output, item: Item, *, dated: bool = False, stacks: Stacks | None = None) -> None:
    """Print one item of a log: an invocation as data, what concerns the following itself as talk.

    People see the places of local files that `stacks` knows; programs get what the platform says.
    """
    if isinstance(item, Trouble | Recovered | Gap):
        output.talk(*notice(item))
    elif output.json:
        output.line(json_line(item))
    else:
        shown = item if stacks is None else stacks.mapped(item)
        output.lines(lines(shown, width=output.width(), zone=None, dated=dated, calls=output.verbose))


def show_triggered(app: App, trigger_type: str, answer: Mapping[str, Any]) -> int:
    """Print what a triggered event came to, and return the exit code: 1 when the run failed."""
    if app.output.json:
        app.output.document(answer)
    run = answer.get("invocation")
    failed = False
    if run is None:
        if not app.output.json:
            sentence, hint = _why_nothing_ran(app, trigger_type)
            app.output.talk(("nothing ran", "warning"), f": {printable(sentence)}")
            if not app.output.quiet:
                app.output.hint(hint)
    else:
        invocation = read_invocation(run)
        failed = invocation.status is Status.FAILED
        if not app.output.json:
            detail = answer.get("detail")
            entry = Entry(trigger_type, invocation, read_detail({"id": invocation.id, **detail}) if detail else None)
            show(app.output, entry, stacks=Stacks(app.client(), app.scripts, fresh=True))
    if "allowed" in answer and not app.output.json:
        verdict, style = ("allowed", "success") if answer["allowed"] else ("denied", "failure")
        why = f": {answer['reason']}" if answer.get("reason") else ""
        app.output.line("session ", (verdict, style), why)
    return 1 if failed else 0


def _why_nothing_ran(app: App, trigger_type: str) -> tuple[str, str]:
    """Return why no function handled an event, and what to do about it."""
    from ckfunc.manifest import function_types

    if any(one.type == trigger_type and one.current_version_number for one in app.client().functions()):
        return f"the function of {trigger_type} is disabled", "enable it on the emulator's page"
    if trigger_type in function_types(app.root()):
        return f"no function handles {trigger_type}", "run `ckfunc deploy`"
    if meant := meant_type(trigger_type):
        return f"no function handles {trigger_type}", f"did you mean {meant}?"
    return f"no function handles {trigger_type}", f"add one with `ckfunc new {trigger_type}`, then run `ckfunc deploy`"


def meant_type(trigger_type: str) -> str | None:
    """Return the trigger type that an unknown one was probably meant to be."""
    from ckfunc.model.triggers import BY_TYPE

    return None if trigger_type in BY_TYPE else nearest(trigger_type, BY_TYPE)


def _functions(client: Client, types: Collection[str]) -> list[Function]:
    found = [one for one in client.functions() if not types or one.type in types]
    return sorted(found, key=lambda one: one.type)


def _warn_of_unknown(app: App, types: Iterable[str], functions: Collection[Function]) -> None:
    known = {one.type for one in functions}
    for name in types:
        if name not in known:
            app.output.warn(f"the application has no function of type {name!r} yet")


def _require_known(types: Iterable[str], functions: Collection[Function]) -> None:
    missing = sorted(set(types) - {one.type for one in functions})
    if missing:
        raise UnknownFunction(
            f"the application has no function of type {', '.join(map(repr, missing))}",
            hint="`ckfunc diff` shows what is deployed; with -f, one that appears later is picked up",
        )


class _Ended(Exception):
    """The following is to end."""


class _ReadClock:
    """The app's clock, but after a wait it looks whether anybody reads still: `| head` may have seen enough."""

    def __init__(self, app: App) -> None:
        self._clock = app.clock
        self._output = app.output

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic_s(self) -> float:
        return self._clock.monotonic_s()

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)
        require_uninterrupted()
        self._output.require_reader()


class _EndingClock(_ReadClock):
    """A wait also ends the following once `stop` is set."""

    def __init__(self, app: App, stop: threading.Event) -> None:
        super().__init__(app)
        self._stop = stop

    def sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _Ended
        self._output.require_reader()
