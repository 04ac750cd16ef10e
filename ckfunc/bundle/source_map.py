"""Source maps: positions and stacks of a bundle in its local files.

Source of the format: https://tc39.es/ecma426/
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ckfunc.model.function import ConsoleLine, Invocation, InvocationDetail

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_DIGITS = {one: value for value, one in enumerate(_LETTERS)}
_MORE, _VALUE = 32, 31


@dataclass(frozen=True, slots=True, order=True)
class _Segment:
    column: int
    source: int
    line: int
    original_column: int


class SourceMap:
    """A source map. Lines and columns count from 1."""

    def __init__(self, text: str) -> None:
        """`text` is JSON. Raises ValueError when it is not a source map."""
        try:
            document = json.loads(text)
            self._sources = [str(one) for one in document["sources"]]
            self._lines = _decoded(document["mappings"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("this is no source map") from error

    def original(self, line: int, column: int) -> tuple[str, int, int] | None:
        """Return path, line and column of the source of a position; None without one."""
        segments = self._lines[line - 1] if 0 < line <= len(self._lines) else []
        index = bisect_right(segments, column - 1, key=lambda one: one.column) - 1
        if not segments:
            return None
        # Indentation before the first segment belongs to it.
        found = segments[max(index, 0)]
        if found.source >= len(self._sources):
            return None
        return self._sources[found.source], found.line + 1, found.original_column + 1


def narrowed(mappings: str, cuts: Mapping[int, Sequence[int]]) -> str:
    """Return mappings after one character was removed at each position of `cuts`: columns by line, both from 0."""
    lines = mappings.split(";")
    for line, columns in cuts.items():
        at = before = 0
        segments = lines[line].split(",") if line < len(lines) and lines[line] else []
        for index, one in enumerate(segments):
            at += _numbers(one)[0]
            now = at - sum(column < at for column in columns)
            first = next(end for end, digit in enumerate(one, 1) if not _DIGITS[digit] & _MORE)
            segments[index] = _encoded(now - before) + one[first:]
            before = now
        if segments:
            lines[line] = ",".join(segments)
    return ";".join(lines)


def _encoded(number: int) -> str:
    """Return a number in base 64, the sign in the lowest bit."""
    value, text = (-number << 1 | 1) if number < 0 else number << 1, ""
    while True:
        value, digit = value >> 5, value & _VALUE
        text += _LETTERS[digit | (_MORE if value else 0)]
        if not value:
            return text


def _decoded(mappings: str) -> list[list[_Segment]]:
    source = line = column = 0
    lines = []
    for told in mappings.split(";"):
        segments = []
        at = 0
        for one in told.split(",") if told else ():
            numbers = _numbers(one)
            at += numbers[0]
            if len(numbers) >= 4:
                source, line, column = source + numbers[1], line + numbers[2], column + numbers[3]
                segments.append(_Segment(at, source, line, column))
        lines.append(segments)
    return lines


def _numbers(text: str) -> list[int]:
    """Return the numbers of a segment, written in base 64 with the sign in the lowest bit."""
    numbers: list[int] = []
    value = shift = 0
    for one in text:
        digit = _DIGITS[one]
        value += (digit & _VALUE) << shift
        shift += 5
        if not digit & _MORE:
            numbers.append(-(value >> 1) if value & 1 else value >> 1)
            value = shift = 0
    if not numbers:
        raise ValueError("this is no source map")
    return numbers


@dataclass(frozen=True, slots=True)
class StackMapper:
    """Shows the places of one script in a run as places in local files (see `in_files`)."""

    name: str
    path: str
    source_map: str | None

    def text(self, text: str) -> str:
        """Return a text with its places mapped."""
        return in_files(text, self.name, self.path, self.source_map)

    def line(self, line: ConsoleLine) -> ConsoleLine:
        """Return a line of output with its places mapped."""
        return replace(line, text=self.text(line.text))

    def invocation(self, row: Invocation) -> Invocation:
        """Return an invocation with the places in its error mapped."""
        error = row.result.get("error")
        if not isinstance(error, Mapping):
            return row
        mapped = {name: self.text(one) if isinstance(one, str) else one for name, one in error.items()}
        return replace(row, result={**row.result, "error": mapped})

    def detail(self, detail: InvocationDetail) -> InvocationDetail:
        """Return the details of a run with the places in its output mapped."""
        return replace(detail, console=tuple(map(self.line, detail.console)))


def in_files(text: str, name: str, path: str, source_map: str | None) -> str:
    """Return `text` with the script `name` replaced by `path`, and positions in a bundle by those in local files.

    Without a `source_map`, the script is not bundled. A position without a source stays.
    """
    if name not in text:
        return text
    if source_map is not None:
        text = map_stack(text, name, source_map)
    place_of_bundle = r"(?!:\d)" if source_map is not None else ""
    return re.sub(rf"(?<![\w.@/-]){re.escape(name)}(?![\w.@-]){place_of_bundle}", lambda _: path, text)


def map_stack(stack: str, name: str, source_map: str) -> str:
    """Return a text with a stack, in which positions in the script `name` are replaced by those in local files.

    `name` is the script's name in frames (`TYPE@3.ts:10:5`); `source_map` is JSON, its sources are paths. A position
    without a source stays, and so does everything when the map cannot be read.
    """
    if f"{name}:" not in stack:
        return stack
    try:
        known = SourceMap(source_map)
    except ValueError:
        return stack

    def place(found: re.Match[str]) -> str:
        original = known.original(int(found[1]), int(found[2]))
        return "{}:{}:{}".format(*original) if original else found[0]

    return re.sub(rf"(?<![\w.@/-]){re.escape(name)}:(\d+):(\d+)", place, stack)
