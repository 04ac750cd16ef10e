"""Differences between two documents, each with a pattern of similar places."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Any, TypeAlias

from ckfunc.replay.calls import paired, shape

Path: TypeAlias = tuple[str | int, ...]
Pattern: TypeAlias = tuple[str, ...]

ANY = "*"
"""Matches any key that looks generated, in a pattern."""
INDEX = "[*]"
"""Matches any index of an array, in a pattern."""
ORDER = "order"
"""The last part of the path of a change that only concerns the order of calls."""

MOST = 2_000
"""How many differences between two documents are compared, at most."""
_MOST_ALIGNED = 1_000
_GENERATED = re.compile(r"\d+|[0-9a-fA-F]{12,}|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


class Absent(Enum):
    """The value of a side that has no value."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where `before` and `after` differ. `path` is exact, `pattern` matches all similar places."""

    path: Path
    pattern: Pattern
    before: Any
    after: Any


def differences(before: Any, after: Any) -> list[Difference]:
    """Return the differences between two documents, at most the first MOST."""
    return list(islice(changes(before, after), MOST))


def changes(before: Any, after: Any, path: Path = (), pattern: Pattern = ()) -> Iterator[Difference]:
    """Yield all differences between two JSON values, in the order of `before`."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in [*before, *(name_ for name_ in after if name_ not in before)]:
            inside = ((*path, name), (*pattern, generic(name)))
            yield from _changes_at(before.get(name, ABSENT), after.get(name, ABSENT), *inside)
    elif isinstance(before, list) and isinstance(after, list):
        for old, new in aligned(before, after):
            index = old if old is not None else new
            assert index is not None  # noqa: S101 - a pair has at least one side
            value_before = ABSENT if old is None else before[old]
            value_after = ABSENT if new is None else after[new]
            yield from _changes_at(value_before, value_after, (*path, index), (*pattern, INDEX))
    elif kind(before) != kind(after) or before != after:
        yield Difference(path, pattern, before, after)


def _changes_at(before: Any, after: Any, path: Path, pattern: Pattern) -> Iterator[Difference]:
    if path == ("calls",) and isinstance(before, list) and isinstance(after, list):
        yield from _call_changes(before, after)
    else:
        yield from changes(before, after, path, pattern)


def _call_changes(before: Sequence[Any], after: Sequence[Any]) -> Iterator[Difference]:
    if before == after:
        return
    pairs = paired(before, after)
    last = -1
    for old, new in pairs:
        index = old if old is not None else new
        assert index is not None  # noqa: S101 - a pair has at least one side
        value_before = ABSENT if old is None else before[old]
        value_after = ABSENT if new is None else after[new]
        where = shape(before[old] if old is not None else after[index])
        yield from changes(value_before, value_after, ("calls", index), ("calls", where))
        if old is not None and new is not None:
            if new < last:
                yield Difference(("calls", ORDER), ("calls", ORDER), old, new)
            last = max(last, new)


def aligned(before: Sequence[Any], after: Sequence[Any]) -> Iterator[tuple[int | None, int | None]]:
    """Yield pairs of indices of corresponding items; None if there is no counterpart. Long arrays go by position."""
    both, longest = min(len(before), len(after)), max(len(before), len(after))
    if len(before) == len(after) or longest > _MOST_ALIGNED:
        yield from ((index, index) for index in range(both))
        yield from ((index, None) if index < len(before) else (None, index) for index in range(both, longest))
        return
    old, new = [_text(item) for item in before], [_text(item) for item in after]
    for _, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        for step in range(max(i2 - i1, j2 - j1)):
            yield (i1 + step if i1 + step < i2 else None), (j1 + step if j1 + step < j2 else None)


def kind(value: Any) -> str:
    """Return the JSON type of a value, or "absent"."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, Absent):
        return "absent"
    return "object" if isinstance(value, Mapping) else "array"


def generic(name: str) -> str:
    """Return a key, or ANY if it looks like an id."""
    return ANY if _GENERATED.fullmatch(name) else name


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
