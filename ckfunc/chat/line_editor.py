"""Typed lines: read from a pipe, or edited key by key in the status line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeAlias

from ckfunc.base.frozen import frozen
from ckfunc.base.keyboard import ESCAPE, keys_thread, pressed_keys
from ckfunc.base.streams import read_input
from ckfunc.base.terminal import Terminal
from ckfunc.base.text import cells
from ckfunc.chat.lines import typing_text

_ENTER, _ERASE, _END, _INTERRUPT = "\r\n", "\x7f\b", "\x04", "\x03"
_ERASE_LINE, _ERASE_WORD, _CLEAR = "\x15", "\x17", "\x0c"


@frozen
class TypedLine:
    """A line was typed, or read from a pipe."""

    text: str


@frozen
class TypedText:
    """The line that is being typed has changed."""

    text: str


@frozen
class InputEnded:
    """There are no more lines. With `quit`, the chat ends at once."""

    quit: bool


TypedItem: TypeAlias = TypedLine | TypedText | InputEnded


def read_lines(put: Callable[[TypedItem], object]) -> None:
    """Put the lines of standard input, on another thread."""
    read_input(lambda line: put(TypedLine(line)), lambda: put(InputEnded(quit=False)))


class LineEditor:
    """Puts lines as they are typed, with each change, and shows them in the status line of the terminal."""

    def __init__(self, terminal: Terminal, prompt: str, put: Callable[[TypedItem], object]) -> None:
        self._terminal = terminal
        self.prompt = prompt
        self._put = put
        self._stop = threading.Event()
        self._text = ""
        self._note = ""
        self._typing: set[str] = set()
        self._lock = threading.Lock()

    def reading(self) -> AbstractContextManager[None]:
        """Read keys on another thread, until the input ends (Ctrl-D) or the context is left."""
        return keys_thread(self._read, self.show, self._stop)

    def _read(self) -> None:
        for key in pressed_keys(self._stop):
            if key == _INTERRUPT or (key == _END and not self._text):
                break
            self.press(key)
        if not self._stop.is_set():
            self._put(InputEnded(quit=True))

    def press(self, key: str) -> None:
        """Handle one key."""
        before = self._text
        if key in _ENTER:
            self._text = ""
            self.show()
            self._put(TypedLine(before))
            return
        if key in _ERASE:
            self._text = before[:-1]
        elif key == _ERASE_LINE:
            self._text = ""
        elif key == _ERASE_WORD:
            self._text = before.rstrip().rpartition(" ")[0]
            self._text += " " if self._text else ""
        elif key == _CLEAR:
            self._terminal.clear()
        elif key == "\t":
            self._text += " "
        elif key != ESCAPE and (key.isprintable() or key in "\u200c\u200d"):
            self._text += key
        self.show()
        if self._text != before:
            self._put(TypedText(self._text))

    def note_typing(self, name: str, *, typing: bool) -> None:
        """Show before the prompt who else is typing, now that a user has begun or stopped."""
        if name != self.prompt:
            (self._typing.add if typing else self._typing.discard)(name)
            self._note = typing_text(sorted(self._typing))
            self.show()

    def show(self) -> None:
        """Draw the line; of a long one, its end."""
        with self._lock:
            note, prompt = f"{self._note}  " if self._note else "", f"{self.prompt}> "
            remaining = max(self._terminal.pin_width - cells(note) - cells(prompt) - 1, 0)
            shown = self._text[-remaining:] if remaining else ""
            while shown and cells(shown) > remaining:
                shown = shown[1:]
            self._terminal.pin([(note, "muted"), (prompt, "title"), shown])
