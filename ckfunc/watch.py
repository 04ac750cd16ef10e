"""Generator of batches of changed files, driven by file events.

Directories are watched instead of files, because editors replace files (write a new file, then rename it). Events only
show that something happened; the contents of files decide what has changed. Slow polling of times and sizes finds
changes that the system does not report: on network drives, in replaced directories, and in bursts of events.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.files import read_file
from ckfunc.base.interrupts import was_interrupted

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver, ObservedWatch

SETTLE_S = 0.015
"""The time without events that ends a batch: an editor's save consists of several events."""
LONGEST_SETTLE_S = 0.5
"""The maximum length of a batch, for a directory where events never stop."""
MISSING_S = 0.15
"""The time that a file may be missing during a save before it counts as deleted."""
POLL_S = 1.0


def batches(
    files: Callable[[], Collection[Path]], root: Path, stop: threading.Event, *, wake: threading.Event | None = None
) -> Iterator[frozenset[Path]]:
    """Yield the files whose content changed, one batch at a time, until `stop` is set.

    `files` is called before every wait, so the set may change; its paths are absolute. Changes that happen while the
    caller works on a batch are in the next one, once each. Setting `wake` yields immediately, even an empty batch.
    """
    with _Events(root) as events:
        contents = Contents(files())
        while not stop.is_set():
            followed = files()
            contents.follow(followed)
            events.watch(followed)
            event_seen = events.wait(POLL_S, stop, wake)
            forced = wake is not None and wake.is_set()
            if wake is not None:
                wake.clear()
            if stop.is_set():
                return
            if not (event_seen or forced or contents.touched()):
                continue
            events.settle(stop)
            if contents.missing():
                stop.wait(MISSING_S)
            if (batch := contents.changed()) or forced:
                # A change may add files. Their contents are recorded before the caller reads them, so that edits
                # while it works are in the next batch.
                contents.follow(files())
                yield batch


class Stop(threading.Event):
    """An event that is also set if `other` is set, or if Ctrl-C was pressed and the exception was lost."""

    def __init__(self, other: threading.Event | None = None) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        """Return whether watching must end."""
        return super().is_set() or (self._other is not None and self._other.is_set()) or was_interrupted()


class _Events:
    """The system's file events for the directories of a set of files."""

    def __init__(self, root: Path) -> None:
        from watchdog.events import FileSystemEventHandler
        from watchdog.observers import Observer

        event_seen = self._event_seen = threading.Event()
        names = self._names = set[str]()

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                # Opening and reading a file are events too, but do not change it.
                if event.event_type in ("opened", "closed_no_write"):
                    return
                if event.is_directory or Path(str(event.src_path)).name in names or _name(event.dest_path) in names:
                    event_seen.set()

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
        """Watch the directories of `files` and their parents up to the root, if they exist."""
        self._names.clear()
        self._names.update(path.name for path in files)
        directories = {self._root}
        for path in files:
            directories.add(path.parent)
            directories.update(parent for parent in path.parent.parents if self._root in parent.parents)
        present = {path: inode for path in directories if (inode := _inode(path)) is not None}
        for path, (watch, inode) in list(self._watched.items()):
            if present.get(path) != inode:
                with suppress(KeyError, OSError):
                    self._observer.unschedule(watch)
                del self._watched[path]
        for path in sorted(present.keys() - self._watched.keys()):
            with suppress(OSError):
                self._watched[path] = (self._observer.schedule(self._handler, str(path)), present[path])
                self._event_seen.set()  # changes before the watch began were not reported

    def wait(self, seconds: float, stop: threading.Event, wake: threading.Event | None) -> bool:
        """Wait for an event, `stop` or `wake`; return whether there was an event."""
        until = time.monotonic() + seconds
        while not stop.is_set() and not (wake and wake.is_set()) and (remaining_s := until - time.monotonic()) > 0:
            if self._event_seen.wait(min(remaining_s, 0.1)):
                return True
        return self._event_seen.is_set()

    def settle(self, stop: threading.Event) -> None:
        """Wait until there were no events for SETTLE_S seconds, but at most LONGEST_SETTLE_S."""
        until = time.monotonic() + LONGEST_SETTLE_S
        while self._event_seen.is_set() and not stop.is_set() and time.monotonic() < until:
            self._event_seen.clear()
            self._event_seen.wait(SETTLE_S)
        self._event_seen.clear()


class Contents:
    """Digests of the contents of files; None for missing and unreadable files, pipes and devices."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self._known: dict[Path, bytes | None] = {}
        self._stamps: dict[Path, tuple[int, int, int] | None] = {}
        self.follow(files)

    def follow(self, files: Iterable[Path]) -> None:
        """Track exactly these files from now on."""
        paths = set(files)
        for path in paths - self._known.keys():
            self._stamps[path] = _stamp(path)
            self._known[path] = _content_digest(path)
        for path in self._known.keys() - paths:
            del self._known[path], self._stamps[path]

    def touched(self) -> bool:
        """Return whether the time, size or inode of any file has changed. Cheap; also true after `touch`."""
        return any(_stamp(path) != stamp for path, stamp in self._stamps.items())

    def missing(self) -> frozenset[Path]:
        """Return the files that had content at the last call of `changed`, and are missing now."""
        return frozenset(path for path, stamp in self._known.items() if stamp is not None and _stamp(path) is None)

    def changed(self) -> frozenset[Path]:
        """Return the files whose content has changed since the last call."""
        changed = set()
        for path, stamp in list(self._known.items()):
            self._stamps[path] = _stamp(path)
            now = _content_digest(path)
            if now != stamp:
                self._known[path] = now
                changed.add(path)
        return frozenset(changed)


def _name(path: object) -> str:
    return Path(str(path)).name if path else ""


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino if path.is_dir() else None
    except OSError:
        return None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _content_digest(path: Path) -> bytes | None:
    try:
        return hashlib.sha256(read_file(path)).digest()
    except OSError:
        return None
