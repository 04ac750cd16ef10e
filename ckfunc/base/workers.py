"""A worker pool that yields results in the caller's thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

AT_ONCE = 8
"""The default number of concurrent jobs."""

_TURN_S = 0.2
"""The timeout of each wait: on Windows, Ctrl-C does not interrupt a wait without a timeout."""

Job = TypeVar("Job")
Result = TypeVar("Result")


def _never() -> bool:
    return False


def each(
    jobs: Iterable[Job],
    work: Callable[[Job], Result],
    *,
    at_once: int = AT_ONCE,
    starting: Callable[[Job], object] = lambda _job: None,
    stopped: Callable[[], bool] = _never,
    finish: bool = False,
) -> Generator[Result, None, None]:
    """Yield `work(job)` for each job, in the order of completion; see `each_in`."""
    return each_in(jobs, lambda: nullcontext(work), at_once=at_once, starting=starting, stopped=stopped, finish=finish)


def in_order(jobs: Sequence[Job], work: Callable[[Job], Result], *, at_once: int = AT_ONCE) -> list[Result]:
    """Return `work(job)` for each job, in the order of the jobs. A single job runs in the caller's thread."""
    if len(jobs) == 1:
        return [work(jobs[0])]
    results = dict(each(enumerate(jobs), lambda job: (job[0], work(job[1])), at_once=at_once))
    return [results[index] for index in range(len(jobs))]


def each_in(
    jobs: Iterable[Job],
    place: Callable[[], AbstractContextManager[Callable[[Job], Result]]],
    *,
    at_once: int,
    starting: Callable[[Job], object] = lambda _job: None,
    stopped: Callable[[], bool] = _never,
    finish: bool = True,
    cut_short: Callable[[], object] | None = None,
) -> Generator[Result, None, None]:
    """Yield the result of each job, in the order of completion.

    Each thread enters its own `place` (a context manager) before its first job, and runs its jobs with the function
    that the place provides. `starting` and `stopped` run in the caller's thread, `stopped` several times a second.

    A job starts only when fewer than `at_once` are running, so nothing is queued: after an exception, an interrupt, or
    once `stopped()` is true, no further job starts. The first exception of a place or a job is raised after `cut_short`
    was called and the other running jobs have ended. If the caller leaves early or is interrupted, `cut_short` is
    called. Running jobs are then awaited with `finish` (for writes, whose result matters), or abandoned without it (for
    reads, so that Ctrl-C does not wait for a host that does not answer).
    """
    waiting = list(jobs)
    inbox: queue.SimpleQueue[tuple[Job] | None] = queue.SimpleQueue()
    outbox: queue.SimpleQueue[tuple[Result | None, BaseException | None]] = queue.SimpleQueue()
    left = threading.Event()
    # Daemon threads, unlike those of a ThreadPoolExecutor, do not keep an interrupted process alive. All of them are
    # started before the first job is assigned, so that an interrupt while a thread starts does not lose a job.
    threads = [
        threading.Thread(target=_serve, args=(inbox, outbox, place, left), name="ckfunc-worker", daemon=True)
        for _ in range(min(at_once, len(waiting)))
    ]
    try:
        for thread in threads:
            thread.start()
        waiting.reverse()
        running = 0
        while True:
            while not stopped() and waiting and running < at_once:
                job = waiting.pop()
                starting(job)
                inbox.put((job,))
                running += 1
            if not running:
                break
            try:
                result, error = outbox.get(timeout=_TURN_S)
            except queue.Empty:
                continue
            running -= 1
            if error is not None:
                finish = True
                raise error
            yield result  # type: ignore[misc]  # not None, because there was no error
    except BaseException:
        if cut_short is not None:
            left.set()
            cut_short()
        raise
    finally:
        for _ in threads:
            inbox.put(None)
        if finish:
            _wait_for(threads)
    if not outbox.empty() and (error := outbox.get()[1]) is not None:  # the exit of a place failed
        raise error


def _serve(
    inbox: queue.SimpleQueue[tuple[Job] | None],
    outbox: queue.SimpleQueue[tuple[Result | None, BaseException | None]],
    place: Callable[[], AbstractContextManager[Callable[[Job], Result]]],
    left: threading.Event,
) -> None:
    """Run jobs until None arrives or the caller has left."""
    job = inbox.get()
    if job is None:
        return
    try:
        with place() as work:
            while job is not None and not left.is_set():
                try:
                    outbox.put((work(*job), None))
                except BaseException as error:
                    outbox.put((None, error))
                job = inbox.get()
    except BaseException as error:
        outbox.put((None, error))


def _wait_for(threads: Iterable[threading.Thread]) -> None:
    for thread in threads:
        while thread.is_alive():
            thread.join(_TURN_S)
