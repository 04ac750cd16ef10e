"""Where a resource's HAL links point: every one lies under its application's address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from ckfunc.wire.reading import Malformed

_APPLICATION = re.compile(r"/applications/(\d+)(?:/|$)")


class Links:
    """Makes the `_links` of resources of one application; `base` has no trailing slash."""

    def __init__(self, base: str, application_id: int) -> None:
        self.base = base
        self.application = f"{base}/v1/applications/{application_id}"

    def href(self, path: str) -> str:
        """Return the address of `path` under the application."""
        return f"{self.application}/{path}"

    def picture(self, display_name: str) -> str:
        """Return the address of the picture that the platform draws for a display name, encoded as a form has it."""
        return f"{self.base}/v1/picture/{quote_plus(display_name)}"

    def absolute(self, address: str) -> str:
        """Return an address as others see it: one of this host's own files is kept as a path, `/v1/…`."""
        return self.base + address if address.startswith("/v1/") else address

    def to(self, /, **relations: str) -> dict[str, dict[str, str]]:
        """Return links by relation name to paths under the application, and one to the application itself."""
        made = {relation: {"href": self.href(path)} for relation, path in relations.items()}
        made["application"] = {"href": self.application}
        return made


def application_id_in(document: Mapping[str, Any]) -> int | None:
    """Read the id of the application that a resource belongs to from its links, or return None."""
    links = document.get("_links")
    for link in (links.values() if isinstance(links, dict) else links) if isinstance(links, dict | list) else ():
        href = link.get("href") if isinstance(link, dict) else None
        if isinstance(href, str) and (found := _APPLICATION.search(href)):
            return int(found[1])
    return None


def linked_id(document: Mapping[str, Any], relation: str) -> int:
    """Read an id that a resource has in a link alone, as the last segment of its address. Raises Malformed."""
    links = document.get("_links")
    link = links.get(relation) if isinstance(links, dict) else None
    href = link.get("href") if isinstance(link, dict) else None
    tail = href.rpartition("/")[2] if isinstance(href, str) else ""
    if not (tail.isascii() and tail.isdecimal()):
        raise Malformed(f"the link {relation!r} is missing, or names no id")
    return int(tail)
