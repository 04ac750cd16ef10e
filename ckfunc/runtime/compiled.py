"""Compiled code that V8 keeps on disk, in a directory for each owner.

Whoever can write such code decides what runs, so no two projects share it. A new directory begins as a copy of what a
process wrote before it ran any handler: the code of the platform's own packages.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from ckfunc.base.text import digest

_MOST_KEPT = 30
"""Owners whose code stays; that of those who have not run for longest is removed first."""

_NEW = "new-"


class CompiledCode:
    """The compiled code of one owner, such as a project; of no one in particular, it is removed at the end."""

    def __init__(self, cache: Path, owner: str | None) -> None:
        self.owner = digest(owner if owner is not None else os.urandom(16).hex())[:16]
        self._lasting = owner is not None
        self._root = cache / "compiled"
        self._passing: list[Path] = []

    def directory(self, runtime: Path) -> Path:
        """Return where processes with these packages keep their code. Raises OSError."""
        own, clean = self._root / f"{runtime.name}-{self.owner}", self._clean(runtime)
        if own.is_dir():
            with contextlib.suppress(OSError):
                os.utime(own)  # used again: not to be removed soon
            return own
        if clean.is_dir():
            _copy(clean, own)
            self._forget_oldest()
        else:
            self._root.mkdir(parents=True, exist_ok=True)
            own = Path(tempfile.mkdtemp(dir=self._root, prefix=_NEW))
        if not self._lasting or own.name.startswith(_NEW):
            self._passing.append(own)
        return own

    def is_clean(self, directory: Path, runtime: Path) -> bool:
        """Return whether `directory` is new, and what is in it after a start is wanted by `keep_clean`."""
        return directory.name.startswith(_NEW) and not self._clean(runtime).is_dir()

    def keep_clean(self, directory: Path, runtime: Path) -> None:
        """Let other directories begin as this one is, in which nothing but ckfunc and the platform's packages ran."""
        with contextlib.suppress(OSError):
            _copy(directory, self._clean(runtime))

    def close(self) -> None:
        """Remove what does not last."""
        for one in self._passing:
            shutil.rmtree(one, ignore_errors=True)

    def _clean(self, runtime: Path) -> Path:
        return self._root / f"{runtime.name}-clean"

    def _forget_oldest(self) -> None:
        with contextlib.suppress(OSError):
            others = [one for one in self._root.iterdir() if not one.name.endswith("-clean")]
            if len(others) > _MOST_KEPT:
                others.sort(key=lambda one: one.stat().st_mtime)
                for one in others[:-_MOST_KEPT]:
                    shutil.rmtree(one, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """Copy a directory whole or not at all; another process may be faster."""
    with tempfile.TemporaryDirectory(dir=source.parent, prefix=".copy-") as beside:
        made = Path(beside) / "made"
        shutil.copytree(source, made, copy_function=shutil.copyfile)
        try:
            made.rename(target)
        except OSError:
            if not target.is_dir():
                raise
