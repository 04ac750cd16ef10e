"""Write several files, all or none."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.containment import require_inside
from ckfunc.base.errors import CkfuncError
from ckfunc.base.files import read_file, write_atomically
from ckfunc.base.frozen import frozen
from ckfunc.base.text import counted

if TYPE_CHECKING:
    from ckfunc.base.text import Line
    from ckfunc.model.outputs import FileJson, WrittenJson

_ACTION_STYLES = {"created": "create", "updated": "update", "overwritten": "update"}


class FileAction(StrEnum):
    """Result of writing a file."""

    CREATED = "created"
    OVERWRITTEN = "overwritten"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    REMOVED = "removed"


@frozen
class Written:
    """A file that a command wrote or left unchanged; `note` is advice for the user."""

    path: Path
    action: FileAction
    note: str | None = None


def written_rows(
    root: Path, written: Iterable[Written], also: Iterable[tuple[str, str]] = ()
) -> Sequence[tuple[str, str, str | None]]:
    """Return path (relative to `root`), action and note of each file; `also` are others without a note."""
    rows = [(file.path.relative_to(root).as_posix(), file.action.value, file.note) for file in written]
    return [*rows, *((name, action, None) for name, action in also)]


def written_json(root: Path, rows: Iterable[tuple[str, str, str | None]]) -> WrittenJson:
    """Return written files for `--json`."""
    files: list[FileJson] = [
        {"path": name, "action": action, "note": note} if note else {"path": name, "action": action}
        for name, action, note in rows
    ]
    return {"directory": str(root), "files": files}


def written_lines(rows: Iterable[tuple[str, str, str | None]]) -> Iterator[Line]:
    """Yield a line for each file that was written or has a note; the others are counted at the end."""
    unchanged = 0
    for name, action, note in rows:
        if action == FileAction.UNCHANGED and note is None:
            unchanged += 1
            continue
        style = _ACTION_STYLES.get(action, "muted")
        yield [("  ", ""), (f"{action:<12}", style), (name, ""), (f"  ({note})" if note else "", "muted")]
    if unchanged:
        yield [("  ", ""), (f"{FileAction.UNCHANGED:<12}{counted(unchanged, 'file')}", "muted")]


class FilesExist(CkfuncError):
    """Files to write already exist, with other content."""

    def __init__(self, root: Path, paths: tuple[Path, ...]) -> None:
        names = ", ".join(path.relative_to(root).as_posix() for path in paths)
        verb = "exists" if len(paths) == 1 else "exist"
        super().__init__(f"{names} already {verb}, nothing was written", hint="use --force to overwrite")
        self.paths = paths


class CannotWrite(CkfuncError):
    """The system refused to write a file."""


def write_all(
    root: Path, files: Mapping[str, str], *, force: bool, replaceable: Collection[str] = ()
) -> tuple[Written, ...]:
    """Write `files` (path below `root`, with forward slashes, to text); return the result for each, in order.

    Files that already have this content are not written. Without `force`, other existing files raise FilesExist before
    anything is written, except those in `replaceable`. If a write fails, the writes before it are undone and
    CannotWrite is raised.
    """
    with written_or_undone(root, files, force=force, replaceable=replaceable) as written:
        return written


@contextlib.contextmanager
def written_or_undone(
    root: Path, files: Mapping[str, str], *, force: bool, replaceable: Collection[str] = ()
) -> Iterator[tuple[Written, ...]]:
    """Write files like `write_all`, and undo that if the block raises."""
    contents = {root.joinpath(*name.split("/")): text.encode("utf-8") for name, text in files.items()}
    _refuse_obstacles(root, contents)
    actions = {path: _action(path, content) for path, content in contents.items()}
    ours = {root.joinpath(*name.split("/")) for name in replaceable}
    conflicts = tuple(path for path, action in actions.items() if action is FileAction.OVERWRITTEN and path not in ours)
    if conflicts and not force:
        raise FilesExist(root, conflicts)
    with contextlib.ExitStack() as undo:
        for path, action in actions.items():
            if action is not FileAction.UNCHANGED:
                _write(undo, path, contents[path])
        yield tuple(Written(path, action) for path, action in actions.items())
        undo.pop_all()


def require_file_place(path: Path) -> None:
    """Raise CannotWrite if `path` is a pipe or a device, which can be neither read nor restored."""
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113 - False for a name that is too long
        raise CannotWrite(f"{path} is not a regular file, nothing was written", hint="move it, or choose another place")


def is_directory(path: Path) -> bool:
    """Return whether `path` is a directory; false for a path that the system rejects (because it is too long)."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _action(path: Path, content: bytes) -> FileAction:
    if not os.path.lexists(path):
        return FileAction.CREATED
    try:
        return FileAction.UNCHANGED if _lines(read_file(path)) == _lines(content) else FileAction.OVERWRITTEN
    except OSError:  # a broken link or an unreadable file must not be replaced without `force`
        return FileAction.OVERWRITTEN


def _lines(content: bytes) -> bytes:
    """Return a file's content with LF: git on Windows checks files out with CRLF."""
    return content.replace(b"\r\n", b"\n")


def _refuse_obstacles(root: Path, contents: Mapping[Path, bytes]) -> None:
    """Raise CannotWrite or LeadsOutside for obstacles that `force` does not remove.

    These are a directory, pipe or device in place of a file, a file in place of a directory, and a link out of `root`.
    """
    for path in contents:
        require_inside(root, path)
        if is_directory(path):
            raise CannotWrite(f"{path} is a directory, nothing was written", hint="move it, or choose another place")
        require_file_place(path)
        for parent in path.relative_to(root).parents:
            directory = root / parent
            if os.path.lexists(directory) and not is_directory(directory):
                raise CannotWrite(f"{directory} is not a directory, nothing was written", hint="choose another place")


def _write(undo: contextlib.ExitStack, path: Path, content: bytes) -> None:
    """Write a file, after adding the undo of that to `undo`."""
    try:
        _restore_later(undo, path)
        write_atomically(path, content)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotWrite(f"cannot write {path}: {reason}", hint="nothing was written") from error


def _restore_later(undo: contextlib.ExitStack, path: Path) -> None:
    """Add to `undo` the actions that restore the current state of `path` and of its parent directories."""
    for parent in reversed([each for each in path.parents if not os.path.lexists(each)]):
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
    """Run `action` and ignore its errors, which must not hide the error that caused the undo."""
    with contextlib.suppress(OSError):
        action()
