"""The variables of a manifest in `.env.example`.

The file lists every variable that the manifest refers to, without values, for people who clone the project. Names are
added at its end; what is in it stays, comments and names that are no longer used included.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ckfunc.base.files import read_file
from ckfunc.manifest.project import all_referenced_variables

EXAMPLE_NAME = ".env.example"
_HEAD = "# Copy to .env (for every target) or .env.TARGET (for one). Neither belongs in git.\n"


def missing_example(root: Path) -> str | None:
    """Return the text of `.env.example` with every variable of the manifest in it; None when it has them already.

    Also None when the file cannot be read as text: it is not replaced then. Raises as `all_referenced_variables` does.
    """
    names = all_referenced_variables(root)
    text: str | None = None
    try:
        text = read_file(root / EXAMPLE_NAME).decode()
    except FileNotFoundError:
        if not names:
            return None
    except (OSError, UnicodeDecodeError):
        return None
    made = example_text(text, names)
    return made if made != text else None


def example_text(text: str | None, names: Iterable[str]) -> str:
    """Return `.env.example` with every name in it, without values; `text` is what it holds now, None for no file.

    A name in a comment counts as being there.
    """
    found = _HEAD if text is None else text
    there = {line.lstrip("\ufeff# \t").removeprefix("export ").partition("=")[0].strip() for line in found.splitlines()}
    missing = [name for name in names if name not in there]
    if not missing and text is not None:
        return text
    newline = "\r\n" if "\r\n" in found else "\n"
    ended = found if not found or found.endswith("\n") else f"{found}{newline}"
    return ended + "".join(f"{name}={newline}" for name in missing)
