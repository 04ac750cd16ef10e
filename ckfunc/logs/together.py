"""How requests run side by side without holding up Ctrl-C: on threads that nobody waits for at the end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from ckfunc.base.errors import ApiFailure

AT_ONCE = 8
# Waits are cut up, since on Windows Ctrl-C does not end a wait for a lock.
_SLICE_S = 0.2

T = TypeVar("T")


def together(jobs: Sequence[Callable[[], T]], at_once: int = AT_ONCE) -> list[T | ApiFailure]:
    """Run `jobs`, at most `at_once` at a time, and return what each came to, in their order.

    A failure of the API is a result like another; any other exception is raised here. Ctrl-C leaves at once: what is
    under way ends with the process or by its own timeout.
    """
    if len(jobs) == 1:
        return [_outcome(jobs[0])]
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(jobs)):
        waiting.put(number)
    done: queue.SimpleQueue[tuple[int, T | ApiFailure | Exception]] = queue.SimpleQueue()

    def work() -> None:
        while True:
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((number, _outcome(jobs[number])))
            except Exception as error:  # raised again in the caller's thread
                done.put((number, error))

    for _ in range(min(at_once, len(jobs))):
        threading.Thread(target=work, name="ckfunc-logs", daemon=True).start()
    results: dict[int, T | ApiFailure] = {}
    while len(results) < len(jobs):
        try:
            number, result = done.get(timeout=_SLICE_S)
        except queue.Empty:
            continue
        if isinstance(result, Exception) and not isinstance(result, ApiFailure):
            raise result
        results[number] = result
    return [results[number] for number in range(len(jobs))]


def _outcome(job: Callable[[], T]) -> T | ApiFailure:
    try:
        return job()
    except ApiFailure as error:
        return error
