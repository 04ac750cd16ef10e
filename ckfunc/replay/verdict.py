"""Verdict on the working copy for one recorded invocation."""

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
    """The runs on one invocation's arguments, as documents; the first ones of both sides are those that are compared.

    Of the deployed version, the second is the first repeated; any further ones had another time and other chances.
    """

    deployed: tuple[Document, ...]
    working: tuple[Document, ...]

    @property
    def alike(self) -> bool:
        """Whether the first runs of both sides had the same result."""
        return next(changes(self.deployed[0], self.working[0]), None) is None

    def noise(self) -> Noise:
        """Return where runs of the deployed version differ among themselves."""
        noise = Noise(same_arguments=True)
        noise.learn(self.deployed)
        return noise


def judge(runs: Runs, learned: Noise) -> tuple[ReplayVerdict, tuple[Difference, ...]]:
    """Return the verdict and the differences that are no noise; `learned` comes from all invocations."""
    found = differences(runs.deployed[0], runs.working[0])
    if not found:
        failed = runs.deployed[0]["status"] == Status.FAILED.value
        return (ReplayVerdict.FAILED_BOTH if failed else ReplayVerdict.EQUAL), ()
    own = runs.noise()
    passing = _passing(runs, own, learned)
    real = tuple(one for one in found if not own.covers(one) and not learned.covers(one) and one.pattern not in passing)
    return (ReplayVerdict.DIFFERENT if real else ReplayVerdict.NOISY), real


def _passing(runs: Runs, own: Noise, learned: Noise) -> set[Pattern]:
    """Return where the working copy did as the deployed version does when it ran again.

    That leaves nothing to blame on the script: the machine was slow, or requests overtook each other.
    """
    first = {one.pattern for one in differences(runs.deployed[0], runs.working[0])}
    passing: set[Pattern] = set()
    for again in runs.working[1:]:
        left = [one for one in differences(runs.deployed[0], again) if not own.covers(one) and not learned.covers(one)]
        passing |= {one for one in first if not any(_touch(one, other.pattern) for other in left)}
    return passing


def _touch(one: Pattern, other: Pattern) -> bool:
    """Tell whether one place lies within the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def samples(runs: Sequence[Runs]) -> Noise:
    """Return what all runs together teach about noise."""
    noise = Noise(same_arguments=False)
    for one in runs:
        noise.learn(one.deployed)
    return noise
