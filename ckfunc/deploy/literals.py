"""Literal environment values that a project has deployed.

A literal in functions.yaml is public to everyone who can read the project, so a plan shows it. The value that an
application has now is shown only when this project deployed it as a literal; that is what is recorded here, in
`.ckfunc/literals/<target>.json`, for one application per target. Values that came from variables are never recorded.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

from ckfunc.base.files import read_file, write_atomically

MOST = 20
"""How many values of one variable are remembered, the newest."""

Literals = Mapping[str, tuple[str, ...]]
"""Values by the name of their variable, the newest first."""


def deployed_literals(root: Path, target: str, identity: str | None) -> Literals:
    """Return the literals that were deployed to an application; none when that is not known."""
    try:
        found = json.loads(read_file(_path(root, target)))
        if identity is None or found["identity"] != identity:
            return {}
        return {str(name): tuple(map(str, values)) for name, values in found["values"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def keep_literals(root: Path, target: str, identity: str | None, values: Mapping[str, str]) -> None:
    """Remember literals that an application has now. Failing to is no error."""
    known = deployed_literals(root, target, identity)
    wanted = {**known, **{name: _first(value, known.get(name, ())) for name, value in values.items()}}
    if identity is None or wanted == known:
        return
    with contextlib.suppress(OSError):
        write_atomically(_path(root, target).parent / ".gitignore", "*\n")
        write_atomically(_path(root, target), json.dumps({"identity": identity, "values": wanted}, indent=1))


def _first(value: str, known: tuple[str, ...]) -> tuple[str, ...]:
    return (value, *(one for one in known if one != value))[:MOST]


def _path(root: Path, target: str) -> Path:
    return root / ".ckfunc" / "literals" / f"{target}.json"
