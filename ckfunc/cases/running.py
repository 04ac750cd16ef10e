"""How many cases are tried side by side and still told in their order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager

from ckfunc.base.errors import CkfuncError
from ckfunc.cases.case import Case, Miss, Observed, Result, Verdict
from ckfunc.cases.judging import judge

Try = Callable[[Case], Observed]
"""Runs a case; raises CkfuncError when it cannot even begin."""

Place = Callable[[], AbstractContextManager[Try]]
"""Makes a place where cases are tried, one at a time."""


def chosen(cases: Sequence[Case], wanted: str | None) -> tuple[Case, ...]:
    """Return the cases whose file, name or type holds `wanted`, whatever the case of its letters; None takes all."""
    if wanted is None:
        return tuple(cases)
    text = wanted.casefold()
    return tuple(one for one in cases if text in f"{one.file} › {one.name} › {one.type}".casefold())


def run_all(
    cases: Sequence[Case], place: Place, *, jobs: int, cut_short: Callable[[], None] = lambda: None
) -> Generator[Result]:
    """Yield what comes of each case, in their order, as soon as it is known.

    `jobs` cases are tried at a time, each in a place of its own that is made when it is first needed. Who does not take
    all results ends it: `cut_short` is called, so that nobody waits for what is being tried. Raises what making a place
    raises.
    """
    told = [_untried(one, any_only=any(case.only for case in cases)) for one in cases]
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index, result in enumerate(told):
        if result is None:
            waiting.put(index)
    count = min(jobs, waiting.qsize())
    done: queue.SimpleQueue[tuple[int, Result | BaseException]] = queue.SimpleQueue()
    stop = threading.Event()
    workers = [
        threading.Thread(target=_work, args=(cases, place, waiting, done, stop), name=f"ckfunc-test-{number}")
        for number in range(count)
    ]
    for worker in workers:
        worker.start()
    try:
        for index in range(len(told)):
            while (result := told[index]) is None:
                try:
                    # A wait without a time limit cannot be interrupted by Ctrl-C on Windows.
                    at, outcome = done.get(timeout=0.5)
                except queue.Empty:
                    continue
                if isinstance(outcome, BaseException):
                    raise outcome
                told[at] = outcome
            yield result
    except BaseException:
        stop.set()
        cut_short()
        raise
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def _untried(case: Case, *, any_only: bool) -> Result | None:
    """Return what is known of a case without trying it."""
    if case.skip is not None:
        return Result(case, Verdict.SKIPPED)
    return Result(case, Verdict.LEFT_OUT) if any_only and not case.only else None


def _work(
    cases: Sequence[Case],
    place: Place,
    waiting: queue.SimpleQueue[int],
    done: queue.SimpleQueue[tuple[int, Result | BaseException]],
    stop: threading.Event,
) -> None:
    index = -1
    try:
        with place() as attempt:
            while not stop.is_set():
                try:
                    index = waiting.get_nowait()
                except queue.Empty:
                    return
                done.put((index, _tried(cases[index], attempt)))
    except BaseException as error:  # handed on to who waits for the results
        done.put((index, error))


def _tried(case: Case, attempt: Try) -> Result:
    try:
        return judge(case, attempt(case))
    except CkfuncError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return Result(case, Verdict.BROKEN, (Miss("case", f"it could not be tried: {error.message}{hint}"),))
