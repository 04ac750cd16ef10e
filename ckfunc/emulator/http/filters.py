"""How the filter `properties` of a list is read.

The platform documents that lists can be filtered by custom properties, and no format. Understood here are `key:value`,
where the value is compared as text or as JSON (`level:3` finds 3 and "3"), and a JSON object that the properties must
contain (`{"level": 3}`). Several `properties` must all hold.
"""

from __future__ import annotations

import json
from typing import Any

from ckfunc.emulator.http.bodies import read_json
from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.store.matching import Condition

_FORMATS = "key:value or a JSON object"


def property_conditions(call: Call) -> tuple[Condition, ...]:
    """Return what the properties of the listed must be like. Raises Refused."""
    return tuple(condition for text in call.every("properties") if text for condition in _conditions(text))


def _conditions(text: str) -> list[Condition]:
    if text.lstrip().startswith("{"):
        wanted: Any = _parsed(text)
        return [Condition(name, (value,)) for name, value in wanted.items()]
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise Refused(f"query parameter 'properties' is {text[:60]!r}, not {_FORMATS}")
    try:
        alternatives: tuple[Any, ...] = (value, json.loads(value))
    except (ValueError, RecursionError):
        alternatives = (value,)
    return [Condition(name.strip(), alternatives)]


def _parsed(text: str) -> Any:
    try:
        return read_json(text.encode("utf-8", "replace"), None)
    except Refused as error:
        reason = error.explanation.replace("the body", "it", 1)
        raise Refused(f"query parameter 'properties' is not {_FORMATS}: {reason}") from None
