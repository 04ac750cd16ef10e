"""Destinations of the client protocol: relays, topics, actions and streams.

The platform sends nearly all destinations to clients, so their names are our choice, in the form of the known ones.
"""

from __future__ import annotations

from collections.abc import Iterable

PREFIX = "/application/v1/"
PAGE = ".size..sort."
"""The end of a page's relay: a client inserts its page size and sort order. Source: the vendor's client 1.11.0."""


def relay(of: str, part: str = "") -> str:
    """Return the relay of a resource such as `channels/1`, or of a part of it."""
    return f"{PREFIX}{of}{'.' if part else ''}{part}.relay"


def pages(of: str, part: str) -> str:
    """Return the relay of the first page of a list."""
    return relay(of, part) + PAGE


def action(of: str, name: str) -> str:
    """Return the destination of an action on a resource such as `channels/1`."""
    return f"{PREFIX}{of}.{name}"


def actions(of: str, names: Iterable[str]) -> dict[str, str]:
    """Return the destinations of several actions on a resource, by name."""
    return {name: f"{PREFIX}{of}.{name}" for name in names}


def topic(of: str, part: str = "") -> str:
    """Return the topic of events about a resource, or about a part of it; "self" is the resource."""
    return f"/topic/v1/{of}" if part in ("", "self") else f"/topic/v1/{of}.{part}"


def stream(of: str, part: str) -> str:
    """Return the path to which files are uploaded."""
    return f"/rtm/streams/{of}/{part}"
