"""Three-way merges: the last shared state, and texts by line.

The shared state is one file for each target, `.ckfunc/base/<target>.json`: scripts, dependencies, settings and the
names of variables, but never their values. A file that is unreadable or belongs to another application is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, field, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from ckfunc.base.frozen import frozen
from ckfunc.deploy.cache import read_target_record, store_target_record


@frozen
class Base:
    """The last shared state. None means unknown; "" is an init script that is known to be absent.

    Texts have plain newlines.
    """

    scripts: Mapping[str, str] = field(default_factory=dict)
    initialization_script: str | None = None
    dependencies: Mapping[str, str] | None = None
    variables: tuple[str, ...] | None = None
    settings: Mapping[str, bool] | None = None

    def updated(self, newer: Base) -> Base:
        """Return this base, updated with the known parts of `newer`."""
        stored = {name: value for name, value in asdict(newer).items() if value is not None and name != "scripts"}
        return replace(self, **stored, scripts={**self.scripts, **newer.scripts})


def read_base(root: Path, target: str, identity: str | None) -> Base:
    """Return the base of a target, or an empty Base if there is none."""
    return read_target_record(_path(root, target), identity, _base) or Base()


def store_base(root: Path, target: str, identity: str | None, base: Base) -> None:
    """Store the state that a target's application and the project now share. Write failures are ignored."""
    stored = read_base(root, target, identity)
    updated = stored.updated(base)
    if updated != stored:
        store_target_record(_path(root, target), identity, asdict(updated))


def _base(document: Any) -> Base:
    variables, settings = document["variables"], document.get("settings")
    return Base(
        scripts=_texts(document["scripts"]),
        initialization_script=_text(document["initialization_script"]),
        dependencies=None if document["dependencies"] is None else _texts(document["dependencies"]),
        variables=None if variables is None else tuple(map(str, variables)),
        settings=None if settings is None else {str(name): enabled is True for name, enabled in settings.items()},
    )


def _path(root: Path, target: str) -> Path:
    return root / ".ckfunc" / "base" / f"{target}.json"


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def _texts(values: Any) -> dict[str, str]:
    if not all(isinstance(text, str) for pair in values.items() for text in pair):
        raise TypeError
    return dict(values)


@frozen
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


@frozen
class _Conflict:
    ours: Sequence[str]
    theirs: Sequence[str]


@frozen
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
