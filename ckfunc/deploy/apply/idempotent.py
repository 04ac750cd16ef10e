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
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ckfunc.base.errors import ApiFailure, CkfuncError, NotFound, RequestRejected
from ckfunc.base.text import digest, newlines
from ckfunc.deploy.history import same_script, script_digest
from ckfunc.deploy.resources import Part, Remote

if TYPE_CHECKING:
    from ckfunc.model.application import Function, FunctionVersion, NewFunction

TRIES = 4
"""How often a write is attempted, at most."""

SETTLE_S = 0.5
"""How long to wait for a write whose response was lost before the first check; the wait doubles for each next one."""

_UNCLEAR = (408, 429)
"""Error statuses that a proxy may return even though the platform received the request."""

Pause: TypeAlias = Callable[[float], bool]
"""Waits for a number of seconds, and returns False if no further request may be sent."""


_Read = TypeVar("_Read")


class Overtaken(CkfuncError):
    """Someone else deployed in the meantime. `number` is the version that is deployed now, if known."""

    def __init__(self, message: str, hint: str | None = None, *, number: int | None = None) -> None:
        super().__init__(message, hint)
        self.number = number


def is_unclear(error: CkfuncError) -> bool:
    """Return whether a write that failed with `error` may have been done anyway."""
    status = error.status if isinstance(error, ApiFailure) else None
    return status is None or status not in range(400, 500) or status in _UNCLEAR


def create_version(remote: Remote, function: Function, base: int, script: str, pause: Pause) -> FunctionVersion:
    """Create the version after number `base` (0: none) with `script`, exactly once, and return it.

    If someone else created a version in the meantime, theirs is restored. Raises Overtaken and ApiFailure.
    """
    for attempt in count(1):
        try:
            created = remote.create_version(function.id, script)
        except ApiFailure as error:
            stored = _created_after_all(
                remote, function, base, script, error, partial(pause, SETTLE_S * 2 ** (attempt - 1))
            )
            if stored is not None:
                return stored
            if attempt >= TRIES or not pause(0):
                raise
            continue
        if created.version_number > base + 1:
            _require_first(remote, function, base, created, script, pause, repeated=attempt > 1)
        return created
    raise AssertionError("unreachable")


