"""Text for terminals: sanitization, widths, tables, styled lines, diffs, suggestions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

USUAL_COLUMNS = 80
"""The width of output that goes to no terminal."""

STYLES = {
    "plain": "",
    "title": "1",
    "create": "32",
    "update": "33",
    "remove": "31",
    "success": "32",
    "failure": "31",
    "warning": "33",
    "place": "36",
    "muted": "2",
}
"""Names of styles, each with its parameter of the sequence that selects it in a terminal (ECMA-48, SGR)."""

Line: TypeAlias = Sequence[tuple[str, str]]
"""Segments, or plain pairs of a text and a style."""

Piece: TypeAlias = tuple[str, str] | str
"""A piece of a line, with the name of its style or without one."""

# Patterns are compiled on first use, because that takes milliseconds.

# Terminal controls except tab and newline; characters that reorder or hide text: bidirectional controls, spaces of
# no width, fillers, tags and other characters that Unicode gives no glyph; halves of surrogate pairs.
_CONTROLS = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\U00013430-\U0001345f"
    "\U0001bca0-\U0001bcaf\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_UNDECODED = "[\udc80-\udcff]"
# Joiners belong to emoji, and to words in Arabic and Indic scripts: they are kept between two such characters.
_JOINED = "\u0590-\u18af\u2190-\u2bff\ufb50-\ufdff\ufe0f\ufe70-\ufefc\U0001f000-\U0001faff"
_JOINERS = f"[\u200c\u200d](?:(?<![{_JOINED}].)|(?![{_JOINED}]))"
# A variation selector (text or emoji) is kept after a character that can be either, and in a keycap.
_SELECTORS = "[\ufe0e\ufe0f](?:(?<![#*0-9\xa9\xae\u203c-\u3299\U0001f000-\U0001faff].)|(?<=[#*0-9].)(?!\u20e3))"
# Complete escape sequences. They are removed before control characters, so that their parameters go too.
_SEQUENCES = r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]"

_HIDDEN = (
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)

_MAX_WORD = 80  # Longer words are slow to compare, and are not misspelt names.
_CLOSE = 0.65  # with 0.6, the usual cutoff of difflib, `nope` is close to `invoke`

DIFF_CONTEXT_LINES = 3
MOST_DIFF_LINES = 20_000
"""Longer scripts are not compared line by line, because that would take too long."""

_NO_NEWLINE = "\n\\ No newline at end of file"
_DIFF_STYLES = {"+": "create", "-": "remove", "@": "place", " ": "plain"}


class Segment(NamedTuple):
    """A piece of a line, without newlines. `style` is one of STYLES."""

    text: str
    style: str = "plain"


def styled(segments: Iterable[Piece], *, color: bool) -> str:
    """Return a line as it is printed, without control characters; with `color`, in its styles."""
    return "".join(
        _styled(printable(segment[0]), segment[1], color) if isinstance(segment, tuple) else printable(segment)
        for segment in segments
    )


def _styled(text: str, style: str, color: bool) -> str:
    code = STYLES.get(style)
    return f"\x1b[{code}m{text}\x1b[0m" if color and code and text else text


def plain(line: Line) -> str:
    """Return the text of a line without its styles."""
    return "".join(text for text, _ in line)


def printable(text: str) -> str:
    """Return `text` without terminal control sequences, control characters and invisible characters.

    Tabs, newlines and the joiners of emoji and some scripts are kept. Bytes of file names and arguments that are not
    UTF-8, which Python represents as surrogates (PEP 383), are shown as `\\xff`.
    """
    if text.isascii() and text.isprintable():
        return text
    if not text.isascii():
        text = re.sub(_UNDECODED, lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", text)
    text = re.sub(_CONTROLS, "", re.sub(_SEQUENCES, "", text.replace("\r\n", "\n")))
    return text if text.isascii() else re.sub(_SELECTORS, "", re.sub(_JOINERS, "", text))


def escaped(text: str) -> str:
    """Return `text` with control characters, and those that reorder or hide text, as escapes such as \\u202e.

    Tabs and line ends are kept.
    """
    return re.sub(_HIDDEN, lambda match: f"\\u{ord(match[0]):04x}", text)


def one_line(text: str) -> str:
    """Return remote text on one line: without control characters, and each run of white space as a single space."""
    return " ".join(printable(text).split())


def shortened(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`, ending with … if it was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def beneath_message(stack: str, message: str) -> list[str]:
    """Return the lines of a JavaScript stack below its message, which the caller shows separately.

    These are frames, causes and properties of the error, with their indentation.
    """
    lines, shown = stack.rstrip().split("\n"), message.rstrip().split("\n")
    if [line.strip() for line in lines[: len(shown)]] == [line.strip() for line in shown]:
        return lines[len(shown) :]
    # V8 starts a stack with the name and the message that the error had when it was created.
    while lines and not is_frame(lines[0]) and _repeats(lines[0].strip(), message):
        del lines[0]
    return lines


def is_frame(line: str) -> bool:
    """Return whether a line of a JavaScript stack is a stack frame."""
    return line.lstrip().startswith("at ")


def cells(text: str) -> int:
    """Return the width of `text` in terminal columns."""
    return len(text) if text.isascii() else sum(map(_cell, text))


def cut(text: str, width: int | None) -> str:
    """Return `text` cut to `width` terminal columns, ending with … if it was cut; None means no limit."""
    if width is None or cells(text) <= width:
        return text
    columns = 0
    for index, character in enumerate(text):
        columns += _cell(character)
        if columns > width - 1:
            return f"{text[:index]}…" if width > 0 else ""
    return text


def table(header: Sequence[str], rows: Sequence[Line]) -> list[Line]:
    """Return lines with aligned columns; a row has a cell for each name in `header`. Omits empty columns."""
    columns = [number for number in range(len(header)) if any(row[number][0] for row in rows)]
    lines: list[Line] = []
    for row in ([(name, "muted") for name in header], *rows):
        line: list[tuple[str, str]] = []
        for number in columns:
            text, style = row[number]
            width = max(cells(header[number]), *(cells(each[number][0]) for each in rows))
            line.append((text + " " * (width - cells(text)) + "  ", style))
        while len(line) > 1 and not line[-1][0].strip():
            line.pop()
        last, style = line[-1]
        lines.append([*line[:-1], (last.rstrip(), style)])
    return lines


def status_line(segments: Line, keys: Sequence[str], width: int) -> Line:
    """Return a line of at most `width` columns that ends with keys.

    These are the first of `keys` (longest first) that leave room for the rest, or that take at most a third of it.
    """
    status = sum(cells(text) for text, _ in segments)
    fits = (text for text in keys if status + 2 + cells(text) <= width or cells(text) * 3 <= width)
    end = next(fits, keys[-1] if keys else "")
    line = list(_fitting(segments, width - cells(end) - 2 if end else width))
    return [*line, ("  " if line else "", "plain"), (end, "muted")] if end else line


def digest(text: str) -> str:
    """Return the SHA-256 of `text` as UTF-8, in hexadecimal (64 characters). Lone surrogates are allowed."""
    import hashlib  # loads OpenSSL, which printing a line does not need

    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def is_id(text: str) -> bool:
    """Return whether a text is the id of a row: a whole number in ASCII digits that fits 64 bits."""
    return text.isascii() and text.isdecimal() and len(text) < 19


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return a known name that starts with `word`, or else the most similar one; None if none is close."""
    import difflib  # takes milliseconds, and is only needed for an error

    if len(word) > _MAX_WORD:
        return None
    names = list(known)
    lowered = word.lower().replace("-", "_")
    starting = [name for name in names if len(lowered) > 2 and name.startswith(lowered)]
    matches = starting or [
        name for form in (lowered, word) for name in difflib.get_close_matches(form, names, n=1, cutoff=_CLOSE)
    ]
    return matches[0] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a hint with the known word that is closest to `word`, or None."""
    best = nearest(word, known)
    return f"did you mean {best}?" if best else None


def with_hint(message: str, hint: str | None) -> str:
    """Return a message with its hint in parentheses, if there is one."""
    return f"{message} ({hint})" if hint else message


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 file", "2 files"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size_text(size_bytes: int) -> str:
    """Return a size with its unit, such as `12.3 MB`."""
    size, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size_bytes} B" if unit == "B" else f"{size:.1f} {unit}"


def unified(before: str, after: str, before_name: str, after_name: str) -> Iterator[str]:
    """Yield the lines of a unified diff as `diff -u` prints them, without newlines; nothing for equal texts.

    The texts must have `\\n` newlines.
    """
    old, new = _lines(before), _lines(after)
    if before != after and max(len(old), len(new)) > MOST_DIFF_LINES:
        yield from (f"--- {before_name}", f"+++ {after_name}", f"@@ {len(old)} lines became {len(new)} @@")
        return
    import difflib  # takes milliseconds, and is only needed for a difference

    for line in difflib.unified_diff(old, new, before_name, after_name, n=DIFF_CONTEXT_LINES, lineterm=""):
        yield from line.split("\n")


def styled_diff(lines: Iterable[str]) -> Iterator[Segment]:
    """Yield the lines of a unified diff with styles, without the control characters of remote text."""
    for number, line in enumerate(lines):
        yield Segment(printable(line), "title" if number < 2 else diff_style(line))


def diff_style(line: str) -> str:
    """Return the style of a line of a unified diff, below its two header lines."""
    return _DIFF_STYLES.get(line[:1], "muted")


def newlines(text: str) -> str:
    """Return `text` with every line ending as a plain newline."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def position(text: str, offset: int) -> tuple[int, int]:
    """Return line and column of the character at `offset`, from 1."""
    before = newlines(text[:offset])
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def line_count(text: str) -> int:
    """Return the number of lines of a text, including a last line without a newline."""
    return len(_lines(text))


def _repeats(line: str, message: str) -> bool:
    _, colon, rest = line.partition(": ")
    return line in message or bool(colon and rest in message)


def _fitting(segments: Line, width: int) -> Iterator[tuple[str, str]]:
    """Yield the part of a line that fits into `width` columns."""
    remaining = width
    for whole, style in segments:
        text = " ".join(printable(whole).split("\n"))
        if cells(text) > remaining:
            if remaining > 0:
                yield (cut(text, remaining), style)
            return
        yield (text, style)
        remaining -= cells(text)


def _cell(character: str) -> int:
    import unicodedata

    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _lines(text: str) -> list[str]:
    # Not splitlines(): TypeScript tools do not count a form feed or U+2028 in a string literal as a line end.
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += _NO_NEWLINE
    else:
        lines.pop()
    return lines
