"""`.env.example`: the names of a project's variables, without values."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ckfunc.base.files import read_file
from ckfunc.manifest.project import referenced_variables, targets

EXAMPLE_NAME = ".env.example"
_HEADER = "# Copy this file to .env (for all targets) or .env.TARGET (for one target). Do not commit those files.\n"


def missing_example(root: Path) -> str | None:
    """Return `.env.example` with all variables of the manifest added; None if it has all of them.

    Also None if the file cannot be read as text, so that it is not replaced. Raises the same errors as
    `targets`.
    """
    names = sorted({name for target in targets(root) for name in referenced_variables(root, target)})
    text: str | None = None
    try:
        text = read_file(root / EXAMPLE_NAME).decode()
    except FileNotFoundError:
        if not names:
            return None
    except (OSError, UnicodeDecodeError):
        return None
    updated = example_text(text, names)
    return updated if updated != text else None


def example_text(text: str | None, names: Iterable[str]) -> str:
    """Return `.env.example` with all `names` added, without values; `text` is its current content, None for no file.

    A name in a comment counts as present.
    """
    current = _HEADER if text is None else text
    lines = [line.lstrip("\ufeff# \t").removeprefix("export ") for line in current.splitlines()]
    present = {line.partition("=")[0].strip() for line in lines}
    missing = [name for name in names if name not in present]
    if not missing and text is not None:
        return text
    newline = "\r\n" if "\r\n" in current else "\n"
    ended = current if not current or current.endswith("\n") else f"{current}{newline}"
    return ended + "".join(f"{name}={newline}" for name in missing)
