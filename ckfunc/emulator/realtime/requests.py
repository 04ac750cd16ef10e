"""Requests of clients: parameters, bodies and authentication, read from frames."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.http.bodies import read_json
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store.database import Database
from ckfunc.model.user import User

_ABSENT = ("", "undefined", "null")
"""How JavaScript writes a missing parameter into a header."""


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A read or write that a client asks for: by whom, with a JSON body or with parameters."""

    services: EmulatorServices
    context: ActionContext
    user: User
    session_id: int
    body: Any
    parameters: Mapping[str, str]

    @property
    def database(self) -> Database:
        """The emulator's database."""
        return self.services.database

    def text(self, name: str) -> str | None:
        """Return a parameter, or None if it is missing."""
        value = self.parameters.get(name, "")
        return None if value in _ABSENT else value

    def flag(self, name: str) -> bool | None:
        """Return a parameter as true or false, or None if it is missing. Raises Refused."""
        value = self.text(name)
        if value is None:
            return None
        if value not in ("true", "false"):
            raise Refused(f"parameter {name!r} is {value[:60]!r}, not true or false")
        return value == "true"


def read_document(body: bytes) -> Any:
    """Return the JSON in a body; no body is an empty object. Raises Refused."""
    return read_json(body, None) if body.strip() else {}


def read_auth_params(header: str | None) -> Any:
    """Return what the header StompX-Auth-Params holds: JSON, encoded as base64. Raises Refused."""
    if not header:
        return {}
    try:
        raw = base64.b64decode(header, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("the header 'StompX-Auth-Params' is not base64") from None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")  # as browsers encode it
    return read_json(text.encode(), None)


def wants_heartbeats(header: str) -> bool:
    """Return whether a client sends and expects heart-beats. Raises Refused."""
    sent, comma, expected = header.partition(",")
    if not (comma and _is_number(sent) and _is_number(expected)):
        raise Refused(f"the header 'heart-beat' is {header[:40]!r}, not two numbers of milliseconds")
    return int(sent) > 0 and int(expected) > 0


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 12
