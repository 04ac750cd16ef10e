"""Pairing of the API calls of two runs."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

Pairs: TypeAlias = list[tuple[int | None, int | None]]

# Path segments with digits (numbers, UUIDs, names with an id), and long hexadecimal ones.
_ID = re.compile(r"[^/]*\d[^/]*|[0-9a-fA-F]{12,}")


def shape(call: Mapping[str, Any]) -> str:
    """Return the kind of a call: method, path with `*` for ids, and names of query parameters."""
    path = "/".join("*" if _ID.fullmatch(part) else part for part in str(call["path"]).split("/"))
    names = "&".join(sorted({name for name, _ in call["query"]}))
    return f"{call['method']} {path}{f'?{names}' if names else ''}"


def paired(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Pairs:
    """Return pairs of indices of corresponding calls, in the order of `before`; None if there is no counterpart.

    Equal calls are paired first, in order and then out of order, then calls of the same kind, then calls with the same
    method and length of the path.
    """
    pairs_found: dict[int, int] = {}
    old, new = [_text(call) for call in before], [_text(call) for call in after]
    for start, other, size in difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        pairs_found.update((start + step, other + step) for step in range(size))
    for key in (_text, shape, _outline):
        _match(before, after, key, pairs_found)
    pairs: Pairs = [(index, pairs_found.get(index)) for index in range(len(before))]
    taken = set(pairs_found.values())
    return pairs + [(None, index) for index in range(len(after)) if index not in taken]


def _match(
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    key: Callable[[Mapping[str, Any]], str],
    found: dict[int, int],
) -> None:
    """Pair remaining calls with equal keys, in order. `key` returns the key of a call."""
    taken = set(found.values())
    waiting: dict[str, list[int]] = {}
    for index in range(len(after) - 1, -1, -1):
        if index not in taken:
            waiting.setdefault(key(after[index]), []).append(index)
    for index, call in enumerate(before):
        if index not in found and (candidates := waiting.get(key(call))):
            found[index] = candidates.pop()


def _outline(call: Mapping[str, Any]) -> str:
    parts = str(call["path"]).split("/")
    return f"{call['method']} {len(parts)} {parts[1] if len(parts) > 1 else ''}"


def _text(call: Mapping[str, Any]) -> str:
    return json.dumps(call, sort_keys=True)
