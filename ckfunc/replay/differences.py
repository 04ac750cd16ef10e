"""Runs as JSON documents, and their differences, with patterns of similar places."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from enum import Enum
from itertools import islice
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from ckfunc.base.frozen import frozen
from ckfunc.model.application import ApiCall, Status

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
Document: TypeAlias = Mapping[str, Any]
"""`status`, then `result` or `error` (its name and message), and `calls`."""
PLATFORM_URL = "https://api.chatkitty.com"
_LOCATIONS = (
    # The location of a script, as stacks contain it: file names differ between versions, and lines may move.
    (re.compile(r"handlers[\\/]+([a-z_.-]+?)(?:-\d+)?-[0-9a-f]{20}\.[cm]js(?:\?\d+)?(?::\d+)*"), r"handlers/\1"),
    (re.compile(r"runtimes[\\/]+[0-9a-f]{32}\b"), "runtimes/0"),
    # The temporary directory of a process.
    (re.compile(r"([\\/])ckfunc-[a-z0-9_]{8}\b"), r"\1ckfunc"),
)
Pairs: TypeAlias = list[tuple[int | None, int | None]]
# Path segments with digits (numbers, UUIDs, names with an id), and long hexadecimal ones.
_ID = re.compile(r"[^/]*\d[^/]*|[0-9a-fA-F]{12,}")


@frozen
class Observed:
    """A finished run. `result` is `{"payload": …}` or `{"error": …}`, as on the platform.

    `url` is the address of its API, which differs between sandboxes and is not compared. `blocked` are the servers that
    it was not allowed to reach.
    """

    status: Status
    result: Mapping[str, Any]
    calls: tuple[ApiCall, ...] = ()
    calls_omitted: int = 0
    url: str = field(default="", compare=False)
    blocked: tuple[str, ...] = ()


def document_of(run: Observed) -> dict[str, Any]:
    """Return the comparable parts of a run, without stacks, because any added line changes them."""
    document: dict[str, Any] = {"status": run.status.value, **outcome_of(run.status, run.result)}
    document["calls"] = [_call(call) for call in run.calls]
    if run.calls_omitted:
        document["callsOmitted"] = run.calls_omitted
    return _normalized(document, run.url)


def outcome_of(status: Status, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return `result`, or `error` with its name and message."""
    if status is not Status.FAILED:
        return {"result": result.get("payload")}
    error = result.get("error")
    fields = error if isinstance(error, Mapping) else {}
    return {"error": {name: fields[name] for name in ("name", "message") if name in fields}}


def _call(call: ApiCall) -> dict[str, Any]:
    path, _, query = call.path.partition("?")
    return {
        "method": call.method,
        "path": path,
        "query": [list(pair) for pair in parse_qsl(query, keep_blank_values=True)],
        "body": call.body,
    }


def _normalized(document: dict[str, Any], url: str) -> dict[str, Any]:
    """Return the document with the address of the platform instead of the sandbox's, and with uniform file names."""
    text = json.dumps(document)
    normalized = text.replace(url, PLATFORM_URL) if url else text
    for form, plain in _LOCATIONS:
        normalized = form.sub(plain, normalized)
    if normalized == text:
        return document
    result: dict[str, Any] = json.loads(normalized)
    return result


class Absent(Enum):
    """The value of a side that has no value."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


@frozen
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
        for index, old, new in _items(before, after, aligned(before, after)):
            yield from _changes_at(old, new, (*path, index), (*pattern, INDEX))
    elif kind(before) != kind(after) or before != after:
        yield Difference(path, pattern, before, after)


def _items(
    before: Sequence[Any], after: Sequence[Any], pairs: Iterable[tuple[int | None, int | None]]
) -> Iterator[tuple[int, Any, Any]]:
    """Yield the items of each pair of indices, or ABSENT, after the index in `before`, or else in `after`."""
    for old, new in pairs:
        index = old if old is not None else new
        assert index is not None  # noqa: S101 - a pair has at least one side
        yield index, ABSENT if old is None else before[old], ABSENT if new is None else after[new]


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
    for (old, new), (index, call_before, call_after) in zip(pairs, _items(before, after, pairs), strict=True):
        call_shape = shape(call_after if call_before is ABSENT else call_before)
        yield from changes(call_before, call_after, ("calls", index), ("calls", call_shape))
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
    matches: dict[int, int],
) -> None:
    """Pair remaining calls with equal keys, in order. `key` returns the key of a call."""
    taken = set(matches.values())
    waiting: dict[str, list[int]] = {}
    for index in range(len(after) - 1, -1, -1):
        if index not in taken:
            waiting.setdefault(key(after[index]), []).append(index)
    for index, call in enumerate(before):
        if index not in matches and (candidates := waiting.get(key(call))):
            matches[index] = candidates.pop()


def _outline(call: Mapping[str, Any]) -> str:
    parts = str(call["path"]).split("/")
    return f"{call['method']} {len(parts)} {parts[1] if len(parts) > 1 else ''}"
