"""Verdict on the working copy: differences from the deployed version, without noise."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeAlias

from ckfunc.base.frozen import frozen
from ckfunc.model.application import Status
from ckfunc.replay.differences import ANY, Difference, Document, Path, Pattern, changes, differences, kind

_MOST_SAMPLES = 200
_MOST_TEXTS = 8
_CONTAINERS = ("object", "array")
_STATUS: Pattern = ("status",)
_TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
_UUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_TOKENS = re.compile(rf"{_TIME}|{_UUID}|[^\W_]+|.", re.DOTALL)
_FORMS = {"time": re.compile(_TIME), "uuid": re.compile(_UUID)}
MOST_CHARACTERS = 5_000
"""Longer texts are not analyzed: everything in them may differ."""
Template: TypeAlias = tuple[tuple[str, ...], ...]
"""Sequences of tokens that all texts share, in this order, separated by possibly empty gaps that differ."""


class ReplayVerdict(StrEnum):
    """The result of a comparison."""

    EQUAL = "equal"
    DIFFERENT = "different"
    NOISY = "noisy"
    """Different only where runs of the deployed version differ among themselves."""
    FAILED_BOTH = "failed_both"


@frozen
class Runs:
    """Runs with the arguments of an invocation, as documents. The first runs of both sides are compared.

    The second run of the deployed version repeats the first; further ones had other clocks and random numbers.
    """

    deployed: tuple[Document, ...]
    working: tuple[Document, ...]

    @property
    def alike(self) -> bool:
        """Whether the first runs of both sides had the same result."""
        return next(changes(self.deployed[0], self.working[0]), None) is None


def judge(runs: Runs, learned: Noise) -> tuple[ReplayVerdict, tuple[Difference, ...]]:
    """Return the verdict and the differences that are not noise. `learned` is the noise of all invocations."""
    differing = differences(runs.deployed[0], runs.working[0])
    if not differing:
        failed = runs.deployed[0]["status"] == Status.FAILED.value
        return (ReplayVerdict.FAILED_BOTH if failed else ReplayVerdict.EQUAL), ()
    noises = (noise_of([runs], same_arguments=True), learned)
    transient = _transient(runs, differing, noises)
    real = tuple(difference for difference in _without(noises, differing) if difference.pattern not in transient)
    return (ReplayVerdict.DIFFERENT if real else ReplayVerdict.NOISY), real


def _without(noises: Sequence[Noise], differing: Iterable[Difference]) -> list[Difference]:
    """Return the differences that are not noise."""
    return [difference for difference in differing if not any(noise.covers(difference) for noise in noises)]


def _transient(runs: Runs, differing: Iterable[Difference], noises: Sequence[Noise]) -> set[Pattern]:
    """Return the patterns of differences that disappeared when the working copy ran again.

    They are not caused by the script: the machine was slow, or requests overtook each other.
    """
    first = {difference.pattern for difference in differing}
    transient: set[Pattern] = set()
    for again in runs.working[1:]:
        remaining = _without(noises, differences(runs.deployed[0], again))
        transient |= {pattern for pattern in first if not any(_overlap(pattern, other.pattern) for other in remaining)}
    return transient


def _overlap(pattern: Pattern, other: Pattern) -> bool:
    """Return whether one of the places contains the other."""
    shorter = min(len(pattern), len(other))
    return pattern[:shorter] == other[:shorter]


def noise_of(runs: Iterable[Runs], *, same_arguments: bool) -> Noise:
    """Return the noise: places where runs of the deployed version differ among themselves (see Noise)."""
    noise = Noise(same_arguments=same_arguments)
    for run in runs:
        noise.learn(run.deployed)
    return noise


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
        first, *repeats = runs
        for other in repeats:
            differing = differences(first, other)
            for difference in (*differing, *_renamed_keys(differing)):
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


def _renamed_keys(differing: list[Difference]) -> list[Difference]:
    """Return differences for keys that are generated in each run: as many keys were added as removed."""
    removed: dict[Pattern, list[Difference]] = {}
    added: dict[Pattern, list[Difference]] = {}
    for difference in differing:
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


def template(texts: Sequence[str]) -> Template | None:
    """Return the common tokens of the texts, or None if they are too long.

    The first sequence is the common beginning, the last one the common end; both may be empty.
    """
    if any(len(text) > MOST_CHARACTERS for text in texts):
        return None
    parts: list[str | None] = list(_tokens(texts[0]))  # None is a gap
    for text in texts[1:]:
        tokens = _tokens(text)
        merged: list[str | None] = []
        for tag, i1, i2, _, _ in difflib.SequenceMatcher(None, parts, tokens, autojunk=False).get_opcodes():
            if tag == "equal":
                merged += parts[i1:i2]
            elif not merged or merged[-1] is not None:
                merged.append(None)
        parts = merged
    gaps = [-1, *(index for index, part in enumerate(parts) if part is None), len(parts)]
    return tuple(tuple(filter(None, parts[start + 1 : end])) for start, end in pairwise(gaps))


def fits(pattern: Template | None, text: str) -> bool:
    """Return whether a text matches a template."""
    if pattern is None or len(text) > MOST_CHARACTERS:
        return True
    tokens = tuple(_tokens(text))
    first, *middle = pattern
    if not middle:
        return tokens == first
    last = middle.pop()
    if len(tokens) < len(first) + len(last) or tokens[: len(first)] != first:
        return False
    end = len(tokens) - len(last)
    if tokens[end:] != last:
        return False
    at = len(first)
    for run in middle:
        while at + len(run) <= end and tokens[at : at + len(run)] != run:
            at += 1
        if at + len(run) > end:
            return False
        at += len(run)
    return True


def form(text: str) -> str | None:
    """Return "time" or "uuid" if the whole text is one, or else None."""
    return next((name for name, pattern in _FORMS.items() if pattern.fullmatch(text)), None)


def _tokens(text: str) -> list[str]:
    return _TOKENS.findall(text)