def create_function(remote: Remote, new: NewFunction, pause: Pause) -> Function:
    """Create a function exactly once, and return it. Raises Overtaken and ApiFailure.

    A function without a version that someone else has created in the meantime is returned instead.
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
            matching = [function for function in _read_after(remote.functions, error) if function.type == new.type]
            if not matching and (refused or attempt >= TRIES or not pause(0)):
                raise
            if len(matching) == 1 and not matching[0].current_version_number:
                return matching[0]
            if matching:
                number = matching[0].current_version_number
                raise Overtaken(
                    f"someone else created {new.type} in the meantime and deployed v{number}; nothing was written",
                    hint=f"check `ckfunc show {new.type}` before you deploy again",
                    number=number,
                ) from error
    raise AssertionError("unreachable")


def put(write: Callable[[], Part], read: Callable[[], Part], done: Callable[[Part], bool], pause: Pause) -> Part:
    """Write values, and return the part of the application that has them.

    After a lost response, the part is read, and the write is only repeated if it was not `done`. Raises ApiFailure.
    """
    for attempt in count(1):
        try:
            return write()
        except ApiFailure as error:
            if not is_unclear(error) or not pause(SETTLE_S * 2 ** (attempt - 1)):
                raise
            part = _read_after(read, error)
            if done(part):
                return part
            if attempt >= TRIES:
                raise
    raise AssertionError("unreachable")


def current(remote: Remote, function: Function) -> FunctionVersion | None:
    """Return the deployed version of a function, or None if it has none. Raises ApiFailure."""
    try:
        return remote.current_version(function.id)
    except NotFound:
        return None


def _created_after_all(
    remote: Remote, function: Function, base: int, script: str, error: ApiFailure, settle: Callable[[], bool]
) -> FunctionVersion | None:
    """Return the version that a request created although it failed, or None if it created none.

    Raises the error if it is final, or if the result cannot be determined. Raises Overtaken.
    """
    if not is_unclear(error) or not settle():
        raise error
    version = _read_after(lambda: current(remote, function), error)
    if version is None or version.version_number <= base:
        return None
    if version.version_number == base + 1 and same_script(version, script):
        return version
    first = _first_after(remote, function, base)
    if first is not None and same_script(first, script):
        number = version.version_number
        message = f"v{first.version_number} was created, but someone else deployed v{number} after it"
        raise _comparable(message, function, number) from error
    raise overtaken(function, version, script) from error


def overtaken(function: Function, theirs: FunctionVersion, script: str) -> Overtaken:
    """Return the failure for a version of someone else that was found before ours was written."""
    number, digests = theirs.version_number, _digests(theirs, script)
    message = f"someone else deployed v{number} in the meantime ({digests}); nothing was written"
    return _comparable(message, function, number)


def _require_first(
    remote: Remote,
    function: Function,
    base: int,
    created: FunctionVersion,
    script: str,
    pause: Pause,
    *,
    repeated: bool,
) -> None:
    """Let the first of two concurrent deploys win. Raises Overtaken if that is not this deploy.

    Two deploys that both found version N create N+1 and N+2. The numbers show both which of them was first, so the
    later one restores the script of N+1, unless someone has deployed since. If the request was `repeated`, N+1 may be
    from our own first attempt.
    """
    first = _first_after(remote, function, base)
    number = created.version_number
    if first is None:
        raise Overtaken(
            f"someone else deployed at the same time; your v{number} replaced theirs",
            hint=f"check `ckfunc versions {function.type}` before you deploy again",
            number=number,
        )
    if same_script(first, script):
        if repeated:
            return
        raise Overtaken(
            f"someone else deployed the same script as v{first.version_number} at the same time; v{number} repeats it",
            hint="check `ckfunc diff` when their deploy is done",
            number=number,
        )
    message = f"someone else deployed v{first.version_number} at the same time ({_digests(first, script)})"
    now = current(remote, function)
    if now is not None and now.version_number != number:
        replaced = f"{message}; your v{number} has been replaced by v{now.version_number}"
        raise _comparable(replaced, function, now.version_number)
    restored = _restore(remote, function, first, message, number, pause).version_number
    raise _comparable(f"{message}; your v{number} was reverted: v{restored} is theirs again", function, restored)


def _restore(
    remote: Remote, function: Function, first: FunctionVersion, message: str, number: int, pause: Pause
) -> FunctionVersion:
    """Deploy the script of `first` again, and return the new version. Raises Overtaken if that fails."""
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
                f"{message}; your v{number} replaced theirs and could not be reverted: {error.message}",
                hint=f"restore theirs with `ckfunc rollback {function.type} --to {first.version_number}`",
                number=number,
            ) from error
    raise AssertionError("unreachable")


def _first_after(remote: Remote, function: Function, base: int) -> FunctionVersion | None:
    """Return version `base` + 1, or None if it is not listed."""
    return next((version for version in remote.versions(function.id) if version.version_number == base + 1), None)


def _digests(theirs: FunctionVersion, script: str) -> str:
    return f"theirs {script_digest(theirs)[:12]}, yours {digest(newlines(script))[:12]}"


def _comparable(message: str, function: Function, number: int) -> Overtaken:
    hint = f"compare theirs and yours with `ckfunc diff {function.type}@{number}`, then deploy again"
    return Overtaken(message, hint, number=number)


def _read_after(read: Callable[[], _Read], error: ApiFailure) -> _Read:
    """Read the application after a failed write. If that fails too, raise the failure of the write."""
    try:
        return read()
    except ApiFailure:
        raise error from None
