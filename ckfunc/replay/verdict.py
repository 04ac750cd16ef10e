"""Verdict on the working copy for a recorded invocation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ckfunc.model.function import Status
from ckfunc.replay.changes import Difference, Pattern, changes, differences
from ckfunc.replay.documents import Document
from ckfunc.replay.noise import Noise


class ReplayVerdict(StrEnum):
    """The result of a comparison."""

    EQUAL = "equal"
    DIFFERENT = "different"
    NOISY = "noisy"
    """Different only where runs of the deployed version differ among themselves."""
    FAILED_BOTH = "failed_both"


@dataclass(frozen=True, slots=True)
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

    def noise(self) -> Noise:
        """Return the noise: places where runs of the deployed version differ among themselves."""
        noise = Noise(same_arguments=True)
        noise.learn(self.deployed)
        return noise


def judge(runs: Runs, learned: Noise) -> tuple[ReplayVerdict, tuple[Difference, ...]]:
    """Return the verdict and the differences that are not noise. `learned` is the noise of all invocations."""
    found = differences(runs.deployed[0], runs.working[0])
    if not found:
        failed = runs.deployed[0]["status"] == Status.FAILED.value
        return (ReplayVerdict.FAILED_BOTH if failed else ReplayVerdict.EQUAL), ()
    own = runs.noise()
    transient = _transient(runs, own, learned)
    real = tuple(
        difference
        for difference in found
        if not own.covers(difference) and not learned.covers(difference) and difference.pattern not in transient
    )
    return (ReplayVerdict.DIFFERENT if real else ReplayVerdict.NOISY), real


def _transient(runs: Runs, own: Noise, learned: Noise) -> set[Pattern]:
    """Return the patterns of differences that disappeared when the working copy ran again.

    They are not caused by the script: the machine was slow, or requests overtook each other.
    """
    first = {difference.pattern for difference in differences(runs.deployed[0], runs.working[0])}
    transient: set[Pattern] = set()
    for again in runs.working[1:]:
        left = [
            difference
            for difference in differences(runs.deployed[0], again)
            if not own.covers(difference) and not learned.covers(difference)
        ]
        transient |= {pattern for pattern in first if not any(_overlap(pattern, other.pattern) for other in left)}
    return transient


def _overlap(pattern: Pattern, other: Pattern) -> bool:
    """Return whether one of the places contains the other."""
    shorter = min(len(pattern), len(other))
    return pattern[:shorter] == other[:shorter]


def samples(runs: Sequence[Runs]) -> Noise:
    """Return the noise learned from the runs of all invocations."""
    noise = Noise(same_arguments=False)
    for run in runs:
        noise.learn(run.deployed)
    return noise
