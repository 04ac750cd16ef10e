"""`ckfunc dev`: run the emulator, deploy on save, and show invocations in one terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, UsageProblem
from ckfunc.base.keyboard import key_by_key, on_resize, pressed_keys
from ckfunc.base.text import cut
from ckfunc.cli.app import App
from ckfunc.cli.commands.watch import Printer, watch_confirmed, watch_project
from ckfunc.cli.options import FILE, command, keep_invocations_option, open_option, port_option, yes_option
from ckfunc.logs.entries import LogEntry
from ckfunc.logs.format import summary
from ckfunc.model.application import Status

if TYPE_CHECKING:
    from ckfunc.deploy.apply.report import DeployReport
    from ckfunc.dev.status import DevStatus, Event
    from ckfunc.model.outputs import ReadyJson
    from ckfunc.model.project import Target

_KEYS = (
    "? keys · t choose · r again · c clear · q quit",
    "? keys · r again · q quit",
    "? keys · q quit",
    "? keys",
    "?",
)
"""The keys in the status line: the longest text that fits is shown."""

_HELP = (
    ("r", "fire the last event again, or a sample when there was none"),
    ("t", "choose an event to fire: a recent one, or a sample of a type"),
    ("c", "clear the screen"),
    ("q", "quit, as Ctrl-C does"),
    ("?", "show these keys"),
)
_LABELS = "123456789abcdefghijklmnoprstuvwxyz"
"""The keys that choose an event; q always quits."""


@command("""
  ckfunc dev                          deploy and run on every save
  ckfunc dev --port 0                 the emulator on any free port
  ckfunc dev --seed people.yaml       with these users, channels and messages
  ckfunc dev --json | jq              deploys and invocations as data
