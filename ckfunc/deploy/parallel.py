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
    waiting = list(jobs)
    inbox: queue.SimpleQueue[tuple[Job] | None] = queue.SimpleQueue()
    outbox: queue.SimpleQueue[tuple[Result | None, BaseException | None]] = queue.SimpleQueue()
    # Unlike a ThreadPoolExecutor's, daemon threads do not keep an interrupted process alive. They all run before the
    # first job is handed out, so that an interrupt in the middle of a start loses no job.
    threads = [
        threading.Thread(target=_serve, args=(inbox, outbox, work), name="ckfunc-deploy", daemon=True)
        for _ in range(min(at_once, len(waiting)))
    ]
    try:
        for thread in threads:
            thread.start()
        waiting.reverse()
        running = 0
        while True:
            while waiting and running < at_once and not stopped():
                job = waiting.pop()
                if starting is not None:
                    starting(job)
                inbox.put((job,))
                running += 1
            if not running:
                return
            try:
                result, error = outbox.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            running -= 1
            if error is not None:
                finish = True
                raise error
            yield result  # type: ignore[misc]  # a result, since there was no error
    finally:
        for _ in threads:
            inbox.put(None)
        for thread in threads if finish else ():
            while thread.is_alive():
                thread.join(_LOOK_S)


def _serve(
    inbox: queue.SimpleQueue[tuple[Job] | None],
    outbox: queue.SimpleQueue[tuple[Result | None, BaseException | None]],
    work: Callable[[Job], Result],
) -> None:
    """Do jobs until there is None."""
    while (job := inbox.get()) is not None:
        try:
            outbox.put((work(*job), None))
        except BaseException as error:
            outbox.put((None, error))
