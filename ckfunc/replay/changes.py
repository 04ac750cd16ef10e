"""Differences between two documents, each with a pattern for similar places."""

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
"""Stands in a pattern for any key that looks generated."""
INDEX = "[*]"
"""Stands in a pattern for any index of an array."""
ORDER = "order"
"""The last part of the path of a change that is only another order of the same calls."""

MOST = 2_000
"""How many differences of two documents are looked at."""
_MOST_ALIGNED = 1_000
_GENERATED = re.compile(r"\d+|[0-9a-fA-F]{12,}|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


class Absent(Enum):
    """What stands on the side that has nothing."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where `after` is not `before`. Its `path` is exact; its `pattern` is that of all places like it."""

    path: Path
    pattern: Pattern
    before: Any
    after: Any


def differences(before: Any, after: Any) -> list[Difference]:
    """Return where two documents differ, the first MOST places at most."""
    return list(islice(changes(before, after), MOST))


def changes(before: Any, after: Any, path: Path = (), pattern: Pattern = ()) -> Iterator[Difference]:
    """Yield every place where two JSON values differ, in the order of the first."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in [*before, *(one for one in after if one not in before)]:
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
    """Yield the indices of items that stand for each other; None where there is none. Long arrays go by position."""
    both, longest = min(len(before), len(after)), max(len(before), len(after))
    if len(before) == len(after) or longest > _MOST_ALIGNED:
        yield from ((index, index) for index in range(both))
        yield from ((index, None) if index < len(before) else (None, index) for index in range(both, longest))
        return
    old, new = [_text(one) for one in before], [_text(one) for one in after]
    for _, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        for step in range(max(i2 - i1, j2 - j1)):
            yield (i1 + step if i1 + step < i2 else None), (j1 + step if j1 + step < j2 else None)


def kind(value: Any) -> str:
    """Return what kind of value it is; that it is there at all is part of that."""
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
    """Return a key, or ANY for one that looks like an id."""
    return ANY if _GENERATED.fullmatch(name) else name


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
