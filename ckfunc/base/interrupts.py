"""Reliable Ctrl-C.

A KeyboardInterrupt may get lost in the middle of an import, so the signal is remembered.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType, SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

AGAIN_S = 0.05
"""Delay before a lost Ctrl-C is raised again."""

_state = SimpleNamespace(pressed=False)


def keep_interrupts() -> None:
    """Remember Ctrl-C, and raise it again when Python drops it. Does nothing where Ctrl-C is ignored.

    Python drops what is raised in a finalizer or weak reference callback, such as those that every import has, and
    some libraries catch everything while they are imported.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _press)
        sys.unraisablehook = _lost


def forget_interrupts() -> None:
    """Let Ctrl-C end the process at once from now on, as nothing is left to clean up."""
    if signal.getsignal(signal.SIGINT) in (_press, signal.default_int_handler):
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def pressed() -> bool:
    """Tell whether Ctrl-C was pressed, however long ago."""
    return bool(_state.pressed)


def require_uninterrupted() -> None:
    """Raise KeyboardInterrupt when Ctrl-C was pressed: for loops that would go on for ever."""
    if _state.pressed:
        raise KeyboardInterrupt


def _press(_number: int, _frame: FrameType | None) -> None:
    _state.pressed = True
    raise KeyboardInterrupt


def _lost(what: UnraisableHookArgs) -> None:
    if not issubclass(what.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(what)
        return
    import _thread
    import threading

    # Not at once: raised in here it would be lost again.
    again = threading.Timer(AGAIN_S, _thread.interrupt_main)
    again.daemon = True
    again.start()
