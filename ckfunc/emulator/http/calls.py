"""A request as handlers receive it, and the reply that they return."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from ckfunc.base.frozen import frozen
from ckfunc.emulator.http import bodies
from ckfunc.emulator.http.bodies import Part
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.store.files import StoredFile
from ckfunc.wire.links import Links

E = TypeVar("E", bound=StrEnum)

_LARGEST_ID = 2**63 - 1
_LARGEST_PAGE = 2**31


def whole_number(text: str) -> int | None:
    """Return the number written in decimal digits; None for other text, and for numbers far beyond 64 bits."""
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) <= 19 else None


@dataclass(slots=True)
class Call:
    """One request. `path` is without `/v1` and `/applications/1`; `links` create addresses on the requested host.

    `caller` is the id of the invocation whose handler sent the request, None for other clients.
    """

    method: str
    path: str
    links: Links
    headers: Mapping[str, str]
    """Names in lower case."""
    query_string: bytes = b""
    body: bytes = b""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The parameters in the path, decoded."""
    caller: int | None = None
    _query: list[tuple[str, str]] | None = None
    _parts: dict[str, Part] | None = None
    _upload: StoredFile | None = None

    def id(self, name: str = "id") -> int:
        """Return a path parameter as a resource id. Raises Refused."""
        text = self.parameters[name]
        number = whole_number(text.removeprefix("-"))
        if number is None or number > _LARGEST_ID:
            raise Refused(f"{name} {text[:60]!r} in the path is not a whole number of at most 64 bits")
        return -number if text.startswith("-") else number

    def query(self) -> list[tuple[str, str]]:
        """Return the query's parameters, in order, decoded."""
        if self._query is None:
            text = self.query_string.decode("latin-1")
            try:
                self._query = parse_qsl(text, keep_blank_values=True, max_num_fields=200)
            except ValueError:
                raise Refused("the query has more than 200 parameters") from None
        return self._query

    def first(self, name: str) -> str | None:
        """Return the first query parameter of that name, or None."""
        return next((value for key, value in self.query() if key == name), None)

    def every(self, name: str) -> list[str]:
        """Return all query parameters of that name."""
        return [value for key, value in self.query() if key == name]

    def pairs(self, *names: str) -> tuple[tuple[str, str], ...]:
        """Return all query parameters of these names, in order."""
        return tuple(pair for pair in self.query() if pair[0] in names)

    def choice(self, name: str, kind: type[E], *, any_case: bool = True) -> E | None:
        """Return a query parameter as a member of an enumeration, or None if it is missing or empty. Raises Refused."""
        text = self.first(name)
        if not text:
            return None
        try:
            return kind(text.upper() if any_case else text)
        except ValueError:
            raise Refused(f"query parameter {name!r} is {text[:60]!r}, not one of {', '.join(kind)}") from None

    def number(self, name: str, default: int, *, least: int, most: int = _LARGEST_PAGE) -> int:
        """Return a query parameter as a whole number within bounds. Raises Refused."""
        text = self.first(name)
        if text is None or text == "":
            return default
        value = whole_number(text.removeprefix("-"))
        if value is None or not least <= (value := -value if text.startswith("-") else value) <= most:
            raise Refused(f"query parameter {name!r} is {text[:60]!r}, not a whole number from {least} to {most}")
        return value

    def flag(self, name: str) -> bool | None:
        """Return a query parameter as true or false, or None when it is missing or empty. Raises Refused."""
        text = self.first(name)
        if not text:
            return None
        if text.lower() not in ("true", "false"):
            raise Refused(f"query parameter {name!r} is {text[:60]!r}, not true or false")
        return text.lower() == "true"

    def json(self) -> Any:
        """Return the body as JSON; a body is required. Raises Refused."""
        return bodies.read_json(self.body, self.headers.get("content-type"))

    def form(self) -> dict[str, str]:
        """Return the fields of a form body that are not files, urlencoded or multipart. Raises Refused."""
        if self.is_multipart:
            return {name: part.text for name, part in self.multipart().items() if part.file_name is None}
        return bodies.read_form(self.body, self.headers.get("content-type"))

    @property
    def is_multipart(self) -> bool:
        """Whether the body was sent as a multipart form."""
        return self.headers.get("content-type", "").lower().lstrip().startswith("multipart/form-data")

    def upload(self) -> StoredFile:
        """Return the file in the field `file` of a form; the same one each time. Raises Refused."""
        if self._upload is None:
            self._upload = bodies.uploaded_file(self.multipart())
        return self._upload

    def multipart(self) -> dict[str, Part]:
        """Return the parts of a multipart form by name. Raises Refused."""
        if self._parts is None:
            self._parts = bodies.read_multipart(self.body, self.headers.get("content-type"))
        return self._parts


@frozen
class Reply:
    """An answer: a `document` in canonical spelling (None: no body), or `content` with its own `content_type`.

    With `stream`, the body is what the iterator yields, until it ends or the client leaves.
    """

    document: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    content_type: str | None = None
    stream: AsyncIterator[bytes] | None = None
