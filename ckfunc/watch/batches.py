"""Batches of changed files, as a generator woken by file events.

Directories are watched rather than files, because editors replace files (write beside, then rename). Events only say
that something happened; what changed is decided by content. A slow look at times and sizes catches what the system
does not report: network drives, directories that were replaced, events lost in a burst.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.interrupts import pressed
from ckfunc.watch.contents import Contents

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver, ObservedWatch

SETTLE_S = 0.015
"""How long no event may come before a batch is taken: an editor's save is several events."""
LONGEST_SETTLE_S = 0.5
"""A directory that never rests is looked at all the same."""
GONE_S = 0.15
"""How long a file may be away in the middle of a save before it counts as deleted."""
LOOK_EVERY_S = 1.0


def batches(
    files: Callable[[], Collection[Path]],
    root: Path,
    stop: threading.Event,
    *,
    wake: threading.Event | None = None,
) -> Iterator[frozenset[Path]]:
    """Yield the files whose content changed, one batch at a time, until `stop` is set.

    `files` is asked again before every wait, so that the set may change; all its paths are absolute. Changes that
    happen while the caller works on a batch are in the next one, once each. Setting `wake` yields at once, with
    whatever changed, even if that is nothing.
    """
    with _Events(root) as events:
        contents = Contents(files())
        while not stop.is_set():
            followed = files()
            contents.follow(followed)
            events.watch(followed)
            stirred = events.wait(LOOK_EVERY_S, stop, wake)
            forced = wake is not None and wake.is_set()
            if wake is not None:
                wake.clear()
            if stop.is_set():
                return
            if not (stirred or forced or contents.touched()):
                continue
            events.settle(stop)
            if contents.missing():
                stop.wait(GONE_S)
            if (found := contents.changed()) or forced:
                # A change may have brought in files: they are known from before the caller reads them, so that an
                # edit while it works is in the next batch.
                contents.follow(files())
                yield found


class Stop(threading.Event):
    """An event that also counts as set when `other` is, or after a Ctrl-C that no code has seen."""

    def __init__(self, other: threading.Event | None = None) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        """Return whether the watch must end."""
        return super().is_set() or (self._other is not None and self._other.is_set()) or pressed()


class _Events:
    """The system's file events for the directories that hold a set of files."""

    def __init__(self, root: Path) -> None:
        from watchdog.events import FileSystemEventHandler
        from watchdog.observers import Observer

        stirred = self._stirred = threading.Event()
        names = self._names = set[str]()

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                # Opening and reading a file is an event too: only what may change content counts.
                if event.event_type in ("opened", "closed_no_write"):
                    return
                if event.is_directory or Path(str(event.src_path)).name in names or _name(event.dest_path) in names:
                    stirred.set()

        self._handler = Handler()
        self._root = root
        self._observer: BaseObserver = Observer()
        self._watched: dict[Path, tuple[ObservedWatch, int]] = {}

    def __enter__(self) -> _Events:
        self._observer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._observer.stop()
        self._observer.join()

    def watch(self, files: Collection[Path]) -> None:
        """Watch the directories of `files` and those above them up to the root, as far as they exist."""
        self._names.clear()
        self._names.update(path.name for path in files)
        wanted = {self._root}
        for path in files:
            wanted.add(path.parent)
            wanted.update(parent for parent in path.parent.parents if self._root in parent.parents)
        present = {path: inode for path in wanted if (inode := _inode(path)) is not None}
        for path, (watch, inode) in list(self._watched.items()):
            if present.get(path) != inode:
                with suppress(KeyError, OSError):
                    self._observer.unschedule(watch)
                del self._watched[path]
        for path in sorted(present.keys() - self._watched.keys()):
            with suppress(OSError):
                self._watched[path] = (self._observer.schedule(self._handler, str(path)), present[path])
                self._stirred.set()  # what was written there before the watch began was not reported

    def wait(self, seconds: float, stop: threading.Event, wake: threading.Event | None) -> bool:
        """Wait for an event, `stop` or `wake`; return whether there was an event."""
        until = time.monotonic() + seconds
        while not stop.is_set() and not (wake and wake.is_set()) and (left := until - time.monotonic()) > 0:
            if self._stirred.wait(min(left, 0.1)):
                return True
        return self._stirred.is_set()

    def settle(self, stop: threading.Event) -> None:
        """Wait until no event has come for a moment."""
        until = time.monotonic() + LONGEST_SETTLE_S
        while self._stirred.is_set() and not stop.is_set() and time.monotonic() < until:
            self._stirred.clear()
            self._stirred.wait(SETTLE_S)
        self._stirred.clear()


def _name(path: object) -> str:
    return Path(str(path)).name if path else ""


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino if path.is_dir() else None
    except OSError:
        return None
