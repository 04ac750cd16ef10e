"""Stacks of deployed scripts in terms of the local files that the scripts were made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ckfunc.bundle.source_map import SourceMap
from ckfunc.model.function import ConsoleLine, Invocation, InvocationDetail


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
    """Return `text` with the script `name` called `path`, and the places in a bundle as places in local files.

    Without a `source_map`, the script is its file as it is written. A place of a bundle that came from no file stays.
    """
    if name not in text:
        return text
    if source_map is not None:
        text = map_stack(text, name, source_map)
    place_of_bundle = r"(?!:\d)" if source_map is not None else ""
    return re.sub(rf"(?<![\w.@/-]){re.escape(name)}(?![\w.@-]){place_of_bundle}", lambda _: path, text)


def map_stack(stack: str, name: str, source_map: str) -> str:
    """Return `stack`, or any text that holds one, with the places in the script `name` as places in local files.

    `name` is what the script is called in frames (`TYPE@3.ts:10:5`); `source_map` is JSON, its sources are paths. A
    place that came from no file stays as it is, and so does everything when the map cannot be read.
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
