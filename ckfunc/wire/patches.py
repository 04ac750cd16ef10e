"""How a merge patch changes free-form data, and which fields it may not remove (RFC 7396)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckfunc.wire.reading import Malformed, optional, resource


def fields(patch: Any, what: str, *, keep: tuple[str, ...]) -> Mapping[str, Any]:
    """Return a patch in canonical spelling; those of `keep` may be changed but not removed with null.

    No patch at all (None) changes nothing. Raises Malformed.
    """
    found = {} if patch is None else resource(patch, what)
    for name in keep:
        if name in found and found[name] is None:
            raise Malformed(f"field {name!r} is null, but it cannot be removed")
    return found


def patched_data(data: Mapping[str, Any], patch: Mapping[str, Any], name: str = "properties") -> Mapping[str, Any]:
    """Return `data` as the field `name` of `patch` leaves it: null removes it all, a missing field nothing."""
    if name not in patch:
        return data
    merged: dict[str, Any] = merge(data, optional(patch, name, dict) or {}) if patch[name] is not None else {}
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
