"""Noise: places that differ between runs of the same script, and the values seen there."""

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
class _PatternValues:
    """Values at places of a pattern: their types, samples of them, and samples at each exact place."""

    kinds: set[str] = field(default_factory=set)
    samples: list[Any] = field(default_factory=list)
    at: dict[Path, list[Any]] = field(default_factory=dict)


class Noise:
    """Places that differ between runs of the same script with the same arguments.

    A value of a type that was never seen at such a place, including "absent", is not noise.
    """

    def __init__(self, *, same_arguments: bool) -> None:
        """`same_arguments` says that noise is learned from, and applied to, runs with the same arguments."""
        self._same_arguments = same_arguments
        self._values: dict[Pattern, _PatternValues] = {}

    def learn(self, runs: Iterable[Document]) -> None:
        """Learn from runs of a script with the same arguments how they differ from the first run."""
        first, *others = runs
        for other in others:
            found = differences(first, other)
            for difference in found:
                self._add(difference)
            for difference in _renamed_keys(found):
                self._add(difference)

    def places(self) -> list[Pattern]:
        """Return the patterns of all places with noise, sorted."""
        return sorted(self._values)

    def covers(self, change: Difference) -> bool:
        """Return whether a difference also occurs between runs of the same script."""
        values = self._values.get(change.pattern)
        if values is None and "absent" in (kind(change.before), kind(change.after)):
            values = self._values.get((*change.pattern[:-1], ANY))  # a key that is generated in each run
        return values is not None and kind(change.after) in values.kinds and self._accepts(values, change)

    def _accepts(self, values: _PatternValues, change: Difference) -> bool:
        value = change.after
        if kind(value) in _CONTAINERS:
            return any(
                all(self.covers(difference) for difference in changes(sample, value, change.path, change.pattern))
                for sample in values.samples
                if kind(sample) == kind(value)
            )
        if not isinstance(value, str):
            return True
        if change.pattern == _STATUS:
            return value in values.samples
        if (
            isinstance(change.before, str)
            and (known_form := form(value)) is not None
            and known_form == form(change.before)
        ):
            return True
        if not self._same_arguments:
            return value in values.samples
        return _resembles(values.at.get(change.path) or values.samples[:_MOST_TEXTS], value)

    def _add(self, change: Difference) -> None:
        values = self._values.setdefault(change.pattern, _PatternValues())
        here = values.at.setdefault(change.path, [])
        for value in (change.before, change.after):
            values.kinds.add(kind(value))
            for known in (here, values.samples):
                if len(known) < _MOST_SAMPLES and value not in known:
                    known.append(value)


def _resembles(samples: list[Any], value: str) -> bool:
    texts = [sample for sample in samples if isinstance(sample, str)]
    if len(texts) < 2:
        return value in texts
    forms = {form(text) for text in texts}
    if len(forms) == 1 and forms != {None}:
        return form(value) in forms
    return fits(template(texts), value)


def _renamed_keys(found: list[Difference]) -> list[Difference]:
    """Return differences for keys that are generated in each run: as many keys were added as removed."""
    removed: dict[Pattern, list[Difference]] = {}
    added: dict[Pattern, list[Difference]] = {}
    for difference in found:
        if kind(difference.before) == "absent":
            added.setdefault(difference.pattern[:-1], []).append(difference)
        elif kind(difference.after) == "absent":
            removed.setdefault(difference.pattern[:-1], []).append(difference)
    return [
        Difference(difference.path, (*parent, ANY), difference.before, difference.after)
        for parent, some in removed.items()
        if parent and parent != ("calls",) and len(added.get(parent, ())) == len(some)
        for difference in (*some, *added[parent])
    ]
