"""Write several files, all or none."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ckfunc.base.containment import require_inside
from ckfunc.base.errors import CkfuncError
from ckfunc.base.files import read_file, write_atomically


class FileAction(StrEnum):
    """What became of a file."""

    CREATED = "created"
    OVERWRITTEN = "overwritten"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Written:
    """A file that a command made or left alone; `note` says what the user may want to do about it."""

    path: Path
    action: FileAction
    note: str | None = None


class FilesExist(CkfuncError):
    """Files that would be written are there already, with other content."""

    def __init__(self, root: Path, paths: tuple[Path, ...]) -> None:
        names = ", ".join(path.relative_to(root).as_posix() for path in paths)
        verb = "exists" if len(paths) == 1 else "exist"
        super().__init__(f"{names} {verb} already, nothing was written", hint="--force overwrites")
        self.paths = paths


class CannotWrite(CkfuncError):
    """The system refused a file."""


def write_all(
    root: Path, files: Mapping[str, str], *, force: bool, replaceable: Collection[str] = ()
) -> tuple[Written, ...]:
    """Write `files` (path below `root`, with forward slashes, to text) and return what became of each, in that order.

    A file that has this content already is left alone. Without `force`, other existing ones raise FilesExist, all at
    once, before anything is written; but those named in `replaceable` are ours. When a write fails, those before it are
    undone and CannotWrite is raised.
    """
    with written_or_undone(root, files, force=force, replaceable=replaceable) as written:
        return written


@contextlib.contextmanager
def written_or_undone(
    root: Path, files: Mapping[str, str], *, force: bool, replaceable: Collection[str] = ()
) -> Iterator[tuple[Written, ...]]:
    """Do what `write_all` does, and take it back when the block raises."""
    wanted = {root.joinpath(*name.split("/")): text.encode("utf-8") for name, text in files.items()}
    _refuse_obstacles(root, wanted)
    actions = {path: _action(path, content) for path, content in wanted.items()}
    ours = {root.joinpath(*name.split("/")) for name in replaceable}
    conflicts = tuple(path for path, action in actions.items() if action is FileAction.OVERWRITTEN and path not in ours)
    if conflicts and not force:
        raise FilesExist(root, conflicts)
    with contextlib.ExitStack() as undo:
        for path, action in actions.items():
            if action is not FileAction.UNCHANGED:
                _write(undo, path, wanted[path])
        yield tuple(Written(path, action) for path, action in actions.items())
        undo.pop_all()


def require_file_place(path: Path) -> None:
    """Refuse a pipe or a device in a file's place: it can be neither read nor put back. Raises CannotWrite."""
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113 - False for a name that is too long
        raise CannotWrite(f"{path} is not a regular file, nothing was written", hint="move it, or choose another place")


def is_directory(path: Path) -> bool:
    """Return whether `path` is a directory; one that cannot even be asked about (its name is too long) is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _action(path: Path, content: bytes) -> FileAction:
    if not os.path.lexists(path):
        return FileAction.CREATED
    try:
        return FileAction.UNCHANGED if read_file(path) == content else FileAction.OVERWRITTEN
    except OSError:  # a link that leads nowhere, a file that may not be read: not ours to replace unasked
        return FileAction.OVERWRITTEN


def _refuse_obstacles(root: Path, wanted: Mapping[Path, bytes]) -> None:
    """Refuse what `force` cannot mean either: a directory in a file's place, a file in a directory's place.

    Also a pipe or a device in a file's place, and a directory that is a link out of `root`. Raises CannotWrite and
    LeadsOutside.
    """
    for path in wanted:
        require_inside(root, path)
        if is_directory(path):
            raise CannotWrite(f"{path} is a directory, nothing was written", hint="move it, or choose another place")
        require_file_place(path)
        for parent in path.relative_to(root).parents:
            place = root / parent
            if os.path.lexists(place) and not is_directory(place):
                raise CannotWrite(f"{place} is not a directory, nothing was written", hint="choose another place")


def _write(undo: contextlib.ExitStack, path: Path, content: bytes) -> None:
    """Write one file and add to `undo` what takes it back."""
    try:
        _restore_later(undo, path)
        write_atomically(path, content)
    except OSError as error:
        why = error.strerror or str(error)
        raise CannotWrite(f"cannot write {path}: {why}", hint="nothing was written") from error


def _restore_later(undo: contextlib.ExitStack, path: Path) -> None:
    """Add to `undo` what puts `path` back to how it is now, the directories above it included."""
    for parent in reversed([one for one in path.parents if not os.path.lexists(one)]):
        undo.callback(_best_effort, parent.rmdir)
    if path.is_symlink():
        undo.callback(_best_effort, functools.partial(_restore_link, path, path.readlink()))
    elif path.exists():
        mode = path.stat().st_mode & 0o777
        undo.callback(_best_effort, functools.partial(write_atomically, path, read_file(path), mode=mode))
    else:
        undo.callback(_best_effort, functools.partial(path.unlink, missing_ok=True))


def _restore_link(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _best_effort(action: Callable[[], None]) -> None:
    """Do `action`; its own failure must not hide the one that is being undone."""
    with contextlib.suppress(OSError):
        action()
