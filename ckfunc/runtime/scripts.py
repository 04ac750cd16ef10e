"""Files of compiled scripts for Node to load: beside the installed packages, named by content."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

from ckfunc.base.files import write_atomically
from ckfunc.base.text import digest
from ckfunc.model.execution import Compiled

DIRECTORY = "handlers"
_KEPT_S = 14 * 24 * 3600.0
# A handler need not be exported: one more line tells the host what the top-level name stands for.
_EPILOGUES = {
    "cjs": "\n;module.ckfuncHandler = typeof handleEvent === 'function' ? handleEvent : undefined;\n",
    "mjs": "\n;export const ckfuncHandler = typeof handleEvent === 'function' ? handleEvent : undefined;\n",
}


def scripts_directory(runtime: Path, owner: str) -> Path:
    """Return where the scripts of an owner lie, below the packages that they find: nobody else's processes read it."""
    return runtime / DIRECTORY / owner


def place(script: Compiled, directory: Path) -> dict[str, str]:
    """Write the script and its source map where they are not yet; return what the host is told: file, map, name, kind.

    The same content always gets the same file, so that V8's compile cache knows it. Raises OSError.
    """
    stem = re.sub(r"\W+", "-", Path(script.name).stem)[:40]
    identity = digest("\0".join((script.name, script.module_kind, script.javascript, script.source_map)))[:20]
    file = directory / f"{stem}-{identity}.{script.module_kind}"
    mapping = file.with_name(f"{file.name}.map")
    code = (script.javascript + _EPILOGUES[script.module_kind]).encode("utf-8", "replace")
    for one, content in ((mapping, script.source_map.encode()), (file, code)):
        if _holds(one, content):
            with contextlib.suppress(OSError):
                os.utime(one)  # used again: not to be forgotten soon
        else:
            write_atomically(one, content)
    return {"file": str(file), "map": str(mapping), "name": script.name, "kind": script.module_kind}


def _holds(file: Path, content: bytes) -> bool:
    """Tell whether a file is whole: one that was cut short or changed is not used."""
    try:
        return file.read_bytes() == content
    except OSError:
        return False


def forget_old(runtime: Path) -> None:
    """Remove scripts that nothing has used for two weeks."""
    oldest = time.time() - _KEPT_S
    with contextlib.suppress(OSError):
        for file in (runtime / DIRECTORY).rglob("*.*js*"):
            if file.stat().st_mtime < oldest:
                file.unlink(missing_ok=True)
