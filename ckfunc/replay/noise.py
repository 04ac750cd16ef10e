"""Noise: places that differ between runs of the same script.

It also holds the values that are expected at such a place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ckfunc.replay.changes import ANY, Difference, Path, Pattern, changes, differences, kind
from ckfunc.replay.documents import Document
from ckfunc.replay.templates import fits, form, template

_MOST_SAMPLES = 200
_MOST_TEXTS = 8
_CONTAINERS = ("object", "array")
_STATUS: Pattern = ("status",)


@dataclass(slots=True)
class _Seen:
    """What was seen at places of one pattern: the kinds of values, some of them, and those at each exact place."""

    kinds: set[str] = field(default_factory=set)
    samples: list[Any] = field(default_factory=list)
    at: dict[Path, list[Any]] = field(default_factory=dict)


class Noise:
    """Places that differ between runs of the same script on the same arguments.

    A value of a kind that was never seen at such a place (a type, or that nothing is there) is no noise all the same.
    """

    def __init__(self, *, same_arguments: bool) -> None:
        """`same_arguments`: everything that is learned comes from the arguments that it is asked about."""
        self._same_arguments = same_arguments
        self._seen: dict[Pattern, _Seen] = {}

    def learn(self, runs: Iterable[Document]) -> None:
        """Take note of how some runs of one script on the same arguments differ, each from the first."""
        first, *others = runs
        for other in others:
            found = differences(first, other)
            for one in found:
                self._note(one)
            for one in _renamed_keys(found):
                self._note(one)

    def places(self) -> list[Pattern]:
        """Return the patterns of all such places, sorted."""
        return sorted(self._seen)

    def covers(self, change: Difference) -> bool:
        """Tell whether a difference is one that runs of the same script have too."""
        seen = self._seen.get(change.pattern)
        if seen is None and "absent" in (kind(change.before), kind(change.after)):
            seen = self._seen.get((*change.pattern[:-1], ANY))  # a key that is made up anew in each run
        return seen is not None and kind(change.after) in seen.kinds and self._takes(seen, change)

    def _takes(self, seen: _Seen, change: Difference) -> bool:
        value = change.after
        if kind(value) in _CONTAINERS:
            return any(
                all(self.covers(one) for one in changes(sample, value, change.path, change.pattern))
                for sample in seen.samples
                if kind(sample) == kind(value)
            )
        if not isinstance(value, str):
            return True
        if change.pattern == _STATUS:
            return value in seen.samples
        if isinstance(change.before, str) and (made := form(value)) is not None and made == form(change.before):
            return True
        if not self._same_arguments:
            return value in seen.samples
        return _is_made_like(seen.at.get(change.path) or seen.samples[:_MOST_TEXTS], value)

    def _note(self, change: Difference) -> None:
        seen = self._seen.setdefault(change.pattern, _Seen())
        here = seen.at.setdefault(change.path, [])
        for value in (change.before, change.after):
            seen.kinds.add(kind(value))
            for known in (here, seen.samples):
                if len(known) < _MOST_SAMPLES and value not in known:
                    known.append(value)


def _is_made_like(samples: list[Any], value: str) -> bool:
    texts = [one for one in samples if isinstance(one, str)]
    if len(texts) < 2:
        return value in texts
    forms = {form(one) for one in texts}
    if len(forms) == 1 and forms != {None}:
        return form(value) in forms
    return fits(template(texts), value)


def _renamed_keys(found: list[Difference]) -> list[Difference]:
    """Return what stands for keys that are made up anew in each run: some went, as many others came."""
    gone: dict[Pattern, list[Difference]] = {}
    come: dict[Pattern, list[Difference]] = {}
    for one in found:
        if kind(one.before) == "absent":
            come.setdefault(one.pattern[:-1], []).append(one)
        elif kind(one.after) == "absent":
            gone.setdefault(one.pattern[:-1], []).append(one)
    return [
        Difference(one.path, (*parent, ANY), one.before, one.after)
        for parent, some in gone.items()
        if parent and parent != ("calls",) and len(come.get(parent, ())) == len(some)
        for one in (*some, *come[parent])
    ]
