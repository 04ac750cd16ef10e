"""The route table: find a request's handler and the format of its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from ckfunc.base.frozen import frozen
from ckfunc.emulator.http.bodies import MEBIBYTE
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Missing, Refused
from ckfunc.emulator.store.application import APPLICATION_ID
from ckfunc.wire.dialects import Dialect

# No source says which type selects which spelling; this follows what the vendor's SDKs send and read.
_SPELLING = {"application/vnd.chatkitty.v1+json": Dialect.CAMEL, "application/vnd.chatkitty+json": Dialect.SNAKE}

_NEUTRAL = ("application/json", "application/hal+json", "application/vnd.hal+json")


class Access(Enum):
    """The clients that may call a route."""

    TOKEN = "token"  # noqa: S105 - a kind of access, not a token
    """Clients with a token."""
    PUBLIC = "public"
    """All clients."""
    CONTROL = "control"
    """All clients on this machine, except pages of other sites in a browser."""


Handler = Callable[[Call, Any], Reply | Awaitable[Reply]]
"""Takes the call and the EmulatorServices. A handler that is not a coroutine is atomic."""


@frozen
class Route:
    """One line of the route table. `path` has `{name}` for a parameter, and neither /v1 nor a trailing slash.

    The handler's name is the operation's, in snake_case.
    """

    method: str
    path: str
    handler: Handler
    access: Access = Access.TOKEN
    body_bytes: int = 2 * MEBIBYTE
    """The largest body that is read."""
    stores_file: bool = False
    """Whether the handler stores the file of a form (see `EmulatorServices.storing`)."""


@dataclass(slots=True)
class _Node:
    literal: dict[str, _Node] = field(default_factory=dict)
    parameter: tuple[str, _Node] | None = None
    routes: dict[str, Route] = field(default_factory=dict)


class Router:
    """Find routes by the path's segments; a literal segment is preferred to a parameter. `noun` names a route."""

    def __init__(self, routes: Iterable[Route], noun: str = "operation") -> None:
        self._root = _Node()
        self._noun = noun
        for route in routes:
            node = self._root
            for segment in filter(None, route.path.split("/")):
                if segment.startswith("{"):
                    name = segment[1:-1]
                    node.parameter = node.parameter or (name, _Node())
                    if node.parameter[0] != name:
                        raise ValueError(f"{route.path}: {segment} has another name in another route")
                    node = node.parameter[1]
                else:
                    node = node.literal.setdefault(segment, _Node())
            if route.method in node.routes:
                raise ValueError(f"{route.method} {route.path} is defined twice")
            node.routes[route.method] = route

    def find(self, method: str, segments: list[str]) -> tuple[Route, dict[str, str]]:
        """Return the route for a path given as its encoded segments, and the path's parameters.

        Raises Missing for an unknown path, and Refused (405 is not documented) for a method that the path does not
        support.
        """
        node = self._root
        parameters: dict[str, str] = {}
        for segment in segments:
            below = node.literal.get(segment)
            if below is None:
                if node.parameter is None:
                    raise Missing(f"there is no {self._noun} at /{'/'.join(segments)[:200]}")
                name, below = node.parameter
                parameters[name] = unquote(segment)
            node = below
        route = node.routes.get(method) or (node.routes.get("GET") if method == "HEAD" else None)
        if route is None:
            if not node.routes:
                raise Missing(f"there is no {self._noun} at /{'/'.join(segments)[:200]}")
            allowed = ", ".join(sorted(node.routes))
            raise Refused(f"{method} is not allowed here; use {allowed}", {"allow": allowed})
        return route, parameters


def segments_of(raw_path: str) -> tuple[bool, list[str]]:
    """Return whether a path begins with /v1, and its segments below that and below /applications/{id}.

    Doubled and trailing slashes are ignored. Raises Missing for another application's id.
    """
    segments = [segment for segment in raw_path.split("/") if segment]
    versioned = bool(segments) and segments[0] == "v1"
    if versioned:
        del segments[0]
    if len(segments) > 1 and segments[0] == "applications":
        if segments[1] != str(APPLICATION_ID):
            raise Missing(f"there is no application {segments[1][:40]}; the emulator's application is {APPLICATION_ID}")
        # A resource's links name the application; the operations do not.
        segments = segments[2:] or ["application"]
    return versioned, segments


@lru_cache(maxsize=512)
def answer_format(accept: str, versioned: bool) -> tuple[Dialect, str]:
    """Return the spelling and media type of an answer; `versioned` is whether the path began with /v1."""
    by_path = Dialect.CAMEL if versioned else Dialect.SNAKE
    for kind in _preferred(accept):
        if kind in _SPELLING:
            return _SPELLING[kind], kind
        if kind in _NEUTRAL:
            return by_path, kind
    return by_path, by_path.media_type


def _preferred(accept: str) -> list[str]:
    """Return the media types of an Accept header, the most preferred first; an unreadable weight counts as 1."""
    weighted: list[tuple[float, str]] = []
    for accepted in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in accepted.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 1.0
        if weight > 0:
            weighted.append((-weight, kind))
    return [kind for _, kind in sorted(weighted, key=lambda pair: pair[0])]
