"""Protection against symbolic links that lead out of a project.

A cloned repository can contain symbolic links. ckfunc writes files under a temporary name and renames them, which
replaces a link instead of following it. But the system follows links to directories, lock files and databases, so
these are checked here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ckfunc.base.errors import CkfuncError
from ckfunc.base.files import link_target

STATE_DIRECTORY = ".ckfunc"
"""Directory for ckfunc's own files in a project; nothing in it belongs in git."""


class LeadsOutside(CkfuncError):
    """A path that ckfunc writes to is a link out of the project, or not a file."""


def require_inside(root: Path, path: Path, *, followed: bool = False) -> None:
    """Raise LeadsOutside if a parent directory of `path`, below `root`, is a link out of `root`.

    `path` itself may be a link, because writing replaces it; with `followed`, it is checked too.
    """
    real = os.path.realpath(root)
    last = path if followed else path.parent
    if _is_below(os.path.realpath(last), real):
        return
    place = root
    for part in last.relative_to(root).parts:
        place /= part
        if not _is_below(os.path.realpath(place), real):
            raise _leads_out(root, place)


def require_own_state(root: Path) -> None:
    """Raise LeadsOutside if the state directory or an entry in it is a link out of the project, a pipe or a device.

    Links to other places in the project are allowed.
    """
    state = root / STATE_DIRECTORY
    if not os.path.lexists(state):
        return
    real = os.path.realpath(root)
    if not _is_below(os.path.realpath(state), real):
        raise _leads_out(root, state)
    pending = [state]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(Path(entry.path))
                        if sys.platform == "win32" and not _is_below(os.path.realpath(entry.path), real):  # a junction
                            raise _leads_out(root, Path(entry.path))
                    elif entry.is_symlink():
                        if not _is_below(os.path.realpath(entry.path), real):
                            raise _leads_out(root, Path(entry.path))
                    elif not entry.is_file(follow_symlinks=False):
                        raise _not_a_file(root, Path(entry.path))
        except OSError:  # the code that uses the directory reports why it cannot be read
            continue


def require_plain(directory: Path, *names: str) -> None:
    """Raise LeadsOutside for each of `names` in `directory` that exists and is not a regular file (a link is not)."""
    for name in names:
        path = directory / name
        if not os.path.lexists(path):
            continue
        if path.is_symlink():
            raise _leads_out(directory, path)
        if not path.is_file():
            raise _not_a_file(directory, path)


def _leads_out(root: Path, place: Path) -> LeadsOutside:
    target = link_target(place)
    destination = f", to {target}" if target is not None else ""
    return LeadsOutside(
        f"{_name(root, place)} is a symbolic link that leads out of {root}{destination}: nothing was written",
        hint="remove the link; ckfunc writes inside the project only",
    )


def _not_a_file(root: Path, place: Path) -> LeadsOutside:
    return LeadsOutside(f"{_name(root, place)} in {root} is not a regular file: nothing was written", hint="remove it")


def _name(root: Path, place: Path) -> str:
    return place.relative_to(root).as_posix()


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
