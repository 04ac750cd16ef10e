"""The arithmetic of watched deploys, on runs without a platform."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from ckfunc.deploy.observation import FunctionVerdict, VersionRuns
from ckfunc.model.application import Invocation, Status
from ckfunc.model.project import WatchPolicy, duration_text, percent

TYPE = "user.sent.message"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def row(version: int, *, failed: bool = False, running: bool = False) -> Invocation:
    status = Status.RUNNING if running else Status.FAILED if failed else Status.SUCCEEDED
    return Invocation(1, version, status, {}, {}, MOMENT)


def judged(
    earlier: Iterable[bool], runs: Iterable[bool], max_failures: str = "2%", min_runs: int = 20, version: int = 7
) -> VersionRuns:
    """Return the counts after earlier runs (true: failed) and then runs of the new version."""
    found = VersionRuns(TYPE, 6, version, WatchPolicy().with_texts("1m", max_failures, min_runs))
    for failed in earlier:
        found.add(row(version - 1, failed=failed))
    for failed in runs:
        found.add(row(version, failed=failed))
    return found


@pytest.mark.parametrize(
    ("earlier_failed", "earlier", "runs", "failed", "max_failures", "allowed", "breached"),
    [
        (0, 0, 20, 1, "2%", 1, False),  # 20 * 2 % = 0.4, rounded up
        (0, 0, 20, 2, "2%", 1, True),
        (0, 100, 50, 1, "2%", 1, False),  # exactly 1
        (0, 100, 51, 2, "2%", 2, False),  # 1.02
        (0, 0, 20, 1, "0%", 0, True),
        (5, 100, 100, 7, "2%", 7, False),  # 100 * (2 % + 5 %)
        (5, 100, 100, 8, "2%", 7, True),
        (1, 3, 30, 11, "1%", 11, False),  # 30 * (1 % + 1/3) = 10.3
        (1, 3, 29, 11, "1%", 10, True),  # 29 * (1 % + 1/3) = 9.96
        (100, 100, 20, 20, "2%", 21, False),  # it always failed before
        (0, 0, 19, 19, "2%", 1, False),  # too few
    ],
)
def test_failures_are_compared_with_the_allowed_number(
    earlier_failed: int, earlier: int, runs: int, failed: int, max_failures: str, allowed: int, breached: bool
) -> None:
    # The failures come last, so that no shorter sequence of runs breaches the limit.
    before = [True] * earlier_failed + [False] * (earlier - earlier_failed)
    found = judged(before, [False] * (runs - failed) + [True] * failed, max_failures)
    assert (found.runs, found.failed, found.allowed, found.breached) == (runs, failed, allowed, breached)
    expected = FunctionVerdict.TOO_MANY_FAILURES if breached else FunctionVerdict.GOOD
    assert found.verdict is (expected if runs >= 20 else FunctionVerdict.TOO_FEW_RUNS)


def test_only_the_last_hundred_earlier_runs_count() -> None:
    assert judged([True] * 60 + [False] * 100, [False] * 10).earlier_failed == 0
    assert judged([False] * 60 + [True] * 100, [False] * 10).earlier_failed == 100


def test_runs_of_all_older_versions_count_as_earlier_runs() -> None:
    found = judged([], [])
    for version in (1, 3, 6):
        found.add(row(version, failed=version == 3))
    assert (len(found.earlier), found.earlier_failed, found.runs) == (3, 1, 0)


def test_unfinished_runs_do_not_count_and_a_breach_is_final() -> None:
    found = judged([], [True] * 5, min_runs=5)
    assert found.breached
    for invocation in (row(7), row(7, running=True), row(8)):
        found.add(invocation)
    assert (found.runs, found.failed, found.verdict) == (5, 5, FunctionVerdict.TOO_MANY_FAILURES)


def test_a_replaced_version_is_not_judged() -> None:
    found = judged([], [True] * 19)
    found.add(row(8, running=True))
    found.add(row(7, failed=True))
    assert (found.verdict, found.replaced_by, found.runs) == (FunctionVerdict.REPLACED, 8, 19)


@pytest.mark.parametrize("seed", range(50))
def test_the_breaching_run_matches_integer_arithmetic(seed: int) -> None:
    chance = random.Random(seed)
    earlier = [chance.random() < chance.choice((0, 0.05, 0.3)) for _ in range(chance.randrange(150))]
    runs = [chance.random() < chance.choice((0, 0.02, 0.1, 0.5)) for _ in range(200)]
    per_mille, least = chance.choice((0, 5, 20, 100)), chance.randint(1, 60)
    last, first = earlier[-100:], None
    for count in range(1, len(runs) + 1):
        # Multiplied by 1000 and by the number of earlier runs, so that all numbers are whole.
        scale = 1000 * (len(last) or 1)
        allowed = -(-count * (per_mille * (len(last) or 1) + 1000 * sum(last)) // scale)
        if count >= least and sum(runs[:count]) > allowed:
            first = count
            break
    found = judged(earlier, runs, f"{per_mille / 10:g}%", least)
    assert found.breached is (first is not None)
    assert found.runs == (first or len(runs))


def test_percentages_and_durations_are_parsed_and_formatted() -> None:
    policy = WatchPolicy().with_texts("1h30m", "0.5%", 7)
    assert policy == WatchPolicy(5400.0, Fraction(1, 200), 7)
    assert policy.with_texts(None, None, None) == policy
    assert (percent(policy.max_failures), duration_text(policy.watch_for_s)) == ("0.5%", "1h30m")
    assert [duration_text(seconds) for seconds in (0, 0.2, 59.5, 61, 3600)] == ["0s", "1s", "1m", "1m1s", "1h"]
