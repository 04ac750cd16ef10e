"""How requests run side by side: a bounded number at a time, results in the caller's thread."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

AT_ONCE = 8
"""How many requests a deploy has under way at a time, at most."""

Job = TypeVar("Job")
Result = TypeVar("Result")


def _never() -> bool:
    return False


def each(
    jobs: Iterable[Job],
    work: Callable[[Job], Result],
    *,
    at_once: int = AT_ONCE,
    starting: Callable[[Job], object] | None = None,
    stopped: Callable[[], bool] = _never,
) -> Generator[Result, None, None]:
    """Yield `work(job)` for each job as it ends, in the order of ending.

    A job is handed to a thread only when one is free, so that nothing is queued: after an exception, an interrupt, or
    once `stopped()` is true, no further job starts, and those that run are waited for. `starting` is called in the
    caller's thread. The first exception of `work` is raised.
    """
    waiting = iter(jobs)
    with ThreadPoolExecutor(at_once, thread_name_prefix="ckfunc-deploy") as pool:
        running: set[Future[Result]] = set()
        while True:
            while len(running) < at_once and not stopped():
                try:
                    job = next(waiting)
                except StopIteration:
                    break
                if starting is not None:
                    starting(job)
                running.add(pool.submit(work, job))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
