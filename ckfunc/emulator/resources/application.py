"""The application, its settings and its token endpoint.

The token endpoint takes OAuth 2 client credentials, as the vendor's SDKs send them.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import unquote_plus

from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import HttpProblem
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import application
from ckfunc.wire.applications import read_settings, write_application, write_settings

_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}


def retrieve_authenticated_application(call: Call, services: EmulatorServices) -> Reply:
    """Answer with the application that owns the token."""
    return Reply(write_application(application.get(services.database), call.links))


def retrieve_authenticated_application_settings(_call: Call, services: EmulatorServices) -> Reply:
    """Answer with the settings."""
    return Reply(write_settings(application.settings(services.database)))


def update_authenticated_application_settings(call: Call, services: EmulatorServices) -> Reply:
    """Replace the settings and answer with them."""
    application.update_settings(services.database, read_settings(call.json()))
    return Reply(write_settings(application.settings(services.database)))


class TokenRefused(HttpProblem):
    """An error answer of the authorization server. Source: RFC 6749 section 5.2."""

    def __init__(self, status: int, error: str, explanation: str) -> None:
        super().__init__(explanation, {**_NO_STORE, **({"www-authenticate": "Basic"} if status == 401 else {})})
        self.status = status
        self.error = error

    def document(self) -> dict[str, Any]:
        """Return the body."""
        return {"error": self.error, "error_description": self.explanation}


def create_token(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a token for a client id and secret, from HTTP Basic or from the form."""
    form = call.form()
    grant = form.get("grant_type")
    if grant is None:
        raise TokenRefused(400, "invalid_request", "the form has no grant_type")
    if grant != "client_credentials":
        raise TokenRefused(400, "unsupported_grant_type", "grant_type must be client_credentials")
    given = _basic(call.headers.get("authorization")) or (form.get("client_id"), form.get("client_secret"))
    token = services.tokens.sign_in(given[0] or "", given[1] or "")
    if token is None:
        raise TokenRefused(
            401, "invalid_client", "the client id or secret is wrong; the emulator's are both 'emulator'"
        )
    lifetime_s = services.tokens.lifetime_s
    document: dict[str, Any] = {"access_token": token, "token_type": "bearer", "expires_in": int(lifetime_s)}
    # RFC 6749 defines the spelling of these names, whatever the dialect of the rest.
    return Reply(document, headers=_NO_STORE)


def _basic(header: str | None) -> tuple[str, str] | None:
    kind, _, encoded = (header or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ("", "")
    name, _, secret = text.partition(":")
    return unquote_plus(name), unquote_plus(secret)


ROUTES = (
    Route("GET", "/application", retrieve_authenticated_application),
    Route("GET", "/application/settings", retrieve_authenticated_application_settings),
    Route("PUT", "/application/settings", update_authenticated_application_settings),
    Route("POST", "/oauth/token", create_token, Access.PUBLIC),
)
