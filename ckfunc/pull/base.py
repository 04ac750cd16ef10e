"""The base of a three-way merge: the last state that application and project shared.

One file for each target, `.ckfunc/base/<target>.json`, has scripts, dependencies, settings and the names of
variables, but never their values. A file that is unreadable or belongs to another application is ignored.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ckfunc.base.files import read_file, write_atomically


@dataclass(frozen=True, slots=True)
class Base:
    """The last shared state. None means unknown; "" is an init script that is known to be absent.

    Texts have plain newlines.
    """

    scripts: Mapping[str, str] = field(default_factory=dict)
    initialization_script: str | None = None
    dependencies: Mapping[str, str] | None = None
    variables: tuple[str, ...] | None = None
    settings: Mapping[str, bool] | None = None

    def updated(self, newer: Base) -> Base:
        """Return this base, updated with the known parts of `newer`."""
        known = {name: value for name, value in _fields(newer).items() if value is not None and name != "scripts"}
        return replace(self, **known, scripts={**self.scripts, **newer.scripts})


def read_base(root: Path, target: str, identity: str | None) -> Base:
    """Return the base of a target, or an empty Base if there is none."""
    try:
        found = json.loads(read_file(_path(root, target)))
        if identity is None or found["identity"] != identity:
            return Base()
        variables, settings = found["variables"], found.get("settings")
        return Base(
            scripts=_texts(found["scripts"]),
            initialization_script=_text(found["initialization_script"]),
            dependencies=None if found["dependencies"] is None else _texts(found["dependencies"]),
            variables=None if variables is None else tuple(map(str, variables)),
            settings=None if settings is None else {str(name): enabled is True for name, enabled in settings.items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Base()


def store_base(root: Path, target: str, identity: str | None, base: Base) -> None:
    """Store the state that a target's application and the project now share. Write failures are ignored."""
    known = read_base(root, target, identity)
    wanted = known.updated(base)
    if identity is None or wanted == known:
        return
    document = {"identity": identity, **_fields(wanted)}
    with contextlib.suppress(OSError):
        write_atomically(root / ".ckfunc" / "base" / ".gitignore", "*\n")
        write_atomically(_path(root, target), json.dumps(document, indent=1))


def _fields(base: Base) -> dict[str, Any]:
    return asdict(base)


def _path(root: Path, target: str) -> Path:
    return root / ".ckfunc" / "base" / f"{target}.json"


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def _texts(values: Any) -> dict[str, str]:
    if not all(isinstance(text, str) for pair in values.items() for text in pair):
        raise TypeError
    return dict(values)
