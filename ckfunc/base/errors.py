"""Expected failures: message, hint, exit code; paths and commands in messages."""

from __future__ import annotations

import errno
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ckfunc.base.interrupts import EXIT_INTERRUPTED
from ckfunc.base.text import with_hint

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_DIFFERENCES = 3
EXIT_BUG = 4
EXIT_CODES = {
    EXIT_OK: "done, or nothing to do",
    EXIT_FAILED: "an expected failure, with one sentence and a hint; a deploy that failed in part; "
    "or a declined confirmation",
    EXIT_USAGE: "wrong usage of the command",
    EXIT_DIFFERENCES: "there are differences (`ckfunc diff --exit-code`, `ckfunc replay --exit-code`)",
    EXIT_BUG: "a bug in ckfunc; the path of a log file is printed",
    EXIT_INTERRUPTED: "interrupted",
}
"""Every exit code and its meaning."""

LOG_IN = "log in to this network with a browser and run the command again"
"""The hint for a network that requires a login."""


class CkfuncError(Exception):
    """An expected failure, shown as `error: MESSAGE` and `hint: HINT`, never with a traceback."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def sentence(self) -> str:
        """The message and the hint in one sentence."""
        return self.message + (f"; {self.hint}" if self.hint else "")


class UsageProblem(CkfuncError):
    """The command line is not valid."""

    exit_code = EXIT_USAGE


# Not a dataclass, because every command, and `ckfunc --version`, loads this module.
class Problem(NamedTuple):
    """An error in a user's file; `line` and `column` count from 1, 0 means the whole file."""

    path: str
    line: int
    column: int
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        return f"{place}: {self.sentence}"

    @property
    def sentence(self) -> str:
        """The message, and the hint in parentheses."""
        return with_hint(self.message, self.hint)


class InvalidFiles(CkfuncError):
    """Files of the project are invalid; `problems` lists every error in them."""

    def __init__(self, summary: str, problems: Sequence[Problem], hint: str | None = None) -> None:
        super().__init__(summary, hint)
        self.problems = tuple(sorted(problems))


class InvalidManifest(InvalidFiles):
    """`functions.yaml`, or a file that it refers to, is invalid."""


class LockOutdated(InvalidManifest):
    """`functions.lock` is invalid, or does not fit `functions.yaml`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("functions.lock is not up to date", problems)


class InvalidScripts(InvalidFiles):
    """Handlers or the init script have syntax errors."""


class NoProject(CkfuncError):
    """No `functions.yaml` was found."""


class ApiFailure(CkfuncError):
    """A request to the Platform API failed."""

    def __init__(self, message: str, hint: str | None = None, *, status: int | None = None) -> None:
        super().__init__(message, hint)
        self.status = status


class CredentialsMissing(ApiFailure):
    """No client id or secret was found for this target."""


class CredentialsRejected(ApiFailure):
    """The authorization server or the API answered 401 or 403."""


class NotFound(ApiFailure):
    """The API answered 404."""


class RequestRejected(ApiFailure):
    """The API answered 400, 415 or another 4xx with an explanation."""


class ServiceTrouble(ApiFailure):
    """The API answered every attempt with 429 or 5xx."""


class Unreachable(ApiFailure):
    """The connection could not be established, or was lost."""


class UnreadableAnswer(ApiFailure):
    """The response is not from the Platform API: not JSON, or without required fields."""


class WrongApplication(CkfuncError):
    """The credentials belong to a different application than the target is bound to."""

    def __init__(self, target: str, want: str, actual: str) -> None:
        super().__init__(
            f"target {target!r} is bound to application {want}, but these credentials belong to application {actual}",
            hint="check CHATKITTY_CLIENT_ID, or fix `application` in functions.yaml; "
            "`ckfunc deploy --allow-other-application` deploys anyway",
        )


class AmbiguousFunction(CkfuncError):
    """The application has several functions of one trigger type."""

    def __init__(self, trigger_type: str, ids: Sequence[int]) -> None:
        super().__init__(
            f"the application has {len(ids)} functions of type {trigger_type} (ids {', '.join(map(str, sorted(ids)))})",
            hint="ckfunc cannot tell which one to deploy: remove all but one in the ChatKitty dashboard",
        )


class PlatformOwned(CkfuncError):
    """The manifest sets something that belongs to the platform."""


class DependenciesFailed(CkfuncError):
    """npm could not install the runtime's dependencies."""


class PackageUnknown(DependenciesFailed):
    """The package, or this version of it, does not exist."""


class NodeMissing(CkfuncError):
    """No Node that can run handlers was found."""


class NoHome(CkfuncError):
    """The user has no home directory for the cache."""


class SystemRefusal(CkfuncError):
    """The system refused a file, a process, a thread or memory: no permission, disk full, too many open files."""

    @classmethod
    def of(cls, error: BaseException) -> SystemRefusal | None:
        """Return the expected failure for `error`, or None if it may be a bug in ckfunc."""
        if not isinstance(error, OSError):
            return cls._without_errno(error)
        if str(error.strerror).startswith("No usable temporary directory"):
            return cls("no directory for temporary files can be written to", "set TMPDIR to one that can")
        path = error.filename if isinstance(error.filename, str) else None
        if isinstance(error, UnusableFile):
            return cls(f"{path} {error.strerror}", "use a regular file")
        hint = cls.advice(error.errno or 0)
        if hint is None or (path is None and error.errno in _OF_PATHS):
            return None
        reason = str(error.strerror)
        return cls(f"{path}: {reason}" if path else reason, hint)

    @classmethod
    def _without_errno(cls, error: BaseException) -> SystemRefusal | None:
        """Return the refusal that Python reports with an exception other than OSError."""
        text = str(error)
        if isinstance(error, MemoryError):
            return cls("there is not enough memory", _REFUSALS[errno.ENOMEM])
        if isinstance(error, RuntimeError) and text == _NO_THREAD:
            return cls("the system does not allow another thread", _REFUSALS[errno.EAGAIN])
        if isinstance(error, RuntimeError) and text.startswith(_LOOP):
            return cls(f"{text.removeprefix(_LOOP)}: {os.strerror(errno.ELOOP)}", _OF_PATHS[errno.ELOOP])
        return None

    @staticmethod
    def advice(number: int) -> str | None:
        """Return a hint for this `errno`, if there is one."""
        return _REFUSALS.get(number) or _OF_PATHS.get(number)


