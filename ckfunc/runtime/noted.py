"""Notes of where installed tools are, so that a look need not start Node."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from ckfunc.base.files import write_atomically


def noted(note: Path) -> Path | None:
    """Return the file that a note names, None when there is no such note or file."""
    with contextlib.suppress(OSError, ValueError):
        if (known := Path(note.read_text(encoding="utf-8"))).is_file():
            return known
    return None


def found_once(note: Path, find: Callable[[], Path]) -> Path:
    """Return the file that a note names, or what `find` finds, and note that. Raises what `find` raises."""
    if (known := noted(note)) is not None:
        return known
    found = find()
    with contextlib.suppress(OSError):
        write_atomically(note, str(found))
    return found
