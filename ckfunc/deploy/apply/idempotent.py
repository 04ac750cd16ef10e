"""Idempotent writes over a network that loses responses.

The platform has no idempotency keys, so when a response is lost, the application is read before the request is sent
again. Versions are numbered one by one: a version number and its script show whether a lost request was processed. A
function is found by its type, and a PUT by the values it left.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TypeAlias, TypeVar

from ckfunc.base.errors import ApiFailure, CkfuncError, NotFound, RequestRejected
from ckfunc.base.text import digest
from ckfunc.deploy.remote import Remote
from ckfunc.deploy.resources import Values, Wanted, newlines
from ckfunc.model.application import Runtime
from ckfunc.model.function import Function, FunctionVersion, NewFunction

TRIES = 4
"""How often a write is sent, at most."""

SETTLE_S = 0.5
"""How long a write whose answer was lost may still be on its way: the first look waits so long, the next twice it."""

_UNCLEAR = (408, 429)
"""Refusals that may come from something in front of the platform, after the platform got the request."""

Pause: TypeAlias = Callable[[float], bool]
"""Waits that many seconds; False when nothing further is to be sent."""


_Read = TypeVar("_Read")


class Overtaken(CkfuncError):
    """Someone else deployed in between. `number` is the version that runs now, as far as it is known."""

    def __init__(self, message: str, hint: str | None = None, *, number: int | None = None) -> None:
        super().__init__(message, hint)
        self.number = number


def is_unclear(error: CkfuncError) -> bool:
    """Tell whether a write that failed so may have been done all the same."""
    status = error.status if isinstance(error, ApiFailure) else None
    return status is None or status not in range(400, 500) or status in _UNCLEAR


def create_version(remote: Remote, function: Function, base: int, script: str, pause: Pause) -> FunctionVersion:
    """Create the version after number `base` (0: the first) with `script`, once, and return it.

    When somebody else's version got in between, theirs stays: ours is taken back. Raises Overtaken and ApiFailure.
    """
    for attempt in count(1):
        try:
            made = remote.create_version(function.id, script)
        except ApiFailure as error:
            found = _looked_up(remote, function, base, script, error, partial(pause, SETTLE_S * 2 ** (attempt - 1)))
            if found is not None:
                return found
            if attempt >= TRIES or not pause(0):
                raise
            continue
        if made.version_number > base + 1:
            _make_way(remote, function, base, made, script, pause, repeated=attempt > 1)
        return made
    raise AssertionError("unreachable")


def create_function(remote: Remote, new: NewFunction, pause: Pause) -> Function:
    """Create a function, once, and return it; one that exists meanwhile, without a version, is as good.

    Raises Overtaken and ApiFailure.
    """
    for attempt in count(1):
        try:
            return remote.create_function(new)
        except ApiFailure as error:
            refused = not is_unclear(error)
            if refused and not isinstance(error, RequestRejected):
                raise
            if not refused and not pause(SETTLE_S * 2 ** (attempt - 1)):
                raise
            found = [one for one in _again(remote.functions, error) if one.type == new.type]
            if not found and (refused or attempt >= TRIES or not pause(0)):
                raise
            if len(found) == 1 and not found[0].current_version_number:
                return found[0]
            if found:
                number = found[0].current_version_number
                raise Overtaken(
                    f"someone else created {new.type} meanwhile, and deployed v{number} of it; nothing was written",
                    hint=f"look at `ckfunc show {new.type}` before you deploy again",
                    number=number,
                ) from error
    raise AssertionError("unreachable")


def put(
    remote: Remote,
    write: Callable[[Remote, Wanted], Runtime],
    values: Wanted,
    have: Callable[[Runtime], Values],
    pause: Pause,
) -> Runtime:
    """Replace a part of the runtime with `values`, and return the runtime as it is then; `have` reads that part.

    Repeating it does no harm, but it is done only while the application shows something else. Raises ApiFailure.
    """
    for attempt in count(1):
        try:
            return write(remote, values)
        except ApiFailure as error:
            if not is_unclear(error) or not pause(SETTLE_S * 2 ** (attempt - 1)):
                raise
            runtime = _again(remote.runtime, error)
            if have(runtime) == values:
                return runtime
            if attempt >= TRIES:
                raise
    raise AssertionError("unreachable")


def same_script(version: FunctionVersion, script: str) -> bool:
    """Tell whether a version has this script, line ends aside."""
    return newlines(version.handler_script) == newlines(script)


def current(remote: Remote, function: Function) -> FunctionVersion | None:
    """Return the deployed version of a function, None when it has none. Raises ApiFailure."""
    try:
        return remote.current_version(function.id)
    except NotFound:
        return None


def _looked_up(
    remote: Remote, function: Function, base: int, script: str, error: ApiFailure, settle: Callable[[], bool]
) -> FunctionVersion | None:
    """Return the version that a failed request created after all, None when it created none.

    Raises the error when that is certain or cannot be found out, and Overtaken.
    """
    if not is_unclear(error) or not settle():
        raise error
    found = _again(lambda: current(remote, function), error)
    if found is None or found.version_number <= base:
        return None
    if found.version_number == base + 1 and same_script(found, script):
        return found
    first = _first_after(remote, function, base)
    if first is not None and same_script(first, script):
        raise Overtaken(
            f"v{first.version_number} was created, but someone else deployed v{found.version_number} after it",
            hint=_look(function, found.version_number),
            number=found.version_number,
        ) from error
    raise overtaken(function, found, script) from error


def overtaken(function: Function, theirs: FunctionVersion, script: str) -> Overtaken:
    """Return the failure that says whose version is in the way of ours, before ours was written."""
    return Overtaken(
        f"someone else deployed v{theirs.version_number} meanwhile ({_sides(theirs, script)}); nothing was written",
        hint=_look(function, theirs.version_number),
        number=theirs.version_number,
    )


def _make_way(
    remote: Remote, function: Function, base: int, made: FunctionVersion, script: str, pause: Pause, *, repeated: bool
) -> None:
    """See to it that whoever was first wins: raises Overtaken when that is not us.

    Two deploys that both found version N make N+1 and N+2. Only the platform knows who came first, and everybody can
    see it by the numbers; so the later one puts the script of N+1 back, unless somebody has deployed since. A request
    that was `repeated` may have met its own first try.
    """
    first = _first_after(remote, function, base)
    number = made.version_number
    if first is None:
        raise Overtaken(
            f"someone else deployed at the same time; v{number}, of this project, replaced theirs",
            hint=f"look at `ckfunc versions {function.type}` before you deploy again",
            number=number,
        )
    if same_script(first, script):
        if repeated:
            return
        raise Overtaken(
            f"someone else deployed the same script as v{first.version_number} at the same time; v{number} repeats it",
            hint="look at `ckfunc diff` when they are done",
            number=number,
        )
    message = f"someone else deployed v{first.version_number} at the same time ({_sides(first, script)})"
    now = current(remote, function)
    if now is not None and now.version_number != number:
        raise Overtaken(
            f"{message}; v{number}, of this project, has been replaced by v{now.version_number}",
            hint=_look(function, now.version_number),
            number=now.version_number,
        )
    restored = _put_back(remote, function, first, message, number, pause)
    raise Overtaken(
        f"{message}; v{number}, of this project, was taken back: v{restored.version_number} is theirs again",
        hint=_look(function, restored.version_number),
        number=restored.version_number,
    )


def _put_back(
    remote: Remote, function: Function, first: FunctionVersion, message: str, number: int, pause: Pause
) -> FunctionVersion:
    """Deploy the script of `first` again, and return the version that runs it. Raises Overtaken when that fails."""
    for attempt in count(1):
        try:
            return remote.create_version(function.id, first.handler_script)
        except ApiFailure as error:
            if is_unclear(error) and attempt < TRIES and pause(SETTLE_S * 2 ** (attempt - 1)):
                with suppress(ApiFailure):
                    now = current(remote, function)
                    if now is not None and same_script(now, first.handler_script):
                        return now
                continue
            raise Overtaken(
                f"{message}; v{number}, of this project, replaced theirs, and could not be taken back: {error.message}",
                hint=f"bring theirs back with `ckfunc rollback {function.type} --to {first.version_number}`",
                number=number,
            ) from error
    raise AssertionError("unreachable")


def _first_after(remote: Remote, function: Function, base: int) -> FunctionVersion | None:
    """Return version `base` + 1."""
    for version in remote.versions(function.id):
        if version.version_number == base + 1:
            return version
    return None


def _sides(theirs: FunctionVersion, script: str) -> str:
    return f"theirs {digest(newlines(theirs.handler_script))[:12]}, yours {digest(newlines(script))[:12]}"


def _look(function: Function, number: int) -> str:
    return f"`ckfunc diff {function.type}@{number}` shows theirs and yours; then deploy again"


def _again(read: Callable[[], _Read], error: ApiFailure) -> _Read:
    """Read what tells whether a write was done; when even that fails, the write's own failure is what to report."""
    try:
        return read()
    except ApiFailure:
        raise error from None
