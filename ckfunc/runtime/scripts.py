"""Compiled scripts and V8 code caches on disk.

Each owner has a directory. Scripts are next to the installed packages, and named by content. V8 runs cached code
without checks, so projects do not share it. A new directory is a copy of the code that a process wrote before it ran
any handler: that of the platform's own packages.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

from ckfunc.base.files import mark_used, remove_unused, write_atomically
from ckfunc.base.text import digest
from ckfunc.model.execution import Compiled

DIRECTORY = "handlers"
_UNUSED_S = 14 * 24 * 3600.0
# Handlers need not be exported: an additional line gives the host the top-level function.
_EPILOGUES = {
    "cjs": "\n;module.ckfuncHandler = typeof handleEvent === 'function' ? handleEvent : undefined;\n",
    "mjs": "\n;export const ckfuncHandler = typeof handleEvent === 'function' ? handleEvent : undefined;\n",
}

_MOST_DIRECTORIES = 30
"""The maximum number of code directories; the least recently used ones are removed."""
_NEW = "new-"


def place(script: Compiled, directory: Path) -> dict[str, str]:
    """Write the script and its source map unless they exist, and return their description for the host.

    Equal contents always have the same file, so that V8's compile cache works. Raises OSError.
    """
    stem = re.sub(r"\W+", "-", Path(script.name).stem)[:40]
    identity = digest("\0".join((script.name, script.module_kind, script.javascript, script.source_map)))[:20]
    file = directory / f"{stem}-{identity}.{script.module_kind}"
    mapping = file.with_name(f"{file.name}.map")
    code = (script.javascript + _EPILOGUES[script.module_kind]).encode("utf-8", "replace")
    for path, content in ((mapping, script.source_map.encode()), (file, code)):
        if _has_content(path, content):
            mark_used(path)
        else:
            write_atomically(path, content)
    return {"file": str(file), "map": str(mapping), "name": script.name, "kind": script.module_kind}


def _has_content(file: Path, content: bytes) -> bool:
    """Return whether a file has this content. Truncated or changed files are replaced."""
    try:
        return file.read_bytes() == content
    except OSError:
        return False


def forget_old(scripts: Path) -> None:
    """Remove scripts that were not used for two weeks, of this owner and of others that have not run since then."""
    oldest = time.time() - _UNUSED_S
    with contextlib.suppress(OSError):
        for owner in scripts.parent.iterdir():
            if owner == scripts:
                remove_unused(owner, _UNUSED_S)
            elif owner.stat().st_mtime < oldest and remove_unused(owner, _UNUSED_S):
                owner.rmdir()


class CompiledCode:
    """V8's compiled code of an owner, such as a project. Without an owner, it is removed at the end."""

    def __init__(self, cache: Path, owner: str | None) -> None:
        self.owner = digest(owner if owner is not None else os.urandom(16).hex())[:16]
        self._has_owner = owner is not None
        self._root = cache / "compiled"
        self._temporary: list[Path] = []

    def scripts(self, runtime: Path) -> Path:
        """Return the directory of scripts, below the packages that they import. Only the owner's processes read it."""
        directory = runtime / DIRECTORY / self.owner
        directory.mkdir(parents=True, exist_ok=True)
        mark_used(directory)
        if not self._has_owner and directory not in self._temporary:
            self._temporary.append(directory)
        return directory

    def directory(self, runtime: Path) -> Path:
        """Return the code directory for processes with these packages. Raises OSError."""
        own, clean = self._root / f"{runtime.name}-{self.owner}", self._clean(runtime)
        if own.is_dir():
            mark_used(own)
            return own
        if clean.is_dir():
            _copy(clean, own)
            os.utime(own)  # a copy has the age of its origin, and would be forgotten first
            self._forget_oldest()
        else:
            self._root.mkdir(parents=True, exist_ok=True)
            own = Path(tempfile.mkdtemp(dir=self._root, prefix=_NEW))
        if not self._has_owner or own.name.startswith(_NEW):
            self._temporary.append(own)
        return own

    def is_clean(self, directory: Path, runtime: Path) -> bool:
        """Return whether `directory` is new, so that `keep_clean` should store it after a start."""
        return directory.name.startswith(_NEW) and not self._clean(runtime).is_dir()

    def keep_clean(self, directory: Path, runtime: Path) -> None:
        """Store `directory` as the initial state of others. Only ckfunc and the platform's packages have run in it."""
        with contextlib.suppress(OSError):
            _copy(directory, self._clean(runtime))

    def close(self) -> None:
        """Remove directories without an owner."""
        for directory in self._temporary:
            shutil.rmtree(directory, ignore_errors=True)

    def _clean(self, runtime: Path) -> Path:
        return self._root / f"{runtime.name}-clean"

    def _forget_oldest(self) -> None:
        with contextlib.suppress(OSError):
            paths = [path for path in self._root.iterdir() if not path.name.endswith("-clean")]
            if len(paths) > _MOST_DIRECTORIES:
                paths.sort(key=lambda path: path.stat().st_mtime)
                for directory in paths[:-_MOST_DIRECTORIES]:
                    shutil.rmtree(directory, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """Copy a directory atomically; another process may do so first."""
    with tempfile.TemporaryDirectory(dir=source.parent, prefix=".copy-") as temporary:
        copied = Path(temporary) / "copied"
        shutil.copytree(source, copied, copy_function=shutil.copyfile)
        try:
            copied.rename(target)
        except OSError:
            if not target.is_dir():
                raise
