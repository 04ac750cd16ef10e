"""Console lines of a run, and output on descriptors 1 and 2."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from ckfunc.model.application import ConsoleLine

# First lines of the report of a crashing Node: machine code addresses, which are useless to authors of handlers.
_REPORTS = ("<--- Last few GCs --->", "----- Native stack trace -----")
_FATAL = "FATAL ERROR: "


class Lines:
    """Console lines, with a limit for those that Node does not limit itself."""

    __slots__ = ("_begun", "_limit", "_used", "kept")

    def __init__(self, limit_bytes: int) -> None:
        self.kept: list[ConsoleLine] = []
        self._limit = limit_bytes
        self._used = 0
        self._begun: dict[str, str] = {}

    def add(self, line: ConsoleLine, *, limited: bool = True) -> tuple[ConsoleLine, ...]:
        """Add a line, and return the added lines. The first line beyond the limit is replaced by a note."""
        if limited:
            if self._used > self._limit:
                return ()
            self._used += len(line.text.encode("utf-8", "replace")) + 1
            if self._used > self._limit:
                line = ConsoleLine("warn", f"[console output beyond {self._limit} bytes is dropped]")
        self.kept.append(line)
        return (line,)

    def take(self) -> list[ConsoleLine]:
        """Return and clear all lines."""
        lines = [*self.kept, *self.unfinished()]
        self.kept, self._used = [], 0
        return lines

    def begin(self, stream: str, text: str) -> None:
        """Add to the unfinished line of a stream, "log" or "error"."""
        self._begun[stream] = (self._begun.get(stream, "") + text)[: self._limit]

    def end(self, stream: str) -> None:
        """Clear the unfinished line of a stream, which is complete now."""
        self._begun.pop(stream, None)

    def unfinished(self) -> list[ConsoleLine]:
        """Return and clear the unfinished lines."""
        if not self._begun:
            return []
        lines = [ConsoleLine(stream, text) for stream, text in self._begun.items()]
        self._begun.clear()
        return lines


class WrittenOutput:
    """Splits the bytes from a descriptor into lines of `level`."""

    _LONGEST = 65536

    def __init__(self, level: str) -> None:
        self._level = level
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.unfinished = ""
        """The beginning of a line."""
        self._blank = 0
        self._reporting = False

    def take(self, data: bytes) -> Iterator[ConsoleLine]:
        """Yield the lines that `data` completes. Very long lines are split."""
        *lines, self.unfinished = (self.unfinished + self._decoder.decode(data)).split("\n")
        for text in lines:
            yield from self._line(text)
        if len(self.unfinished) > self._LONGEST:
            yield from self.rest()

    def rest(self) -> Iterator[ConsoleLine]:
        """Yield the unfinished line."""
        text, self.unfinished = self.unfinished, ""
        if text:
            yield from self._line(text)

    def _line(self, text: str) -> Iterator[ConsoleLine]:
        text = text.removesuffix("\r")
        if self._reporting or text.startswith(_REPORTS):
            self._reporting = True
            if text.startswith(_FATAL):
                yield ConsoleLine(self._level, text)
            return
        if not text:
            self._blank += 1  # a report begins with one
            return
        yield from (ConsoleLine(self._level, "") for _ in range(self._blank))
        self._blank = 0
        yield ConsoleLine(self._level, text)
