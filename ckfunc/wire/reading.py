"""How a field is taken out of a document that may be wrong: with its name in the error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from ckfunc.wire.dialects import canonical

T = TypeVar("T")


class Malformed(ValueError):
    """A document lacks a field, or has it with another type."""


def resource(document: Any, what: str) -> Mapping[str, Any]:
    """Return a JSON object in canonical spelling; `what` names it in the error."""
    if not isinstance(document, dict):
        raise Malformed(f"{what} is {_kind(document)}, not an object")
    spelled: Mapping[str, Any] = canonical(document)
    return spelled


def required(document: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return the field `name`, which must be of type `kind` (true and false are no integers)."""
    value = document.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Malformed(f"field {name!r} is {_kind(value) if name in document else 'missing'}, not {kind.__name__}")
    return value


def optional(document: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """Return the field `name`, or None when it is missing or null."""
    return None if document.get(name) is None else required(document, name, kind)


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__
