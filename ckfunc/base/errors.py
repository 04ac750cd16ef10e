"""Expected failures: one sentence, a hint, and an exit code each."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_DIFFERENCES = 3
EXIT_BUG = 4
EXIT_INTERRUPTED = 130


class CkfuncError(Exception):
    """An expected failure, shown as `error: MESSAGE` and `hint: HINT`, never with a traceback."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str, hint: str | None = None, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code


class UsageProblem(CkfuncError):
    """The command was called in a way that it cannot mean anything."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a user's file; `line` and `column` count from 1, 0 means the file as a whole."""

    path: str
    line: int
    column: int
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        return f"{where}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class InvalidFiles(CkfuncError):
    """Files of the project that cannot be used: every mistake in them at once."""

    def __init__(self, summary: str, problems: Sequence[Problem], hint: str | None = None) -> None:
        super().__init__(summary, hint)
        self.problems = tuple(sorted(problems))


class InvalidManifest(InvalidFiles):
    """`functions.yaml`, or a file that it names, has mistakes."""


class InvalidScripts(InvalidFiles):
    """Handlers or the init script do not parse."""


class NoProject(CkfuncError):
    """There is no `functions.yaml` here."""


class ApiFailure(CkfuncError):
    """The Platform API refused, broke, or could not be reached."""

    def __init__(self, message: str, hint: str | None = None, *, status: int | None = None) -> None:
        super().__init__(message, hint)
        self.status = status


class CredentialsMissing(ApiFailure):
    """No client id or secret was given for this target."""


class CredentialsRejected(ApiFailure):
    """The authorization server or the API answered 401 or 403."""


class NotFound(ApiFailure):
    """The API answered 404."""


class RequestRejected(ApiFailure):
    """The API answered 400, 415 or another 4xx with an explanation."""


class ServiceTrouble(ApiFailure):
    """The API kept answering 429 or 5xx."""


class Unreachable(ApiFailure):
    """No connection could be made, or it was lost."""


class UnreadableAnswer(ApiFailure):
    """The answer is not what the Platform API sends (not JSON, or without the fields it must have)."""


class WrongApplication(CkfuncError):
    """The credentials belong to another application than the target names."""

    def __init__(self, target: str, want: str, got: str) -> None:
        super().__init__(
            f"target {target!r} is bound to application {want}, but these credentials belong to {got}",
            hint="check CHATKITTY_CLIENT_ID, or fix `application` in functions.yaml; "
            "`ckfunc deploy --allow-other-application` deploys all the same",
        )


class AmbiguousFunction(CkfuncError):
    """The application has several functions of one trigger type."""

    def __init__(self, trigger_type: str, ids: Sequence[int]) -> None:
        super().__init__(
            f"the application has {len(ids)} functions of type {trigger_type} (ids {', '.join(map(str, sorted(ids)))})",
            hint="a deploy cannot tell which one is meant: remove all but one in the ChatKitty dashboard",
        )


class PlatformOwned(CkfuncError):
    """The manifest names something that the platform sets itself."""


class DependenciesFailed(CkfuncError):
    """npm could not install the runtime's dependencies."""


class PackageUnknown(DependenciesFailed):
    """There is no such package, or no such version of it."""


class NodeMissing(CkfuncError):
    """No Node that can run handlers was found."""


class NoHome(CkfuncError):
    """The user has no home directory that could hold a cache."""


class SystemRefusal(CkfuncError):
    """The system did not let us read or write: no permission, a full disk, too many open files."""

    @classmethod
    def of(cls, error: OSError) -> SystemRefusal | None:
        """Return the failure that `error` stands for; None when it may as well be a mistake of ours."""
        if str(error.strerror).startswith("No usable temporary directory"):
            return cls("no directory for temporary files can be written to", "set TMPDIR to one that can")
        path = error.filename if isinstance(error.filename, str) else None
        if isinstance(error, UnusableFile):
            return cls(f"{path} {error.strerror}", "use a regular file")
        hint = cls.advice(error.errno or 0)
        if hint is None or (path is None and error.errno in _OF_PATHS):
            return None
        return cls(f"{path or 'the command'}: {error.strerror}", hint)

    @staticmethod
    def advice(number: int) -> str | None:
        """Return what helps against a refusal with this `errno`, if it is known."""
        return _REFUSALS.get(number) or _OF_PATHS.get(number)


_OF_PATHS = {
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.ENOTDIR: "there is a file where a directory is needed: move it away, or choose another path",
    errno.EEXIST: "something else is in the way: move it away, or choose another path",
    errno.EISDIR: "there is a directory where a file is needed: move it away, or choose another path",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ELOOP: "its links lead in a circle: mend them, or choose another path",
}
"""What the system says of a path; without one, it is more likely a mistake of ours."""

_REFUSALS = {
    errno.EROFS: "ckfunc writes to .ckfunc/ of the project and to its cache (CKFUNC_CACHE_DIR): let it",
    errno.ENOSPC: "make room on the disk and run the command again",
    getattr(errno, "EDQUOT", errno.ENOSPC): "make room on the disk and run the command again",
    errno.EMFILE: "raise the limit with `ulimit -n`, or close other programs",
    errno.ENFILE: "close other programs",
}


class UnusableFile(OSError):
    """A file that is not read: of the wrong kind, too large, or a pipe to which nothing was written in time."""


class Busy(CkfuncError):
    """Another process holds what this command needs (a data directory, a port, a lock)."""