""")
@port_option
@click.option("--seed", type=FILE, metavar="FILE", help="Add the data in this file, unless it already exists.")
@yes_option("Do not ask, even if the emulator target is protected.")
@keep_invocations_option
@open_option
def dev(app: App, port: int, seed: Path | None, yes: bool, keep_invocations: int, open_dashboard: bool) -> int:
    """Run the emulator, deploy to it on every save, and show every invocation, until q or Ctrl-C.

    On a terminal, the last line shows the status: r fires the last event again (or a sample), t chooses a recent event
    or a sample, c clears the screen, ? lists the keys, q quits. In a pipe, output is plain lines, and the first on
    stdout is `ready http://ADDRESS:PORT`. If the project's emulator is already running, it is used.
    """
    # Not at the top of the module: `ckfunc dev --help` must not load parts of the emulator.
    from ckfunc.dev.status import DevStatus
    from ckfunc.emulator.options import WEB_DIRECTORY, WEB_PATH, EmulatorOptions
    from ckfunc.emulator.stored_data import read_seed_file

    target = _target(app)
    project = app.workspace.sources()  # mistakes in the manifest are reported before anything starts
    if not yes and not watch_confirmed(app, project.target):
        return EXIT_FAILED
    running = app.running_emulator()
    if running is not None and seed is not None:
        raise UsageProblem(
            "the project's emulator is already running; --seed only applies when it starts",
            hint=f"run `ckfunc emulator seed {seed}`",
        )
    planted = read_seed_file(app.directory / seed)[0] if seed else None
    url = running or app.start_emulator(EmulatorOptions(port=port, seed=planted, keep_invocations=keep_invocations))
    if app.output.json:
        first: ReadyJson = {"ready": url}
        app.output.record(first)
    else:
        app.output.line("ready ", url)
        app.output.flush()
    app.output.talk(
        ("emulator: ", "title"), f"{'already running' if running else 'client id and secret are `emulator`'}; /docs"
    )
    app.show_dashboard(url, open_browser=open_dashboard)
    if (app.root() / WEB_DIRECTORY / "index.html").is_file():
        app.output.talk(("chat: ", "title"), f"{url}{WEB_PATH} (web/index.html)")
    interactive = app.output.interactive and app.output.pinnable
    status = StatusPrinter(app, DevStatus(target.name), keys=_KEYS if interactive else ())
    if not interactive:
        with on_resize(status.show) if app.output.pinnable else nullcontext():
            try:
                watch_project(app, status, logs=True, yes=True)
            finally:
                app.output.unpin()
        return EXIT_OK
    stop = threading.Event()
    with key_by_key(status.show), on_resize(status.show):
        keys = threading.Thread(target=Keys(app, status, stop).handle, name="ckfunc-keys", daemon=True)
        keys.start()
        try:
            watch_project(app, status, logs=True, yes=True, quit_on=stop)
        finally:
            stop.set()
            app.output.unpin()
            keys.join(1.0)
    return EXIT_OK


def _target(app: App) -> Target:
    """Return the emulator target: the selected one, else `local`."""
    target = app.target()
    if not target.emulator and app.settings.target is None:
        app.settings.target = "local"
        target = app.target()
    if not target.emulator:
        raise UsageProblem(
            f"target {target.name!r} is the real platform", hint="ckfunc dev is for targets with `emulator: true`"
        )
    return target


class StatusPrinter(Printer):
    """Prints the events of a watch, and shows the state in the status line. Used by several threads."""

    def __init__(self, app: App, status: DevStatus, *, keys: Sequence[str] = ()) -> None:
        super().__init__(app)
        self._status = status
        self._keys = keys
        self._choosing = ""

    @property
    def recent(self) -> tuple[Event, ...]:
        """The events that can be fired again."""
        return self._status.recent

    def samples(self) -> Iterator[Event]:
        """Yield the sample events that can be fired."""
        return self._status.samples(self._app.root())

    def deployed(self, report: DeployReport, /, *, changed: bool, first: bool, broken: bool, took_s: float) -> None:
        """Print a deploy and show it in the status line."""
        if not broken:
            self._status.deployed(report, self._app.clock.now())
            self.show()
        super().deployed(report, changed=changed, first=first, broken=broken, took_s=took_s)

    def failed(self, problem: CkfuncError, /) -> None:
        """Print why the files cannot be deployed, and show it in the status line."""
        super().failed(problem)
        self._status.failed(problem.message)
        self.show()

    def ran(self, entry: LogEntry, /) -> None:
        """Show a finished invocation in the status line."""
        if entry.invocation.status is not Status.RUNNING:
            self._status.ran(entry)
            self.show()

    def choose(self, labels: str) -> None:
        """Show the keys that choose an event until one is pressed; "" shows the usual keys."""
        self._choosing = labels
        self.show()

    def show(self) -> None:
        """Draw the status line."""
        labels = self._choosing
        keys = (f"{labels[0]}-{labels[-1]} choose · Esc cancel", f"{labels[0]}-{labels[-1]}") if labels else self._keys
        self._app.output.pin(self._status.segments(), keys)


class Keys:
    """Handles the keys of a terminal until `stop` is set, which q does."""

    def __init__(self, app: App, status: StatusPrinter, stop: threading.Event) -> None:
        self._app = app
        self._status = status
        self._stop = stop
        self._choices: dict[str, Event] = {}
        self._does: Mapping[str, Callable[[], object]] = {
            "r": self._again,
            "t": self._offer,
            "c": app.output.clear,
            "?": self._help,
            "q": stop.set,
            "\x04": stop.set,  # Ctrl-D
        }

    def handle(self) -> None:
        """Handle each key."""
        for key in pressed_keys(self._stop):
            try:
                self.press(key.lower())
            except CkfuncError as problem:
                self._app.output.failure(problem)

    def press(self, key: str) -> None:
        """Handle a key. Raises CkfuncError."""
        choices, self._choices = self._choices, {}
        if choices:
            self._status.choose("")
            if key in choices:
                self._fire(choices[key])
                return
            self._app.output.talk(("nothing fired", "muted"))
            if key not in ("q", "\x04"):
                return
        self._does.get(key, lambda: None)()

    def _again(self) -> None:
        """Fire the last event again, or a sample of the first function's. The log shows the result."""
        events = (*self._status.recent[:1], *self._samples())
        if events:
            self._fire(events[0])
        else:
            self._say_nothing()

    def _offer(self) -> None:
        """List recent events and samples, each with the key that fires it."""
        self._choices = dict(zip(_LABELS, (*self._status.recent, *self._samples()), strict=False))
        if not self._choices:
            self._say_nothing()
            return
        for key, event in self._choices.items():
            description = "a sample" if event.sample else summary(event.args)
            self._app.output.talk(
                ("  ", "plain"), (key, "title"), f"  {event.type}", (f"  {cut(description, 60)}", "muted")
            )
        self._status.choose("".join(self._choices))

    def _samples(self) -> Iterator[Event]:
        return self._status.samples()

    def _fire(self, event: Event) -> None:
        from ckfunc.api.emulator import trigger

        self._app.output.talk(("firing ", "title"), event.type, " (a sample)" if event.sample else "")
        trigger(self._app.client(lasting=True), event.type, event.args)

    def _help(self) -> None:
        for key, does in _HELP:
            self._app.output.talk(("  ", "plain"), (key, "title"), f"  {does}")

    def _say_nothing(self) -> None:
        self._app.output.talk(("nothing to fire", "muted"), ": functions.yaml has no function of a known type yet")
