"""Source maps: translation of positions and stacks of a bundle to its local files.

Source of the format: https://tc39.es/ecma426/
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ckfunc.base.frozen import frozen
from ckfunc.model.application import ConsoleLine, Invocation, InvocationDetail

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_DIGITS = {letter: value for value, letter in enumerate(_LETTERS)}
_CONTINUES, _VALUE = 32, 31


@dataclass(frozen=True, slots=True, order=True)
class _Segment:
    column: int
    source: int
    line: int
    original_column: int


class SourceMap:
    """A source map. Lines and columns count from 1."""

    def __init__(self, text: str) -> None:
        """`text` is JSON. Raises ValueError if it is not a source map."""
        try:
            document = json.loads(text)
            self._sources = [str(source) for source in document["sources"]]
            self._lines = _decoded(document["mappings"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("this is not a source map") from error

    def original(self, line: int, column: int) -> tuple[str, int, int] | None:
        """Return path, line and column of the source of a position, or None if it has none."""
        segments = self._lines[line - 1] if 0 < line <= len(self._lines) else []
        index = bisect_right(segments, column - 1, key=lambda segment: segment.column) - 1
        if not segments:
            return None
        # Indentation before the first segment belongs to that segment.
        segment = segments[max(index, 0)]
        if segment.source >= len(self._sources):
            return None
        return self._sources[segment.source], segment.line + 1, segment.original_column + 1


def utf16_length(text: str) -> int:
    """Return the length of `text` in UTF-16 units, which columns of source maps count."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def without_characters(mappings: str, cuts: Mapping[int, Sequence[int]]) -> str:
    """Return mappings after a character was removed at each position in `cuts` (line to columns, both from 0)."""
    lines = mappings.split(";")
    for line, columns in cuts.items():
        at = before = 0
        segments = lines[line].split(",") if line < len(lines) and lines[line] else []
        for index, segment in enumerate(segments):
            at += _numbers(segment)[0]
            now = at - sum(column < at for column in columns)
            first = next(end for end, digit in enumerate(segment, 1) if not _DIGITS[digit] & _CONTINUES)
            segments[index] = _encoded(now - before) + segment[first:]
            before = now
        if segments:
            lines[line] = ",".join(segments)
    return ";".join(lines)


def _encoded(number: int) -> str:
    """Encode a number in base 64, with the sign in the lowest bit."""
    value, text = (-number << 1 | 1) if number < 0 else number << 1, ""
    while True:
        value, digit = value >> 5, value & _VALUE
        text += _LETTERS[digit | (_CONTINUES if value else 0)]
        if not value:
            return text


def _decoded(mappings: str) -> list[list[_Segment]]:
    source = line = column = 0
    lines = []
    for line_text in mappings.split(";"):
        segments = []
        at = 0
        for segment in line_text.split(",") if line_text else ():
            numbers = _numbers(segment)
            at += numbers[0]
            if len(numbers) >= 4:
                source, line, column = source + numbers[1], line + numbers[2], column + numbers[3]
                segments.append(_Segment(at, source, line, column))
        lines.append(segments)
    return lines


def _numbers(text: str) -> list[int]:
    """Decode the numbers of a segment, in base 64 with the sign in the lowest bit."""
    numbers: list[int] = []
    value = shift = 0
    for letter in text:
        digit = _DIGITS[letter]
        value += (digit & _VALUE) << shift
        shift += 5
        if not digit & _CONTINUES:
            numbers.append(-(value >> 1) if value & 1 else value >> 1)
            value = shift = 0
    if not numbers:
        raise ValueError("this is not a source map")
    return numbers


@frozen
class StackMapper:
    """Translator of positions in a script, in the output of a run, to positions in local files.

    Without a `source_map`, the script is not bundled.
    """

    name: str
    path: str
    source_map: str | None

    def text(self, text: str) -> str:
        """Replace the script's name by its path, and positions in a bundle by positions in local files.

        A position without a source stays unchanged.
        """
        if self.name not in text:
            return text
        place_of_bundle = ""
        if self.source_map is not None:
            text, place_of_bundle = map_stack(text, self.name, self.source_map), r"(?!:\d)"
        return re.sub(rf"(?<![\w.@/-]){re.escape(self.name)}(?![\w.@-]){place_of_bundle}", lambda _: self.path, text)

    def line(self, line: ConsoleLine) -> ConsoleLine:
        """Return a line of output with translated positions."""
        return replace(line, text=self.text(line.text))

    def invocation(self, row: Invocation) -> Invocation:
        """Return an invocation with translated positions in its error."""
        error = row.result.get("error")
        if not isinstance(error, Mapping):
            return row
        mapped = {name: self.text(value) if isinstance(value, str) else value for name, value in error.items()}
        return replace(row, result={**row.result, "error": mapped})

    def detail(self, detail: InvocationDetail) -> InvocationDetail:
        """Return the details of a run with translated positions in its output."""
        return replace(detail, console=tuple(map(self.line, detail.console)))


def map_stack(stack: str, name: str, source_map: str) -> str:
    """Replace positions in the script `name`, in a text with a stack, by positions in local files.

    `name` is the script's name in frames (`TYPE@3.ts:10:5`); `source_map` is JSON, its sources are paths. A position
    without a source stays unchanged, and so does the whole text if the map is invalid.
    """
    if f"{name}:" not in stack:
        return stack
    try:
        positions = SourceMap(source_map)
    except ValueError:
        return stack

    def translate(position: re.Match[str]) -> str:
        original = positions.original(int(position[1]), int(position[2]))
        return "{}:{}:{}".format(*original) if original else position[0]

    return re.sub(rf"(?<![\w.@/-]){re.escape(name)}:(\d+):(\d+)", translate, stack)
