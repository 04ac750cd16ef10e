"""The main loop of a chat: typed lines, events, runs of functions, new connections."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ckfunc.api import Client
from ckfunc.base.clock import Clock
from ckfunc.base.errors import CkfuncError
from ckfunc.base.frozen import frozen
from ckfunc.base.interrupts import require_uninterrupted
from ckfunc.chat.client import ChatClient, ChatCommand, ConnectionEnded, parse_line
from ckfunc.chat.connection import ActionRefused, ChatEnded, ConnectionLost, SessionDenied
from ckfunc.chat.events import ChannelDeleted, ChatEvent, RunEvent, SessionChange, SessionEvent
from ckfunc.chat.line_editor import InputEnded, TypedItem, TypedLine, TypedText
from ckfunc.logs.entries import Item, LogEntry
from ckfunc.logs.follow import StoppableClock, stream_logs
from ckfunc.model.application import Status
from ckfunc.model.triggers import concerns

LOOK_S = 0.2
RETRY_S = 0.5
GIVE_UP_S = 10.0
"""How long a chat whose input has ended looks for an emulator that has gone."""
QUIET_ROUNDS = 2
"""The first round may have begun before the last message was sent."""
TYPING_S = 2.0
"""The least time between two reports that the user is typing. Others see it end after five seconds."""

_START_S = 10.0
"""How long the first look at the runs may take."""
_END_S = 1.0


@frozen
class RoundEnded:
    """The runs were read once more. `quiet` means that none is new and none is in progress."""

    quiet: bool


@frozen
class RunsEnded:
    """The runs cannot be followed."""

    reason: CkfuncError


ChatItem = ChatEvent | ConnectionEnded | RoundEnded | RunsEnded | TypedItem


class ChatPrinter(Protocol):
    """What shows a chat."""

    def show(self, event: ChatEvent, /) -> None:
        """Show an event."""

    def help(self) -> None:
        """Show the commands."""

    def failed(self, problem: CkfuncError, /) -> None:
        """Show why a line had no effect."""

    def waited(self) -> None:
        """Look whether anyone still reads."""


class RunFollower:
    """Puts the runs about a channel, or of a user's session, as they begin and end, and a RoundEnded after each look.

    `channel_id` returns the channel, 0 if it is not known yet.
    """

    def __init__(
        self,
        client: Client,
        username: str,
        channel_id: Callable[[], int],
        put: Callable[[RunEvent | RoundEnded | RunsEnded], object],
    ) -> None:
        self._client = client
        self._username = username
        self._channel_id = channel_id
        self._put = put
        self._started = threading.Event()
        self._stop = threading.Event()
        self._running: set[int] = set()
        self._news = False

    def follow(self, clock: Clock) -> None:
        """Start; return when the runs so far are known."""
        stoppable = StoppableClock(clock, self._end_round, self._stop)
        self._thread = stream_logs(self._client, None, stoppable, self._take, self._failed)
        self._started.wait(_START_S)

    def stop(self) -> None:
        """Follow no longer."""
        self._stop.set()
        self._thread.join(_END_S)

    def _end_round(self) -> None:
        if self._started.is_set():
            self._put(RoundEnded(quiet=not self._news and not self._running))
        self._started.set()
        self._news = False

    def _take(self, item: Item) -> None:
        if not isinstance(item, LogEntry):
            self._news = True  # something could not be read
            return
        row = item.invocation
        if not concerns(row.args, self._channel_id(), (self._username,)):
            return
        self._news = True
        if row.status is Status.RUNNING:
            self._running.add(row.id)
        else:
            self._running.discard(row.id)
        self._put(RunEvent(item))

    def _failed(self, problem: CkfuncError) -> None:
        self._started.set()
        self._put(RunsEnded(problem))


class ChatLoop:
    """A chat until the input ends, the user quits, or the emulator ends the session.

    `find_url` returns the address of the emulator, or None while it is not running.
    """

    def __init__(
        self,
        client: ChatClient,
        items: queue.SimpleQueue[ChatItem],
        printer: ChatPrinter,
        find_url: Callable[[], str | None],
        clock: Clock,
        directory: Path,
    ) -> None:
        self._client = client
        self._items = items
        self._printer = printer
        self._find_url = find_url
        self._clock = clock
        self._directory = directory
        self._lost = False
        self._retry_s = 0.0
        self._give_up_s: float | None = None
        self._typed: deque[TypedLine | TypedText] = deque()
        self._input_ended = self._quit = False
        self._quiet = 0
        self._typing_since_s = -TYPING_S
        self._typing = False
        self.failed = False
        """Whether a line had no effect."""

    def run(self) -> None:
        """Run the chat. Raises SessionDenied, ChatEnded, NoChannel, and ConnectionLost after the end of the input."""
        while not self._quit and not self._settled():
            try:
                item = self._items.get(timeout=LOOK_S)
            except queue.Empty:
                item = None
            require_uninterrupted()
            self._printer.waited()
            if item is not None:
                self._take(item)
            if self._lost:
                self._reconnect()
            while self._typed and not self._lost and not self._quit:
                self._perform(self._typed.popleft())

    def _take(self, item: ChatItem) -> None:
        if isinstance(item, ConnectionEnded):
            if item.number == self._client.number:
                self._lose(item.reason)
        elif isinstance(item, RunsEnded):
            raise ChatEnded(f"the functions that run cannot be shown: {item.reason.message}", item.reason.hint)
        elif isinstance(item, RoundEnded):
            self._quiet = self._quiet + 1 if item.quiet and self._input_ended and not self._typed else 0
        elif isinstance(item, TypedLine | TypedText):
            self._typed.append(item)
        elif isinstance(item, InputEnded):
            self._input_ended, self._quit = True, item.quit
        elif isinstance(item, ChannelDeleted):
            raise ChatEnded("the channel was deleted")
        else:
            self._printer.show(item)

    def _settled(self) -> bool:
        """Return whether the input has ended, and everything that it caused has been shown."""
        if not self._input_ended or self._typed or self._lost or self._quiet < QUIET_ROUNDS:
            return False
        try:
            self._client.settle()
        except ConnectionLost as problem:
            self._lose(problem)
            return False
        while not self._items.empty():
            self._take(self._items.get())
        return True

    def _lose(self, reason: CkfuncError) -> None:
        if not isinstance(reason, ConnectionLost):
            raise reason
        if self._input_ended:
            raise ConnectionLost("the connection to the emulator was lost before everything was answered")
        if not self._lost:
            self._lost, self._retry_s = True, 0.0
            self._printer.show(SessionEvent(SessionChange.LOST, self._client.channel_id, "", reason.message))

    def _reconnect(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s < self._retry_s:
            return
        if self._input_ended:
            if self._give_up_s is None:
                self._give_up_s = now_s + GIVE_UP_S
            elif now_s >= self._give_up_s:
                raise ConnectionLost("the emulator has gone before everything was sent", hint="start it, and try again")
        self._retry_s = now_s + RETRY_S
        url = self._find_url()
        if url is None:
            return
        try:
            self._client.reopen(url)
        except ConnectionLost:
            return
        except ActionRefused as problem:
            raise ChatEnded(f"the chat cannot continue: {problem.message}") from None
        self._lost, self._give_up_s = False, None

    def _perform(self, typed: TypedLine | TypedText) -> None:
        try:
            if isinstance(typed, TypedText):
                self._report_typing(typed.text)
                return
            command = parse_line(typed.text)
            if command is not None:
                self._do(command)
                self._typing = False  # the emulator ends typing with the message
        except ConnectionLost as problem:
            if isinstance(typed, TypedLine):
                hint = "the connection was lost; send it again if it did not arrive"
                self._fail(CkfuncError(f"not confirmed: {typed.text}", hint))
            self._lose(problem)
        except SessionDenied:
            raise
        except CkfuncError as problem:
            self._fail(problem)

    def _do(self, command: ChatCommand) -> None:
        if command.name == "quit":
            self._quit = True
        elif command.name == "help":
            self._printer.help()
        else:
            self._client.perform(command, self._directory)

    def _report_typing(self, text: str) -> None:
        now_s = self._clock.monotonic_s()
        message = bool(text.strip()) and not text.startswith("/")
        if message and now_s - self._typing_since_s >= TYPING_S:
            self._client.type(text)
            self._typing, self._typing_since_s = True, now_s
        elif not message and self._typing:
            self._client.type("")
            self._typing, self._typing_since_s = False, now_s - TYPING_S

    def _fail(self, problem: CkfuncError) -> None:
        self.failed = True
        self._printer.failed(problem)
