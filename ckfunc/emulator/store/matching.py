"""Filters on custom properties, as an SQL function."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from ckfunc.base.documents import matches

FUNCTION = "properties_match"
"""The name of the SQL function on every connection: (properties, conditions), both JSON, to 1 or 0."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The property `name` has one of `values`; objects may have more fields than the given ones."""

    name: str
    values: tuple[Any, ...]


def written(conditions: Sequence[Condition]) -> str:
    """Return conditions as the SQL function takes them."""
    return json.dumps([asdict(one) for one in conditions])


def properties_match(properties: str, conditions: str) -> bool:
    """Return whether all conditions match; the SQL function."""
    try:
        have = json.loads(properties)
    except ValueError:  # a damaged row: reading it reports the damage
        return True
    return all(
        one["name"] in have and any(matches(value, have[one["name"]], subset=True) for value in one["values"])
        for one in _read(conditions)
    )


@lru_cache(maxsize=16)
def _read(conditions: str) -> list[Any]:
    read: list[Any] = json.loads(conditions)
    return read
