"""Records of runs: their API requests, depths and results."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import deque
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ckfunc.base.text import is_id
from ckfunc.emulator.http import bodies
from ckfunc.emulator.http.bodies import Part
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.store import invocations
from ckfunc.emulator.store.database import Database
from ckfunc.model.application import ApiCall
from ckfunc.model.execution import Outcome

MOST_CALLS = 200
"""The number of requests recorded for one run; more are only counted."""
MOST_BODY_BYTES = 256 * 1024
"""The total size of request bodies recorded for one run; beyond that, only the size of a body is recorded."""

_LONGEST_PATH = 2000
_MOST_ENDED = 64

DEEPEST = 16
"""The length at which a chain of events counts as a loop, such as a handler that answers its own messages."""

_MOST_REMEMBERED = 20_000


@dataclass(slots=True)
class HandlerRequest:
    """A request of a run, which may not be answered yet."""

    method: str
    path: str
    content_type: str | None
    body: bytes | None = None
    body_bytes: int = 0
    status: int = 0


@dataclass(slots=True, eq=False)
class Calls:
    """The requests of one run, in order."""

    invocation_id: int
    omitted: int = 0
    open: int = 0
    """The number of requests without an answer."""
    ended: bool = False
    """Whether the run has ended and was stored."""
    _kept: list[HandlerRequest] = field(default_factory=list)
    _bytes_left: int = MOST_BODY_BYTES

    def add(self, request: HandlerRequest) -> None:
        """Record a request that begins."""
        self.open += 1
        request.path = request.path[:_LONGEST_PATH]
        if len(self._kept) < MOST_CALLS:
            self._kept.append(request)
        else:
            self.omitted += 1

    def take_body(self, request: HandlerRequest, body: bytes) -> None:
        """Record the body of a request."""
        request.body_bytes = len(body)
        if request.body_bytes <= self._bytes_left:
            self._bytes_left -= request.body_bytes
            request.body = body

    def shown(self) -> tuple[ApiCall, ...]:
        """Return the recorded requests."""
        return tuple(
            ApiCall(request.method, request.path, _document(request), request.status) for request in self._kept
        )


class Recorder:
    """Record requests by the label that they carry. Belongs to the event loop's thread.

    `running` holds the runs in progress. Most runs send no requests, and cost nothing here.
    """

    def __init__(self, database: Database, running: Container[int]) -> None:
        self._database = database
        self._running = running
        self._of: dict[int, Calls] = {}
        self._ended: deque[int] = deque()
        self._undone = 0

    def label(self, invocation_id: int) -> str:
        """Return the label for the requests of a run."""
        return f"{invocation_id}.{self._undone}" if self._undone else str(invocation_id)

    def caller(self, label: str) -> int | None:
        """Return the run that a request belongs to; None for an unknown label.

        Raises Refused if the data was restored since that run: its handler must not change what came after.
        """
        number, _, undone = label.partition(".")
        if not (is_id(number) and (is_id(undone) or not undone)):
            return None
        if int(undone or 0) != self._undone:
            raise Refused(
                "the run that sent this request has ended, and the emulator's data has been restored since then"
            )
        return int(number)

    def asked(self, invocation_id: int, request: HandlerRequest) -> Calls | None:
        """Record a request of a run; return None if the run is not known, or ended long ago."""
        calls = self._of.get(invocation_id)
        if calls is None:
            if invocation_id not in self._running and not invocations.has_no_calls(self._database, invocation_id):
                return None
            calls = self._of[invocation_id] = Calls(invocation_id)
            if invocation_id not in self._running:
                self.end(invocation_id)
        calls.add(request)
        return calls

    def answered(self, calls: Calls, request: HandlerRequest, status: int) -> None:
        """Record the answer to a request."""
        calls.open -= 1
        request.status = status
        if calls.ended and self._of.get(calls.invocation_id) is calls:
            with suppress(sqlite3.DatabaseError):  # The disk may be full; the request itself has been answered.
                invocations.set_calls(self._database, calls.invocation_id, calls.shown(), calls.omitted)

    def end(self, invocation_id: int) -> None:
        """Record that a run has ended and was stored; requests that its handler did not await may still arrive."""
        calls = self._of.get(invocation_id)
        if calls is not None:
            calls.ended = True
            self._ended.append(invocation_id)
            if len(self._ended) > _MOST_ENDED:
                self._of.pop(self._ended.popleft(), None)

    def shown(self, invocation_id: int) -> tuple[tuple[ApiCall, ...], int]:
        """Return the requests of a run that is in progress or has just ended, and how many more there were."""
        calls = self._of.get(invocation_id)
        return ((), 0) if calls is None else (calls.shown(), calls.omitted)

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return any(calls.open for calls in self._of.values())

    def undo(self) -> None:
        """Discard every run: the data is restored, and ids will be used again."""
        self._undone += 1
        self._of.clear()
        self._ended.clear()


def _document(request: HandlerRequest) -> Any:
    """Return a body as JSON, whatever was sent."""
    body = request.body
    if body is None:
        return {"$cut": request.body_bytes} if request.body_bytes else None
    if not body:
        return None
    try:
        if "multipart/form-data" in (request.content_type or "").lower():
            return {name: _field(part) for name, part in bodies.read_multipart(body, request.content_type).items()}
        return bodies.read_json(body, request.content_type)
    except Refused:
        return body.decode("utf-8", "replace")


def _field(part: Part) -> Any:
    if part.file_name is None:
        return part.text
    content = part.content
    return {
        "$file": part.file_name,
        "type": part.content_type,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


class Depths:
    """Remember the depths of the latest runs."""

    def __init__(self) -> None:
        self._of: dict[int, int] = {}

    def below(self, caller: int | None) -> int:
        """Return the depth of an event that run `caller` caused; an event of a client (None) has depth 0."""
        return 0 if caller is None else 1 + self._of.get(caller, 0)

    def note(self, invocation_id: int, depth: int) -> None:
        """Remember a run's depth; a call of its handler may arrive after its end. Most runs have depth 0."""
        if depth == 0:
            return
        self._of[invocation_id] = depth
        if len(self._of) > _MOST_REMEMBERED:
            del self._of[next(iter(self._of))]


