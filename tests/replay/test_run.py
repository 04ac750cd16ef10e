"""Runs of a replay: their conditions, failures and progress."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Any

import pytest
from replay.lanes import PythonLane, opening, recorded

from ckfunc.replay.differences import Observed
from ckfunc.replay.run import Pair, determinism_of, replay, variations


def test_a_replayed_run_has_its_recorded_time_and_its_own_seed() -> None:
    first, second = recorded(2)
    assert determinism_of(first).now_ms == int(first.created_time.timestamp() * 1000)
    assert determinism_of(first) == determinism_of(first)
    assert determinism_of(first).seed != determinism_of(second).seed
    others = list(variations(determinism_of(first)))
    assert len({determinism.seed for determinism in (determinism_of(first), *others)}) == 3
    assert all(determinism.seed < 2**53 for determinism in others)


def test_an_error_of_a_lane_ends_the_replay() -> None:
    stopped = threading.Event()

    class Breaking(PythonLane):
        def __call__(self, *given: Any) -> Observed:
            raise OSError("no Node")

    @contextmanager
    def open_pair() -> Any:
        yield Pair(Breaking(None, None), Breaking(None, None), stopped.set)  # type: ignore[arg-type]  # neither is used

    with pytest.raises(OSError, match="no Node"):
        replay(recorded(5), open_pair, jobs=2)
    assert stopped.is_set()


def test_progress_is_reported_for_every_invocation() -> None:
    told: list[int] = []
    handler = lambda event, world: None  # noqa: E731 - a short handler
    replay(recorded(4), opening(handler, handler), on_progress=told.append)
    assert told == [1, 2, 3, 4]
