"""Pairing of the API calls of two runs."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

Pairs: TypeAlias = list[tuple[int | None, int | None]]

# Numbers, uuids and whatever else has digits in it: ids, and names that hold one.
_ID = re.compile(r"[^/]*\d[^/]*|[0-9a-fA-F]{12,}")


def shape(call: Mapping[str, Any]) -> str:
    """Return what calls of one kind share: the method, the path with `*` for ids, and the names of the query."""
    path = "/".join("*" if _ID.fullmatch(part) else part for part in str(call["path"]).split("/"))
    names = "&".join(sorted({name for name, _ in call["query"]}))
    return f"{call['method']} {path}{f'?{names}' if names else ''}"


def paired(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Pairs:
    """Return which calls stand for each other, as indices; None where there is none, in the order of the first.

    The same calls first, in order and then out of it; then calls of one kind; then those that share as much as the
    method and the length of the path.
    """
    left: dict[int, int] = {}
    old, new = [_text(one) for one in before], [_text(one) for one in after]
    for start, other, size in difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        left.update((start + step, other + step) for step in range(size))
    for same in (_text, shape, _outline):
        _match(before, after, same, left)
    pairs: Pairs = [(index, left.get(index)) for index in range(len(before))]
    taken = set(left.values())
    return pairs + [(None, index) for index in range(len(after)) if index not in taken]


def _match(
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    same: Callable[[Mapping[str, Any]], str],
    found: dict[int, int],
) -> None:
    """Pair those that are left over and of which `same` says the same, in their order."""
    taken = set(found.values())
    waiting: dict[str, list[int]] = {}
    for index in range(len(after) - 1, -1, -1):
        if index not in taken:
            waiting.setdefault(same(after[index]), []).append(index)
    for index, call in enumerate(before):
        if index not in found and (candidates := waiting.get(same(call))):
            found[index] = candidates.pop()


def _outline(call: Mapping[str, Any]) -> str:
    parts = str(call["path"]).split("/")
    return f"{call['method']} {len(parts)} {parts[1] if len(parts) > 1 else ''}"


def _text(call: Mapping[str, Any]) -> str:
    return json.dumps(call, sort_keys=True)
