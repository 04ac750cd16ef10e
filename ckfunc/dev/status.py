"""State of `ckfunc dev`: a status line, and events to fire again."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ckfunc.base.clock import elapsed_text
from ckfunc.base.text import Segment, counted
from ckfunc.deploy.apply.report import DeployReport
from ckfunc.deploy.resources import FUNCTIONS
from ckfunc.logs.entries import LogEntry
from ckfunc.manifest import function_types
from ckfunc.model.application import Status
from ckfunc.model.triggers import BY_TYPE
from ckfunc.scaffold.templates import sample_event

_RECENT = 5
"""How many recent events can be chosen."""


@dataclass(frozen=True)
class Event:
    """An event that can be fired: a recent one, or a sample."""

    type: str
    args: Mapping[str, Any]
    sample: bool = False


class DevStatus:
    """The last deploy, the last invocation, and counts of failures. Thread-safe."""

    def __init__(self, target: str) -> None:
        self._lock = threading.Lock()
        self._target = target
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

    def deployed(self, report: DeployReport, now: datetime) -> None:
        """Record a deploy."""
        count = sum(item.kind == FUNCTIONS and bool(item.new_version) for item in report.items)
        with self._lock:
            self._deployed = f"{counted(count, 'function')} at {now.astimezone():%H:%M:%S}"
            self._broken = "" if report.ok else "the last deploy is incomplete"

    def failed(self, message: str) -> None:
        """Record why the files cannot be deployed."""
        with self._lock:
            self._broken = message

    def ran(self, entry: LogEntry) -> None:
        """Record a finished invocation."""
        event = Event(entry.type, entry.invocation.args)
        with self._lock:
            self._last = entry
            if event in self._recent:
                self._recent.remove(event)
            self._recent.appendleft(event)
            self._runs += 1
            self._failures += entry.invocation.status is Status.FAILED

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

    @staticmethod
    def samples(root: Path) -> Iterator[Event]:
        """Yield a sample event for each function of the project, except those of unknown trigger types."""
        for trigger_type in function_types(root):
            if trigger_type in BY_TYPE:
                yield Event(trigger_type, sample_event(trigger_type), sample=True)
