"""The shape of a document: its fields, their types, and its links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ckfunc.wire.contract import schemas

USER_DATA = frozenset({"properties", "args", "result", "environmentVariables", "secret"})
"""Fields whose content is up to the user."""

_VARIANTS = frozenset(
    value for schema in schemas().values() for value in schema.get("discriminator", {}).get("mapping", ())
)

Shape = frozenset[tuple[str, str]]
"""Locations such as `_embedded/messages[]<TEXT>/user/id`, with types or, for links, paths without numbers."""


def shape(document: Any) -> Shape:
    """Return the shape of a document in camelCase."""
    return frozenset(_places(document, ""))


def _places(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        yield place, "array"
        for element in value:
            yield from _places(element, f"{place}[]")
    elif isinstance(value, dict):
        kind = value.get("type")
        variant = f"<{kind}>" if kind in _VARIANTS else ""
        yield f"{place}{variant}", "object"
        for name, field in value.items():
            below = f"{place}{variant}/{name}".removeprefix("/")
            if name == "_links":
                for relation, link in field.items():
                    yield f"{below}/{relation}", _target(link["href"])
            elif name in USER_DATA:
                yield below, "user data"
            else:
                yield from _places(field, below)
    else:
        yield place, "boolean" if isinstance(value, bool) else type(value).__name__


def _target(href: str) -> str:
    address = urlsplit(href)
    names = sorted(re.findall(r"(?:^|&)(\w+)=", address.query))
    path = re.sub(r"/\d+(?=/|$)", "/{n}", address.path)
    return f"{path}?{','.join(names)}" if names else path
