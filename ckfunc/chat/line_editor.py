"""A line that is edited key by key, in the status line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from ckfunc.base.keyboard import ESCAPE, pressed_keys
from ckfunc.base.text import cells

_ENTER, _ERASE, _END, _INTERRUPT = "\r\n", "\x7f\b", "\x04", "\x03"
_ERASE_LINE, _ERASE_WORD, _CLEAR = "\x15", "\x17", "\x0c"


class Screen(Protocol):
    """A terminal with a status line of `pin_width` columns."""

    @property
    def pin_width(self) -> int:
        """The width of the status line."""

    def pin(self, segments: Sequence[tuple[str, str] | str], /) -> None:
        """Show the status line."""

    def clear(self) -> None:
        """Clear the terminal, except for the status line."""


class LineEditor:
    """Reads keys until `stop` is set, and shows the line in the status line of the screen.

    `typed` gets each line, `changed` the line after each key, and `ended` is called at the end of the input (Ctrl-D).
    """

    def __init__(
        self,
        screen: Screen,
        prompt: str,
        typed: Callable[[str], object],
        changed: Callable[[str], object],
        ended: Callable[[], object],
    ) -> None:
        self._screen = screen
        self.prompt = prompt
        self._typed = typed
        self._changed = changed
        self._ended = ended
        self._text = ""
        self._note = ""
        self._lock = threading.Lock()

    def read(self, stop: threading.Event) -> None:
        """Handle keys until `stop` is set, or the input ends."""
        for key in pressed_keys(stop):
            if key == _INTERRUPT or (key == _END and not self._text):
                break
            self.press(key)
        if not stop.is_set():
            self._ended()

    def press(self, key: str) -> None:
        """Handle one key."""
        before = self._text
        if key in _ENTER:
            self._text = ""
            self.show()
            self._typed(before)
            return
        if key in _ERASE:
            self._text = before[:-1]
        elif key == _ERASE_LINE:
            self._text = ""
        elif key == _ERASE_WORD:
            self._text = before.rstrip().rpartition(" ")[0]
            self._text += " " if self._text else ""
        elif key == _CLEAR:
            self._screen.clear()
        elif key == "\t":
            self._text += " "
        elif key != ESCAPE and (key.isprintable() or key in "\u200c\u200d"):
            self._text += key
        self.show()
        if self._text != before:
            self._changed(self._text)

    def note(self, text: str) -> None:
        """Show a short text before the prompt; "" removes it."""
        self._note = text
        self.show()

    def show(self) -> None:
        """Draw the line; of a long one, its end."""
        with self._lock:
            note, prompt = f"{self._note}  " if self._note else "", f"{self.prompt}> "
            remaining = max(self._screen.pin_width - cells(note) - cells(prompt) - 1, 0)
            shown = self._text[-remaining:] if remaining else ""
            while shown and cells(shown) > remaining:
                shown = shown[1:]
            self._screen.pin([(note, "muted"), (prompt, "title"), shown])
