"""Typed access to JSON fields, and merge patches (RFC 7396).

Every error names the field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar

from ckfunc.base.clock import parse_timestamp
from ckfunc.wire.dialects import canonical

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

NAME_LIMIT = 1024
"""The maximum number of characters in a name, label or tag. Our limit: the platform documents none."""

_INT64 = range(-(2**63), 2**63)
_SURROGATE = re.compile("[\ud800-\udfff]")
_KINDS = {str: "a string", int: "an integer", bool: "a boolean", dict: "an object", list: "an array", float: "a number"}


class Malformed(ValueError):
    """A field of a document is missing or has another type."""


def resource(document: Any, label: str) -> Mapping[str, Any]:
    """Return a JSON object in canonical spelling; `label` names it in the error."""
    if not isinstance(document, dict):
        raise Malformed(f"{label} is {_kind(document)}, not an object")
    spelled: Mapping[str, Any] = canonical(document)
    return spelled


def required(document: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return the field `name`, which must be of type `kind` (true and false are not integers).

    Integers must fit into 64 bits; strings must not contain half of a surrogate pair. Raises Malformed.
    """
    if name not in document:
        raise Malformed(f"field {name!r} is missing")
    value = document[name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Malformed(f"field {name!r} is {_kind(value)}, not {_KINDS.get(kind, kind.__name__)}")
    if isinstance(value, int) and value not in _INT64:
        raise Malformed(f"field {name!r} is an integer of more than 64 bits")
    if isinstance(value, str) and _SURROGATE.search(value):
        raise Malformed(f"field {name!r} contains half of a surrogate pair, which is not valid Unicode")
    return value


def optional(document: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """Return the field `name`, or None if it is missing or null."""
    return None if document.get(name) is None else required(document, name, kind)


def label(document: Mapping[str, Any], name: str, *, limit: int = NAME_LIMIT) -> str:
    """Return the field `name`: a text that is required, not blank, and at most `limit` characters long."""
    value = required(document, name, str)
    if not value.strip():
        raise Malformed(f"field {name!r} is empty")
    if len(value) > limit:
        raise Malformed(f"field {name!r} has {len(value)} characters; at most {limit} are allowed")
    return value


def optional_label(document: Mapping[str, Any], name: str) -> str | None:
    """Return the field `name` like `label`, or None if it is missing or null."""
    return None if document.get(name) is None else label(document, name)


def choice(document: Mapping[str, Any], name: str, kind: type[E]) -> E:
    """Return the field `name` as a member of the enumeration `kind`."""
    value = required(document, name, str)
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(str(member.value) for member in kind)
        raise Malformed(f"field {name!r} is {value[:50]!r}, not one of {allowed}") from None


def moment(document: Mapping[str, Any], name: str) -> datetime:
    """Return the field `name` as a time in UTC."""
    value = required(document, name, str)
    try:
        return parse_timestamp(value)
    except (ValueError, OverflowError):
        raise Malformed(f"field {name!r} is {value[:50]!r}, not a time such as 2022-01-31T12:00:00.000Z") from None


def optional_moment(document: Mapping[str, Any], name: str) -> datetime | None:
    """Return the field `name` as a time in UTC, or None if it is missing or null."""
    return None if document.get(name) is None else moment(document, name)


def user_data(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the field `properties`: free-form data with unchanged names; {} if it is missing or null."""
    return optional(document, "properties", dict) or {}


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), type(value).__name__)


def fields(patch: Any, label: str, *, keep: tuple[str, ...]) -> Mapping[str, Any]:
    """Return a patch in canonical spelling. The fields in `keep` may be changed, but not removed with null.

    A patch of None changes nothing. Raises Malformed.
    """
    data = {} if patch is None else resource(patch, label)
    for name in keep:
        if name in data and data[name] is None:
            raise Malformed(f"field {name!r} is null, but it cannot be removed")
    return data


def patched_data(data: Mapping[str, Any], patch: Mapping[str, Any]) -> Mapping[str, Any]:
    """Apply the field `properties` of `patch` to `data`: null removes all of it, a missing field changes nothing."""
    if "properties" not in patch:
        return data
    properties = optional(patch, "properties", dict)
    merged: dict[str, Any] = {} if properties is None else merge(data, properties)
    return merged


def merge(target: Any, patch: Any) -> Any:
    """Return `target` with a merge patch applied. Source: RFC 7396 section 2."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged
