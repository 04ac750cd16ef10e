"""Read the destinations that clients send."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ckfunc.emulator.http.problems import Missing

ERROR_QUEUES = ("/user/queue/v1/errors", "/user/queue/errors")
"""Where clients 1.x and 2.x listen for errors."""

RELAY = ".relay"

_RESOURCE = r"(?P<kind>[a-z_]+)(?:/(?P<id>[0-9]{1,18}))?"
_APPLICATION = r"/application/(?:v1/)?"
_TOPIC = re.compile(rf"/topic/v1/{_RESOURCE}(?:\.(?P<part>[A-Za-z]+))?", re.ASCII)
_ACTION = re.compile(rf"{_APPLICATION}{_RESOURCE}\.(?P<part>[A-Za-z]+)", re.ASCII)
# Clients put their size and sort order into a page's relay, or append a sort order to it.
_RELAY = re.compile(
    rf"{_APPLICATION}{_RESOURCE}(?:\.(?P<part>[A-Za-z_]+))?\.relay"
    r"(?:\.(?P<direction>page|next|previous)\.(?P<at>[0-9]{1,18}))?"
    r"(?:\.size\.(?P<size>[0-9]{0,9})\.sort\.(?P<sort>[A-Za-z.,]{0,200}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class PagePosition:
    """The page that a relay requests: `direction` is page, next or previous, from the page or message `at`."""

    direction: str = "page"
    at: int = 0
    size: int | None = None
    sort: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination: the kind of its resource with an id, or without one for the session's user, and a part of it."""

    kind: str
    id: int | None
    part: str
    page: PagePosition = PagePosition()

    @property
    def name(self) -> str:
        """The name in the tables of relays, topics and actions, such as `channels.messages`."""
        return f"{self.kind}.{self.part}" if self.part else self.kind

    @property
    def of(self) -> str:
        """The resource, such as `channels/1`."""
        return self.kind if self.id is None else f"{self.kind}/{self.id}"


def read_topic(text: str) -> Destination:
    """Read the destination of a topic. Raises Missing."""
    return _read(_TOPIC, text)


def read_action(text: str) -> Destination:
    """Read the destination of an action. Raises Missing."""
    return _read(_ACTION, text)


def read_relay(text: str) -> Destination:
    """Read the destination of a relay. Raises Missing."""
    found = _match(_RELAY, text)
    size = found["size"]
    page = PagePosition(
        found["direction"] or "page", int(found["at"] or 0), int(size) if size else None, found["sort"] or ""
    )
    return Destination(found["kind"], _id(found), found["part"] or "", page)


def _read(pattern: re.Pattern[str], text: str) -> Destination:
    found = _match(pattern, text)
    return Destination(found["kind"], _id(found), found["part"] or "")


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    found = pattern.fullmatch(text)
    if found is None:
        raise Missing(f"there is no destination {text[:200]!r}")
    return found


def _id(found: re.Match[str]) -> int | None:
    return None if found["id"] is None else int(found["id"])
