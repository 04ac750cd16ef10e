"""`ckfunc dev`: run the emulator, deploy on save, and show invocations in one terminal."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import EXIT_FAILED, UsageProblem
from ckfunc.base.interrupts import ended_by_signals
from ckfunc.base.keyboard import keys_thread, on_resize
from ckfunc.cli.app import App
from ckfunc.cli.commands.watch import WatchPrinter, watch_confirmed, watch_project
from ckfunc.cli.options import FILE, command, keep_invocations_option, open_option, option, port_option, yes_option

if TYPE_CHECKING:
    from ckfunc.model.outputs import ReadyJson
    from ckfunc.model.project import Target


@command
@port_option
@option("--seed", "FILE", "Add the data in this file, unless it already exists.", FILE)
@yes_option("Do not ask for confirmation, even if the emulator target is protected.")
@keep_invocations_option
@open_option
@ended_by_signals()
def dev(app: App, port: int, seed: Path | None, yes: bool, keep_invocations: int, open_dashboard: bool) -> int | None:
    """Run the emulator, deploy to it on every save, and show every invocation, until q or Ctrl-C.

    On a terminal, the last line shows the status: r fires the last event again (or a sample), t chooses a recent event
    or a sample, c clears the screen, ? lists the keys, q quits. In a pipe, output is plain lines, and the first on
    stdout is `ready http://ADDRESS:PORT`. If the project's emulator is already running, it is used.
    """
    from ckfunc.dev.status import DevKeys, DevStatus
    from ckfunc.emulator.options import WEB_DIRECTORY, WEB_PATH, EmulatorOptions
    from ckfunc.emulator.stored_data import read_seed_file

    target = _target(app)
    project = app.workspace.sources()  # mistakes in the manifest are reported before anything starts
    if not watch_confirmed(app, project.target, yes=yes):
        return EXIT_FAILED
    running = app.running_emulator()
    if running is not None and seed is not None:
        raise UsageProblem(
            "the project's emulator is already running; --seed only applies when it starts",
            hint=f"run `ckfunc emulator seed {seed}`",
        )
    planted = read_seed_file(app.directory / seed)[0] if seed else None
    url = running or app.start_emulator(EmulatorOptions(port=port, seed=planted, keep_invocations=keep_invocations))
    if app.settings.json:
        first: ReadyJson = {"ready": url}
        app.output.record(first)
    else:
        app.output.line("ready ", url)
        app.output.flush()
    app.output.talk(
        ("emulator: ", "title"),
        f"{'already running' if running else 'client id and secret are `emulator`'}; API docs at /docs",
    )
    app.show_dashboard(url, open_browser=open_dashboard)
    if (app.root() / WEB_DIRECTORY / "index.html").is_file():
        app.output.talk(("chat: ", "title"), f"{url}{WEB_PATH} (web/index.html)")
    interactive, stop = app.output.interactive and app.output.pinnable, threading.Event()
    status = DevStatus(target.name, WatchPrinter(app), app.output.pin, app.clock, has_keys=interactive)
    with ExitStack() as ending:
        if interactive:
            keys = DevKeys(app.output, status, partial(app.client, lasting=True), app.root(), stop)
            ending.enter_context(keys_thread(keys.handle, status.show, stop))
        elif app.output.pinnable:
            ending.enter_context(on_resize(status.show))
        ending.callback(app.output.unpin)
        return watch_project(app, status, logs=True, yes=True, quit_on=stop)


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
