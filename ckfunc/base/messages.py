"""Paths, commands and failed actions in messages."""

from __future__ import annotations

import errno
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ckfunc.base.errors import CkfuncError, SystemRefusal

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
            option, value = "--data-dir", data_dir and str(data_dir)
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
