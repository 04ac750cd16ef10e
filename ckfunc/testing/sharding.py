"""Shards: disjoint parts of the cases, of similar duration, for several machines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeAlias

from ckfunc.testing.case import Case

CaseKey: TypeAlias = tuple[str, str]
"""The file and the name of a case, which identify it on every machine."""

MOST_SHARDS = 1000
_SET_UP_S = 0.1
"""What a case takes besides its functions: its data and its process."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of the cases: the one with this number, from 1, of `total`."""

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    def of(self, cases: Sequence[Case], durations_s: Mapping[CaseKey, float]) -> tuple[Case, ...]:
        """Return the cases of this shard, in order. Every case is in exactly one shard of the same total.

        The result depends on nothing else: the longest case goes first, each to the shard with the least to do. A case
        without a recorded duration counts as the average of the others.
        """
        average = fmean(durations_s.values()) if durations_s else 0.0

        def duration_s(case: Case) -> float:
            return _SET_UP_S + durations_s.get(key_of(case), average)

        loads = [0.0] * self.total
        chosen: set[CaseKey] = set()
        for case in sorted(cases, key=lambda case: (-duration_s(case), key_of(case))):
            least = loads.index(min(loads))
            loads[least] += duration_s(case)
            if least == self.number - 1:
                chosen.add(key_of(case))
        return tuple(case for case in cases if key_of(case) in chosen)


@dataclass(frozen=True, slots=True)
class ShardedCases:
    """A shard, and the number of cases in all shards."""

    shard: Shard
    cases: int


def key_of(case: Case) -> CaseKey:
    """Return what identifies a case on every machine."""
    return case.file, case.name


def read_shard(text: str) -> Shard | None:
    """Return the shard in a text such as 2/5, or None if it is none."""
    match = re.fullmatch(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})", text)
    if match is None or not int(match[1]) <= int(match[2]) <= MOST_SHARDS:
        return None
    return Shard(int(match[1]), int(match[2]))
