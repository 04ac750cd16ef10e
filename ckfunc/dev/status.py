"""Status line and keys of `ckfunc dev`."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ckfunc.api import Client
from ckfunc.api.emulator import trigger
from ckfunc.base.clock import Clock, elapsed_text
from ckfunc.base.errors import CkfuncError
from ckfunc.base.keyboard import pressed_keys
from ckfunc.base.text import Segment, counted, cut
from ckfunc.deploy.apply.report import DeployReport
from ckfunc.deploy.resources import FUNCTIONS
from ckfunc.dev.watcher import Listener
from ckfunc.logs.entries import LogEntry
from ckfunc.logs.format import summary
from ckfunc.manifest.project import function_types
from ckfunc.model.application import Status
from ckfunc.model.triggers import BY_TYPE
from ckfunc.scaffold.templates import sample_event

_RECENT = 5
"""How many recent events can be chosen."""
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


@dataclass(frozen=True)
class Event:
    """An event that can be fired: a recent one, or a sample."""

    type: str
    args: Mapping[str, Any]
    sample: bool = False


class DevStatus:
    """The last deploy, the last invocation, counts of failures, and keys. Thread-safe.

    It receives the events of a watch, passes them on to `listener`, and shows the state with `pin`.
    """

    def __init__(
        self,
        target: str,
        listener: Listener,
        pin: Callable[[Sequence[Segment], Sequence[str]], object],
        clock: Clock,
        *,
        has_keys: bool,
    ) -> None:
        self._lock = threading.Lock()
        self._target = target
        self._listener = listener
        self.notice, self.detail, self.warn = listener.notice, listener.detail, listener.warn
        self._pin = pin
        self._clock = clock
        self._has_keys = has_keys
        self.choices: Mapping[str, Event] = {}
        """The events that keys choose until one is pressed."""
        self._deployed = "nothing deployed yet"
        self._broken = ""
        self._last: LogEntry | None = None
        self._recent: deque[Event] = deque(maxlen=_RECENT)
        self._runs = self._failures = 0

    @property
    def recent(self) -> tuple[Event, ...]:
        """The events of the last finished invocations, newest first, without duplicates."""
        with self._lock:
            return tuple(self._recent)

    def deployed(self, report: DeployReport, /, *, changed: bool, first: bool, broken: bool, took_s: float) -> None:
        """Record a deploy, unless some files are still broken."""
        if not broken:
            count = sum(item.kind == FUNCTIONS and bool(item.new_version) for item in report.items)
            with self._lock:
                self._deployed = f"{counted(count, 'function')} at {self._clock.now().astimezone():%H:%M:%S}"
                self._broken = "" if report.ok else "the last deploy is incomplete"
            self.show()
        self._listener.deployed(report, changed=changed, first=first, broken=broken, took_s=took_s)

    def failed(self, problem: CkfuncError, /) -> None:
        """Record why the files cannot be deployed."""
        self._listener.failed(problem)
        with self._lock:
            self._broken = problem.message
        self.show()

    def ran(self, entry: LogEntry, /) -> None:
        """Record an invocation if it has ended."""
        if entry.invocation.status is Status.RUNNING:
            return
        event = Event(entry.type, entry.invocation.args)
        with self._lock:
            self._last = entry
            if event in self._recent:
                self._recent.remove(event)
            self._recent.appendleft(event)
            self._runs += 1
            self._failures += entry.invocation.status is Status.FAILED
        self.show()

    def show(self) -> None:
        """Draw the status line."""
        self._pin(self.segments(), self.keys())

    def segments(self) -> list[Segment]:
        """Return the status line."""
        with self._lock:
            segments = [Segment(f" {self._target} ", "title")]
            if self._broken:  # first, so that a narrow terminal does not cut it off
                segments += [Segment(" "), Segment(f"✗ {self._broken}", "failure"), Segment(" ")]
            segments.append(Segment(f" {self._deployed}"))
            if self._last is not None:
                failed = self._last.invocation.status is Status.FAILED
                took = self._last.detail.duration_ms if self._last.detail else None
                segments += [
                    Segment("  "),
                    Segment("✗" if failed else "✓", "failure" if failed else "success"),
                    Segment(f" {self._last.type}{'' if took is None else f' {elapsed_text(took)}'}"),
                ]
            if self._failures:
                segments += [Segment("  "), Segment(f"{self._failures} of {self._runs} runs failed", "failure")]
            return segments

    def keys(self) -> tuple[str, ...]:
        """Return texts about the keys for the status line, longest first."""
        labels = "".join(self.choices)
        if labels:
            return (f"{labels[0]}-{labels[-1]} choose · Esc cancel", f"{labels[0]}-{labels[-1]}")
        return _KEYS if self._has_keys else ()


class KeyScreen(Protocol):
    """The terminal that keys are pressed on."""

    def talk(self, *segments: tuple[str, str] | str) -> None:
        """Print a message."""

    def failure(self, error: CkfuncError, /) -> None:
        """Print an error."""

    def clear(self) -> None:
        """Clear the terminal, except for the status line."""


class DevKeys:
    """Handles keys until `stop` is set, which q does."""

    def __init__(
        self, screen: KeyScreen, status: DevStatus, client: Callable[[], Client], root: Path, stop: threading.Event
    ) -> None:
        self._screen = screen
        self._status = status
        self._client = client
        self._root = root
        self._stop = stop
        self._actions: Mapping[str, Callable[[], object]] = {
            "r": self._again,
            "t": self._offer,
            "c": screen.clear,
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
                self._screen.failure(problem)

    def press(self, key: str) -> None:
        """Handle a key. Raises CkfuncError."""
        choices = self._status.choices
        if choices:
            self._choose_from({})
            if key in choices:
                self._fire(choices[key])
                return
            self._screen.talk(("nothing fired", "muted"))
            if key not in ("q", "\x04"):
                return
        self._actions.get(key, lambda: None)()

    def _choose_from(self, choices: Mapping[str, Event]) -> None:
        self._status.choices = choices
        self._status.show()

    def _again(self) -> None:
        """Fire the last event again, or a sample of the first function's. The log shows the result."""
        for event in (*self._status.recent[:1], *self._samples()):
            self._fire(event)
            return
        self._say_nothing()

    def _offer(self) -> None:
        """List recent events and samples, each with the key that fires it."""
        choices = dict(zip(_LABELS, (*self._status.recent, *self._samples()), strict=False))
        if not choices:
            self._say_nothing()
            return
        for key, event in choices.items():
            description = "a sample" if event.sample else summary(event.args)
            self._screen.talk("  ", (key, "title"), f"  {event.type}", (f"  {cut(description, 60)}", "muted"))
        self._choose_from(choices)

    def _samples(self) -> Iterator[Event]:
        """Yield a sample event for each function of the project, except those of unknown trigger types."""
        for trigger_type in function_types(self._root):
            if trigger_type in BY_TYPE:
                yield Event(trigger_type, sample_event(trigger_type), sample=True)

    def _fire(self, event: Event) -> None:
        self._screen.talk(("firing ", "title"), event.type, " (a sample)" if event.sample else "")
        trigger(self._client(), event.type, event.args)

    def _help(self) -> None:
        for key, text in _HELP:
            self._screen.talk("  ", (key, "title"), f"  {text}")

    def _say_nothing(self) -> None:
        self._screen.talk(("nothing to fire", "muted"), ": functions.yaml has no function of a known type yet")
