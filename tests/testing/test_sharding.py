"""Shards: complete, balanced, and the same on every machine."""

from __future__ import annotations

import random

import pytest
from testing.files import case

from ckfunc.base.errors import UsageProblem
from ckfunc.testing.case import Case, CaseKey, Shard, read_shard

CASES = tuple(case(file=f"tests/{index % 7}.yaml", name=f"case {index}") for index in range(100))
DURATIONS: dict[CaseKey, float] = {
    (case.file, case.name): (10.0 if index == 50 else index / 50) for index, case in enumerate(CASES) if index % 10
}


def names(cases: tuple[Case, ...]) -> list[str]:
    return [case.name for case in cases]


@pytest.mark.parametrize("total", [1, 2, 3, 7, 100, 250])
@pytest.mark.parametrize("durations", [{}, DURATIONS], ids=["by count", "by duration"])
def test_every_case_is_in_exactly_one_shard_in_order(total: int, durations: dict[CaseKey, float]) -> None:
    shards = [Shard(number, total).of(CASES, durations) for number in range(1, total + 1)]
    assert sorted(name for shard in shards for name in names(shard)) == sorted(names(CASES))
    for shard in shards:
        assert shard == tuple(case for case in CASES if case in shard)


def test_shards_do_not_depend_on_the_order_of_files() -> None:
    shuffled = list(CASES)
    random.Random(1).shuffle(shuffled)
    for number in (1, 2, 3):
        expected = set(names(Shard(number, 3).of(CASES, DURATIONS)))
        assert set(names(Shard(number, 3).of(shuffled, dict(reversed(DURATIONS.items()))))) == expected


def test_without_durations_shards_have_the_same_number_of_cases() -> None:
    assert [len(Shard(number, 3).of(CASES, {})) for number in (1, 2, 3)] == [34, 33, 33]


def test_with_durations_shards_take_the_same_time() -> None:
    loads = [
        sum(DURATIONS.get((case.file, case.name), 1.0) for case in Shard(number, 4).of(CASES, DURATIONS))
        for number in range(1, 5)
    ]
    assert max(loads) - min(loads) < 2
    long = Shard(1, 4).of(CASES[:10], {(CASES[9].file, CASES[9].name): 60.0, (CASES[1].file, CASES[1].name): 0.01})
    assert len(long) < 10


@pytest.mark.parametrize("text", ["0/2", "3/2", "1/0", "1", "1/2/3", "a/b", "-1/2", "1/1001", " 1/2", "٣/٤", "01/2"])
def test_an_invalid_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="is not a part such as 2/4"):
        read_shard(text)
    assert read_shard("2/2") == Shard(2, 2)
