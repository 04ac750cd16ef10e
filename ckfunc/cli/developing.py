"""How `ckfunc dev` shows emulator, deploys and invocations in one terminal, and what its keys do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, UsageProblem
from ckfunc.cli.context import App
from ckfunc.cli.keys import key_by_key, pressed_keys
from ckfunc.cli.output import Segment
from ckfunc.cli.seeding import read_seed_file
from ckfunc.cli.watching import watch_confirmed, watch_project
from ckfunc.logs.entries import Entry
from ckfunc.model.invocation import Status

if TYPE_CHECKING:
    from ckfunc.deploy.report import Report
    from ckfunc.model.project import Target

_KEYS = "r again · c clear · q quit"


def develop(app: App, port: int, seed: Path | None, *, yes: bool) -> int:
    """Run an emulator, deploy to it on every save and show what runs, until told to end; return the exit code."""
    target = _target(app)
    project = app.sources()  # what is wrong with the manifest is said before anything starts
    if not yes and not watch_confirmed(app, project.target):
        return EXIT_FAILED
    running = app.running_emulator()
    if running is not None and seed is not None:
        raise UsageProblem(
            "the project's emulator runs already: --seed is for one that starts",
            hint=f"ckfunc emulator seed {seed}",
        )
    planted = read_seed_file(app, seed)[0] if seed else None
    url = running or app.start_emulator(port=port, seed=planted)
    if app.output.json:
        app.output.record({"ready": url})
    else:
        app.output.line("ready ", url)
        app.output.flush()
    app.output.talk(
        ("emulator: ", "title"), f"{'already running' if running else 'client id and secret are `emulator`'}; /docs"
    )
    if not (app.output.interactive and app.output.pinnable):
        stand = Stand(app, target.name)
        try:
            watch_project(app, logs=True, yes=True, follower=stand)
        finally:
            app.output.unpin()
        return EXIT_OK
    stand = Stand(app, target.name, keys=_KEYS)
    stop = threading.Event()
    with key_by_key(stand.show):
        keys = threading.Thread(target=_obey, args=(app, stand, stop), name="ckfunc-keys", daemon=True)
        keys.start()
        try:
            watch_project(app, logs=True, yes=True, follower=stand, quit_on=stop)
        finally:
            stop.set()
            app.output.unpin()
            keys.join(1.0)
    return EXIT_OK


class Stand:
    """How things stand: what is deployed, what ran last, what is wrong. Written to by several threads."""

    def __init__(self, app: App, target: str, *, keys: str = "") -> None:
        self._app = app
        self._keys = keys
        self._lock = threading.Lock()
        self._target = target
        self._deployed = "nothing deployed yet"
        self._broken = ""
        self._last: Entry | None = None
        self._runs = self._failures = 0

    @property
    def last(self) -> Entry | None:
        """The invocation that ended last."""
        return self._last

    def deployed(self, report: Report) -> None:
        """Note a deploy."""
        functions = [one for one in report.items if one.kind == "functions" and one.new_version]
        when = f"{self._app.clock.now().astimezone():%H:%M:%S}"
        count = f"{len(functions)} function{'' if len(functions) == 1 else 's'}"
        with self._lock:
            self._deployed = f"{count} at {when}"
            self._broken = "" if report.ok else "the last deploy failed in part"
        self.show()

    def broken(self, problem: CkfuncError) -> None:
        """Note that what is on disk cannot be deployed."""
        with self._lock:
            self._broken = problem.message
        self.show()

    def ran(self, entry: Entry) -> None:
        """Note an invocation."""
        if entry.invocation.status is Status.RUNNING:
            return
        with self._lock:
            self._last = entry
            self._runs += 1
            self._failures += entry.invocation.status is Status.FAILED
        self.show()

    def show(self) -> None:
        """Draw the status line."""
        self._app.output.pin(self.segments())

    def segments(self) -> list[Segment]:
        """Return the status line."""
        with self._lock:
            found: list[Segment] = [(f" {self._target} ", "title"), f" {self._deployed}"]
            if self._last is not None:
                failed = self._last.invocation.status is Status.FAILED
                took = self._last.detail.duration_ms if self._last.detail else None
                found += [
                    "  ",
                    ("✗" if failed else "✓", "failure" if failed else "success"),
                    f" {self._last.type}{'' if took is None else f' {took:.0f} ms'}",
                ]
            if self._failures:
                found += ["  ", (f"{self._failures} of {self._runs} runs failed", "failure")]
            if self._broken:
                found += ["  ", (f"✗ {self._broken}", "failure")]
            return [*found, "  ", (self._keys, "muted")]


def _target(app: App) -> Target:
    """Return the emulator target: the one that is meant, else `local`."""
    target = app.target()
    if not target.emulator and app.settings.target is None:
        app.settings.target = "local"
        target = app.target()
    if not target.emulator:
        raise UsageProblem(
            f"target {target.name!r} is the real platform", hint="ckfunc dev is for targets with `emulator: true`"
        )
    return target


def _obey(app: App, stand: Stand, stop: threading.Event) -> None:
    """Do what keys say until `stop` is set, which q does."""
    does: Mapping[str, Callable[[], object]] = {
        "r": lambda: _again(app, stand),
        "c": app.output.clear,
        "q": stop.set,
        "\x04": stop.set,  # Ctrl-D
    }
    for key in pressed_keys(stop):
        try:
            does.get(key.lower(), lambda: None)()
        except CkfuncError as problem:
            app.output.failure(problem)


def _again(app: App, stand: Stand) -> None:
    """Fire the last event again, or a sample of the first function's. The log shows what comes of it."""
    from ckfunc.api.emulator import trigger
    from ckfunc.scaffold.samples import sample_event

    last = stand.last
    if last is not None:
        kind, event = last.type, dict(last.invocation.args)
    else:
        types = [one.type for one in app.sources().functions or ()]
        if not types:
            app.output.talk(("nothing to fire", "muted"), ": functions.yaml has no functions yet")
            return
        kind, event = types[0], sample_event(types[0])
    app.output.talk(("firing ", "title"), kind, "" if last else " (a sample)")
    trigger(app.client(lasting=True), kind, event)
