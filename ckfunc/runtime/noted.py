"""Notes of where installed tools are, so that a look need not start Node."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from ckfunc.base.files import read_file, write_atomically
from ckfunc.runtime.cache import hold
from ckfunc.runtime.contents import is_complete


def noted(note: Path) -> Path | None:
    """Return the file that a note names; None when there is no such note, or its installation is not complete."""
    with contextlib.suppress(OSError, ValueError):
        known = Path(read_file(note).decode("utf-8"))
        home = next((one.parent for one in known.parents if one.name == "node_modules"), known)
        if known.is_file() and is_complete(home):
            hold(home)
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
