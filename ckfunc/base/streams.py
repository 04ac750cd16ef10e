"""Standard streams that may be closed, or in another encoding."""

from __future__ import annotations

import codecs
import errno
import os
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from ckfunc.base.errors import CkfuncError


class ReaderGone(Exception):
    """The reader of stdout has closed the pipe (`| head`). Not an OSError, because click exits with 1 for these."""


class UnwritableOutput(CkfuncError):
    """Standard output cannot be written, for example because the disk is full."""


class ResultStream:
    """Standard output. After a failed write, text is discarded. The caller allows one call at a time."""

    def __init__(self) -> None:
        self._reader_gone = False
        self._unwritable: UnwritableOutput | None = None

    def write(self, text: str) -> None:
        """Write a text, or discard it if the reader has closed the pipe. Raises UnwritableOutput."""
        self._require_writable()
        try:
            write_text(sys.stdout, text)
        except OSError as error:
            self._discard_after(error)

    def flush(self) -> None:
        """Write what is buffered. Raises UnwritableOutput, and ReaderGone if the reader has closed the pipe."""
        try:
            sys.stdout.flush()
        except OSError as error:
            self._discard_after(error)
        self._require_writable()
        if self._reader_gone:
            raise ReaderGone

    def require_reader(self) -> None:
        """Raise ReaderGone if the reader has closed the pipe, on systems that report it before the next write."""
        if self._reader_gone or reader_left(sys.stdout):
            self._reader_gone = True
            discard_rest(sys.stdout)
            raise ReaderGone

    def discard(self) -> None:
        """Discard buffered text, which Python would otherwise try to write again at exit."""
        try:
            sys.stdout.flush()
        except OSError:
            discard_rest(sys.stdout)

    def _discard_after(self, error: OSError) -> None:
        discard_rest(sys.stdout)
        # Windows reports "invalid argument" instead of "broken pipe".
        if error.errno not in (None, errno.EPIPE, errno.EINVAL, errno.EBADF):
            self._unwritable = UnwritableOutput(f"the output cannot be written: {error.strerror}")
            raise self._unwritable from error
        self._reader_gone = True

    def _require_writable(self) -> None:
        """Raise the failure to write again: the first time may have been on a thread that runs a handler."""
        if self._unwritable is not None:
            raise self._unwritable


def prepare_streams() -> None:
    """Open the null device for standard streams that the caller closed (`>&-`), and make the others blocking.

    Otherwise the next file that is opened, such as a database, would get the number of a closed stream, and printed
    text would be written to it. Some parent processes leave streams non-blocking: these would lose text that is
    written faster than it is read.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
        elif sys.platform != "win32":
            with suppress(OSError, ValueError):
                os.set_blocking(getattr(sys, name).fileno(), True)


def write_text(stream: TextIO, text: str) -> None:
    """Write `text`; characters that the stream's encoding lacks (Windows code pages, LANG=C) become `?`."""
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding))


def discard_rest(stream: TextIO) -> None:
    """Send buffered and further text to the null device."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def reader_left(stream: TextIO) -> bool:
    """Return whether the other end of a pipe was closed; False where the system only reports it on a write."""
    poll = getattr(select, "poll", None)  # Windows has none
    if poll is None:
        return False
    gone = getattr(select, "POLLERR", 0) | getattr(select, "POLLHUP", 0)
    try:
        poller = poll()
        poller.register(stream.fileno(), 0)
        return any(event & gone for _, event in poller.poll(0))
    except (OSError, ValueError):
        return False


def read_input(typed: Callable[[str], object], ended: Callable[[], object]) -> None:
    """Call `typed` with each line of standard input, and `ended` after the last one, on a thread of its own.

    The thread reads without Python's buffer, whose lock it would still hold when the process ends.
    """

    def read() -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        try:
            while data := os.read(sys.stdin.fileno(), 65536):
                *lines, rest = (rest + decoder.decode(data)).split("\n")
                for line in lines:
                    typed(line.rstrip("\r"))
        except (OSError, ValueError):  # closed, or the terminal is gone
            pass
        if rest:
            typed(rest)
        ended()

    threading.Thread(target=read, name="ckfunc-input", daemon=True).start()
