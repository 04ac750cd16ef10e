"""Spellings of field names: camelCase for /v1, snake_case for the vendor's media type.

Inside ckfunc, documents are always in camelCase ("canonical spelling"); they are converted where they are sent and
received. Names inside user data are never changed.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Any

from ckfunc.base.documents import json_writer

JSON = "application/json"
VENDOR_JSON = "application/vnd.chatkitty+json"
MERGE_PATCH = "application/json+merge-patch"

_OPAQUE = frozenset(
    {
        "properties",
        "environmentVariables",
        "environment_variables",
        "args",
        "result",
        "calls",
        "authParams",
        "auth_params",
        "secret",
        "_links",
        "_relays",
    }
)
_UPPER = re.compile(r"(?<=[a-z0-9])([A-Z])")
_LOWER = re.compile(r"(?<=[A-Za-z0-9])_([a-z0-9])")


class Dialect(StrEnum):
    """A spelling of field names."""

    CAMEL = "camel"
    SNAKE = "snake"

    @property
    def media_type(self) -> str:
        """The media type of a JSON body in this spelling."""
        return JSON if self is Dialect.CAMEL else VENDOR_JSON


@lru_cache(maxsize=4096)
def snake(name: str) -> str:
    """Convert createdTime to created_time."""
    # The vendor's newest SDK reads isGuest in responses, although all other names are in snake_case.
    return name if name == "isGuest" else _UPPER.sub(lambda match: "_" + match[1].lower(), name)


@lru_cache(maxsize=4096)
def camel(name: str) -> str:
    """Convert created_time to createdTime; a leading underscore is kept."""
    return _LOWER.sub(lambda match: match[1].upper(), name)


_compact = json_writer(ensure_ascii=False, separators=(",", ":"))


def compact_json(document: Any) -> bytes:
    """Return a document as the shortest JSON, in UTF-8."""
    return _compact(document).encode("utf-8", "replace")


def spelled(document: Any, dialect: Dialect) -> Any:
    """Convert a canonical document to `dialect`, except user data in it."""
    return _respelled(document, snake) if dialect is Dialect.SNAKE else document


def canonical(document: Any) -> Any:
    """Convert a document of either dialect (or a mixture) to camelCase, except user data in it."""
    return _respelled(document, camel)


def dialect_of(document: Any) -> Dialect | None:
    """Return the spelling of a resource, or None if each of its names is the same in both spellings."""
    if isinstance(document, list):
        return next((dialect for item in document if (dialect := dialect_of(item))), None)
    if not isinstance(document, dict):
        return None
    for name, value in document.items():
        if name != "isGuest" and snake(name) != name:
            return Dialect.CAMEL
        if camel(name) != name:
            return Dialect.SNAKE
        if name not in _OPAQUE and (dialect := dialect_of(value)):
            return dialect
    return None


def _respelled(document: Any, respell: Any) -> Any:
    if isinstance(document, dict):
        return {
            respell(name): value if name in _OPAQUE else _respelled(value, respell) for name, value in document.items()
        }
    if isinstance(document, list):
        return [_respelled(item, respell) for item in document]
    return document
