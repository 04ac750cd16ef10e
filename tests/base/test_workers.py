"""The worker pool."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from ckfunc.base.workers import each, each_in, in_order


def test_jobs_run_concurrently_up_to_the_limit() -> None:
    together = threading.Barrier(3)
    main = threading.get_ident()
    started: list[int] = []

    def work(job: int) -> int:
        assert threading.get_ident() != main
        together.wait(10)
        return job

    assert sorted(each(range(9), work, at_once=3, starting=started.append)) == list(range(9))
    assert started == list(range(9))


def test_a_slow_job_is_awaited() -> None:
    assert list(each([0.6], threading.Event().wait)) == [False]


def test_no_job_starts_after_a_failure_or_a_stop() -> None:
    started: list[int] = []

    def fail(job: int) -> int:
        raise ValueError(str(job))

    with pytest.raises(ValueError, match="0"):
        list(each(range(5), fail, at_once=1, starting=started.append))
    assert started == [0]
    done: list[int] = []
    for result in each(range(5), lambda job: job, at_once=1, stopped=lambda: len(done) == 2):
        done.append(result)
    assert done == [0, 1]


def test_jobs_that_must_finish_are_awaited_when_the_caller_leaves_early() -> None:
    finished: list[int] = []
    gate = threading.Event()

    def work(job: int) -> int:
        if job:
            gate.wait(10)
        finished.append(job)
        return job

    threading.Timer(0.05, gate.set).start()
    with closing(each(range(3), work, at_once=3, finish=True)) as results:
        assert next(results) == 0
    assert sorted(finished) == [0, 1, 2]


def test_each_thread_enters_and_leaves_its_own_context_manager() -> None:
    open_places: list[int] = []
    entered: list[int] = []
    together = threading.Barrier(3)

    @contextmanager
    def place() -> Iterator[Callable[[int], int]]:
        entered.append(threading.get_ident())
        open_places.append(1)
        together.wait(10)
        yield lambda job: job * 2
        open_places.pop()

    assert sorted(each_in(range(9), place, at_once=3)) == list(range(0, 18, 2))
    assert len(set(entered)) == 3
    assert open_places == []


def test_a_context_manager_that_cannot_be_entered_or_left_is_an_error() -> None:
    @contextmanager
    def closed() -> Iterator[Callable[[int], int]]:
        raise ValueError("closed")
        yield abs  # pragma: no cover

    @contextmanager
    def stuck() -> Iterator[Callable[[int], int]]:
        yield abs
        raise ValueError("stuck")

    with pytest.raises(ValueError, match="closed"):
        list(each_in(range(5), closed, at_once=2))
    with pytest.raises(ValueError, match="stuck"):
        list(each_in(range(5), stuck, at_once=2))


def test_running_jobs_are_stopped_when_the_caller_leaves_early_or_a_job_fails() -> None:
    for failing in (False, True):
        gate = threading.Event()

        @contextmanager
        def place(failing: bool = failing, gate: threading.Event = gate) -> Iterator[Callable[[int], int]]:
            def work(job: int) -> int:
                if job:
                    assert gate.wait(10)
                elif failing:
                    raise ValueError("failed")
                return job

            yield work

        with closing(each_in(range(3), place, at_once=2, cut_short=gate.set)) as results:
            if failing:
                with pytest.raises(ValueError, match="failed"):
                    next(results)
            else:
                assert next(results) == 0
        assert gate.is_set()


def test_in_order_returns_results_in_the_order_of_the_jobs() -> None:
    last = threading.Event()

    def work(job: int) -> int:
        if job == 0:
            assert last.wait(10)
        if job == 2:
            last.set()
        return job

    assert in_order(range(3), work) == [0, 1, 2]
    assert in_order([7], lambda job: (job, threading.get_ident())) == [(7, threading.get_ident())]
    assert in_order([], work) == []


def test_the_number_of_concurrent_jobs_is_limited() -> None:
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()
    full = threading.Barrier(3, timeout=10)

    def job(_number: int) -> None:
        with lock:
            running.append(1)
            most.append(len(running))
        full.wait()
        with lock:
            running.pop()

    in_order(range(9), job, at_once=3)
    assert max(most) == 3
