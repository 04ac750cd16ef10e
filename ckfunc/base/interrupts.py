"""Reliable Ctrl-C.

A KeyboardInterrupt can get lost, for example during an import. ckfunc remembers the signal and raises it again.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

EXIT_INTERRUPTED = 130
"""Exit code after Ctrl-C; here, because `errors` imports much before Ctrl-C is handled."""
AGAIN_S = 0.05
"""Delay before a lost KeyboardInterrupt is raised again."""

_state = SimpleNamespace(interrupted=False, ended=False)


def catch_interrupts() -> None:
    """Remember Ctrl-C, and raise KeyboardInterrupt again if Python drops it. Does nothing if SIGINT is ignored.

    Python drops exceptions that are raised in a finalizer or weak reference callback, which every import has, and some
    libraries catch all exceptions while they are imported.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _on_interrupt)
        sys.unraisablehook = _on_unraisable


def caused_by_interrupt(error: BaseException | None) -> bool:
    """Return whether an exception is or stems from Ctrl-C: Python 3.11 replaces it while a class is created."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None


def end_on_interrupt() -> None:
    """Let Ctrl-C end the process immediately from now on, because nothing is left to clean up."""
    if signal.getsignal(signal.SIGINT) in (_on_interrupt, signal.default_int_handler):
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def was_interrupted() -> bool:
    """Return whether Ctrl-C was pressed since the process started."""
    return bool(_state.interrupted)


def require_uninterrupted() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed. Endless loops call it."""
    if _state.interrupted:
        raise KeyboardInterrupt


def wait_for_interrupt(
    on_begin: Callable[[], None],
    *,
    needed: Callable[[], bool] = lambda: True,
    on_end: Callable[[], None] = lambda: None,
) -> None:
    """Wait until Ctrl-C, or the end of the process is requested, which ends this wait and nothing else.

    `on_begin` is called when signals end the wait, and `on_end` after the wait, before signals do what they did. The
    wait ends by itself when it is no longer `needed`. Call it on the main thread.
    """
    from queue import Empty, SimpleQueue  # most commands do not wait

    # The handler may run within `get`. An Event would be locked at that moment, and setting it would wait forever.
    signals: SimpleQueue[int] = SimpleQueue()

    def end(number: int, _frame: FrameType | None) -> None:
        signals.put(number)

    before = {number: signal.signal(number, end) for number in _end_signals()}
    try:
        try:
            on_begin()
            while needed():
                with suppress(Empty):
                    signals.get(timeout=0.5)  # without a time limit, Ctrl-C does not interrupt it on Windows
                    break
        finally:
            on_end()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """End the block, and nothing else, when a signal other than Ctrl-C requests the end of the process.

    The block is interrupted as by Ctrl-C; a function with this decorator then returns None. Further such signals are
    ignored, because a terminal that is closed and its shell both send one. Call it on the main thread.
    """

    def end(number: int, frame: FrameType | None) -> None:
        if not _state.ended:
            _state.ended = True
            _on_interrupt(number, frame)

    before = {number: signal.signal(number, end) for number in _end_signals()[1:]}
    try:
        yield
    except BaseException as error:
        if not (_state.ended and caused_by_interrupt(error)):
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if _state.ended else handler)


def _end_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that request the end of the process; that of a closed terminal unless nohup ignores it."""
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        return signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    return signal.SIGINT, signal.SIGTERM


def _on_interrupt(_number: int, _frame: FrameType | None) -> None:
    _state.interrupted = True
    raise KeyboardInterrupt


def _on_unraisable(error: UnraisableHookArgs) -> None:
    if not issubclass(error.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(error)
        return
    # Raised later, because an exception in this hook would be lost too.
    timer = threading.Timer(AGAIN_S, _thread.interrupt_main)
    timer.daemon = True
    timer.start()