class IncompleteInstallation(CkfuncError):
    """A module that ckfunc needs cannot be imported: a dependency, or an optional part of Python."""

    @classmethod
    def of(cls, error: BaseException) -> IncompleteInstallation | None:
        """Return the expected failure for `error`, or None if it may be a bug in ckfunc."""
        package = ((isinstance(error, ImportError) and error.name) or "").partition(".")[0]
        if package in ("", "ckfunc"):
            return None
        if package in sys.stdlib_module_names:
            return cls(f"{sys.executable} was built without the module {package}", "install ckfunc with another Python")
        sentence = f"{package}, which ckfunc depends on, cannot be imported: {error}"
        return cls(sentence, f"install ckfunc again with this Python ({sys.executable})")


_NO_THREAD = "can't start new thread"
"""The message of `threading` when the process limit is reached."""

_LOOP = "Symlink loop from "
"""The message of `Path.resolve` before Python 3.13."""

_OF_PATHS = {
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.ENOTDIR: "there is a file where a directory is needed: move it away, or choose another path",
    errno.EEXIST: "something else is in the way: move it away, or choose another path",
    errno.EISDIR: "there is a directory where a file is needed: move it away, or choose another path",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ELOOP: "its symbolic links form a loop: fix them, or choose another path",
}
"""Hints for errors about a path. Without a path, such an error is probably a bug in ckfunc."""

_REFUSALS = {
    errno.EROFS: "make .ckfunc/ of the project and the cache (CKFUNC_CACHE_DIR) writable",
    errno.ENOSPC: "free up space on the disk and run the command again",
    getattr(errno, "EDQUOT", errno.ENOSPC): "free up space on the disk and run the command again",
    errno.EMFILE: "raise the limit with `ulimit -n`, or close other programs",
    errno.ENFILE: "close other programs",
    errno.ENOMEM: "close other programs, or raise the memory limit of this shell or container",
    errno.EAGAIN: "close other programs, or raise the process limit (`ulimit -u`, or the container's)",
}


class UnusableFile(OSError):
    """A file that cannot be read: of the wrong kind, too large, or a pipe that timed out."""


class Busy(CkfuncError):
    """Another process uses a resource that this command needs: a data directory, a port, a lock."""


_TARGETED = "chat|deploy|diff|logs|pull|replay|rollback|show|trigger|undo|versions|watch"
_COMMAND = (  # compiled on first use, because few commands print a hint
    rf"`ckfunc ({_TARGETED}|emulator (?:channels|export|import|messages|reset|seed|users)|emulator)(?=[ `])([^`]*)`"
)


def shown_path(path: Path) -> str:
    """Return a path relative to the current directory, if it is at most one level above it."""
    try:
        relative = os.path.relpath(path)
    except (ValueError, FileNotFoundError):  # another drive; the current directory was removed
        return str(path)
    return str(path) if Path(relative).parts[:2] == ("..", "..") else relative


def from_here(text: str) -> str:
    """Return a message whose paths below the current directory are relative to it."""
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it was removed
        return text
    if here == here.parent:
        return text
    return re.sub(rf"(?<![^\s'\"`(=:]){re.escape(f'{here}{os.sep}')}(?=[^\s/])", "", text)


def completed(hint: str, target: str | None, data_dir: Path | None) -> str:
    """Return a hint whose commands have the `--target` or `--data-dir` of this command.

    Otherwise `ckfunc deploy` in a hint would deploy to the default target, and `ckfunc emulator reset` would delete the
    data of the project, although the user has selected another target or directory.
    """

    def with_option(command: re.Match[str]) -> str:
        name, rest = command[1], command[2]
        if name.startswith("emulator"):
            option, value = "--data-dir", str(data_dir) if data_dir and "--help" not in rest else None
        else:
            option, value = "--target", target
        if not value or option in rest or "--plan" in rest:  # a plan names its target
            return command[0]
        return f"`ckfunc {name} {option} {shlex.quote(value)}{rest}`"

    return re.sub(_COMMAND, with_option, hint)


@contextmanager
def naming(action: str) -> Iterator[None]:
    """Turn an OSError into an error that names the failed action."""
    try:
        yield
    except OSError as error:
        raise CkfuncError(f"{action}: {error.strerror or error}") from None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError into an error that names the file that an argument of the command names."""
    try:
        yield
    except OSError as error:
        full = error.errno == errno.ENOSPC
        parent = next((parent for parent in path.parents if str(parent) == error.filename), None)
        other = f"{shown_path(parent)}: " if parent else ""
        raise CkfuncError(
            f"cannot write {shown_path(path)}: {other}{error.strerror or error}",
            hint=SystemRefusal.advice(errno.ENOSPC) if full else "choose another path, or check its permissions",
        ) from None
