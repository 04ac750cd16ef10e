"""Three-way merge of texts by line, with conflict markers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher


@dataclass(frozen=True, slots=True)
class Merged:
    """A merged text, and the number of marked conflicts in it."""

    text: str
    conflicts: int = 0


def merge(base: str | None, local: str, remote: str, *, local_name: str, remote_name: str) -> Merged:
    """Return `local` with the changes between `base` and `remote`. All three have plain newlines.

    Where both sides changed the same lines, the result has both between conflict markers like those of git. Without a
    base, every difference is a conflict, because there is no telling which side changed.
    """
    if remote in (local, base):
        return Merged(local)
    if local == base:
        return Merged(remote)
    ours, theirs = local.split("\n"), remote.split("\n")
    chunks = _two_way(ours, theirs) if base is None else _three_way(base.split("\n"), ours, theirs)
    lines: list[str] = []
    conflicts = 0
    for chunk in chunks:
        if isinstance(chunk, _Conflict):
            conflicts += 1
            lines += _marked(chunk, local_name, remote_name)
        else:
            lines += chunk
    return Merged("\n".join(lines), conflicts)


@dataclass(frozen=True, slots=True)
class _Conflict:
    ours: Sequence[str]
    theirs: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Same:
    """Lines that all three texts share: their position in each text, and their number."""

    base: int
    ours: int
    theirs: int
    size: int


def _two_way(ours: Sequence[str], theirs: Sequence[str]) -> Iterator[Sequence[str] | _Conflict]:
    for tag, a, a_end, b, b_end in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        yield ours[a:a_end] if tag == "equal" else _Conflict(ours[a:a_end], theirs[b:b_end])


def _three_way(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> Iterator[Sequence[str] | _Conflict]:
    """Yield the merged text in chunks, as diff3 does: lines that all texts share divide the texts into chunks."""
    at_base = at_ours = at_theirs = 0
    for same in _shared(base, ours, theirs):
        old = base[at_base : same.base]
        yield from _chunk(old, ours[at_ours : same.ours], theirs[at_theirs : same.theirs])
        yield base[same.base : same.base + same.size]
        at_base, at_ours, at_theirs = same.base + same.size, same.ours + same.size, same.theirs + same.size


def _chunk(old: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> Iterator[Sequence[str] | _Conflict]:
    if theirs in (ours, old):
        yield ours
    elif ours == old:
        yield theirs
    else:
        # Lines that both sides begin or end with are not part of the conflict.
        head = 0
        while head < min(len(ours), len(theirs)) and ours[head] == theirs[head]:
            head += 1
        tail = 0
        while tail < min(len(ours), len(theirs)) - head and ours[-1 - tail] == theirs[-1 - tail]:
            tail += 1
        yield ours[:head]
        yield _Conflict(ours[head : len(ours) - tail], theirs[head : len(theirs) - tail])
        yield ours[len(ours) - tail :]


def _shared(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> Iterator[_Same]:
    """Yield the blocks of lines that all three texts share, in order, and finally an empty block at the end."""
    left = SequenceMatcher(None, base, ours, autojunk=False).get_matching_blocks()
    right = SequenceMatcher(None, base, theirs, autojunk=False).get_matching_blocks()
    left_index = right_index = 0
    while left_index < len(left) and right_index < len(right):
        a, b = left[left_index], right[right_index]
        start, end = max(a.a, b.a), min(a.a + a.size, b.a + b.size)
        if start < end:
            yield _Same(start, a.b + start - a.a, b.b + start - b.a, end - start)
        if a.a + a.size < b.a + b.size:
            left_index += 1
        else:
            right_index += 1
    yield _Same(len(base), len(ours), len(theirs), 0)


def _marked(conflict: _Conflict, local_name: str, remote_name: str) -> list[str]:
    return [f"<<<<<<< {local_name}", *conflict.ours, "=======", *conflict.theirs, f">>>>>>> {remote_name}"]
