"""How many cases are tried side by side and still told in their order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager

from ckfunc.base.errors import CkfuncError
from ckfunc.base.workers import each_in
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
    any_only = any(case.only for case in cases)
    told = [_untried(one, any_only=any_only) for one in cases]
    untried = [(index, case) for index, case in enumerate(cases) if told[index] is None]

    @contextmanager
    def trying() -> Iterator[Callable[[tuple[int, Case]], tuple[int, Result]]]:
        with place() as attempt:
            yield lambda numbered: (numbered[0], _tried(numbered[1], attempt))

    with closing(each_in(untried, trying, at_once=jobs, cut_short=cut_short)) as done:
        for index in range(len(told)):
            while (result := told[index]) is None:
                at, told[at] = next(done)
            yield result
        next(done, None)  # every place has been left then


def _untried(case: Case, *, any_only: bool) -> Result | None:
    """Return what is known of a case without trying it."""
    if case.skip is not None:
        return Result(case, Verdict.SKIPPED)
    return Result(case, Verdict.LEFT_OUT) if any_only and not case.only else None


def _tried(case: Case, attempt: Try) -> Result:
    try:
        return judge(case, attempt(case))
    except CkfuncError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return Result(case, Verdict.BROKEN, (Miss("case", f"it could not be tried: {error.message}{hint}"),))