class EndWriter:
    """Store the results of runs. `on_event` is called if that fails."""

    def __init__(self, database: Database, recorder: Recorder, on_event: Callable[[str], None]) -> None:
        self._database = database
        self._recorder = recorder
        self._on_event = on_event
        self._waiting: dict[int, Outcome] = {}

    def store(self, invocation_id: int, outcome: Outcome) -> None:
        """Store the result of a run, now or as soon as the database can be written. Never raises for a full disk."""
        self._waiting[invocation_id] = outcome
        self.catch_up()

    def catch_up(self) -> None:
        """Store results that could not be stored before."""
        while self._waiting:
            invocation_id, outcome = next(iter(self._waiting.items()))
            try:
                invocations.end(self._database, invocation_id, outcome, *self._recorder.shown(invocation_id))
            except sqlite3.DatabaseError as error:
                self._later(invocation_id, error)
                return
            del self._waiting[invocation_id]
            self._recorder.end(invocation_id)
            self._database.when_stored(partial(self._written, invocation_id, outcome))

    def discard(self) -> None:
        """Forget results that could not be stored: the data is replaced."""
        self._waiting.clear()

    def _written(self, invocation_id: int, outcome: Outcome, failure: sqlite3.Error | None) -> None:
        if failure is not None:
            self._waiting[invocation_id] = outcome
            self._later(invocation_id, failure)

    def _later(self, invocation_id: int, error: sqlite3.Error) -> None:
        self._on_event(f"the end of run {invocation_id} cannot be stored yet: {error}")
