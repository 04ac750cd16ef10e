"""How requests run side by side: a bounded number at a time, results in the caller's thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

AT_ONCE = 8
"""How many requests a deploy has under way at a time, at most."""

_LOOK_S = 0.5
"""How often a wait ends to let Ctrl-C in: on Windows it does not end a wait without a time limit."""

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
    finish: bool = False,
) -> Generator[Result, None, None]:
    """Yield `work(job)` for each job as it ends, in the order of ending; `starting` is called in the caller's thread.

    A job starts only when fewer than `at_once` run, so that nothing is queued: after an exception, an interrupt, or
    once `stopped()` is true, no further job starts. The first exception of `work` is raised, when those beside it have
    ended. When the caller leaves early, or is interrupted, jobs that run are waited for with `finish` (writes: their
    outcome matters), and left to themselves without (reads: Ctrl-C need not wait for a host that does not answer).
    """
    results: queue.SimpleQueue[tuple[threading.Thread, Result | None, BaseException | None]] = queue.SimpleQueue()

    def run(job: Job) -> None:
        result, raised = None, None
        try:
            result = work(job)
        except BaseException as error:
            raised = error
        results.put((threading.current_thread(), result, raised))

    waiting = iter(jobs)
    running: set[threading.Thread] = set()
    try:
        while True:
            while len(running) < at_once and not stopped():
                try:
                    job = next(waiting)
                except StopIteration:
                    break
                if starting is not None:
                    starting(job)
                # Unlike a ThreadPoolExecutor's, daemon threads do not keep an interrupted process alive.
                thread = threading.Thread(target=run, args=(job,), name="ckfunc-deploy", daemon=True)
                running.add(thread)
                thread.start()
            if not running:
                return
            try:
                thread, result, error = results.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            running.discard(thread)
            if error is not None:
                finish = True
                raise error
            yield result  # type: ignore[misc]  # a result, since there was no error
    finally:
        for thread in running if finish else ():
            while thread.is_alive():
                thread.join(_LOOK_S)
