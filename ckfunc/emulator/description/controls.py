"""The emulator's own controls, as `controls.json` describes them in the format of the platform's contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ckfunc.wire.contract import Operation, read_operation

_FILE = Path(__file__).parent / "controls.json"


@cache
def control_operations() -> tuple[Operation, ...]:
    """Return every control under /emulator/."""
    return tuple(read_operation(one) for one in _document()["operations"])


def control_schemas() -> Mapping[str, Any]:
    """Return the schemas of the controls by name; they refer to those of the platform, too."""
    found: dict[str, Any] = _document()["schemas"]
    return found


@cache
def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_FILE.read_text("utf-8"))
    return found
