"""OAuth2 access tokens, shared by all threads.

A token is renewed shortly before it expires, or when the API rejects it.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckfunc.api.answers import document, explanation, failure
from ckfunc.api.connection import EMULATOR_CREDENTIAL, Connection, place
from ckfunc.api.sender import Request
from ckfunc.base.clock import Clock
from ckfunc.base.errors import ApiFailure, CredentialsRejected, UnreadableAnswer
from ckfunc.base.secrets import Secret

if TYPE_CHECKING:
    from ckfunc.api.transport import Answer

_FORM = "application/x-www-form-urlencoded"
_BOUNDARY = "ckfunc-form-boundary"
_MULTIPART = (
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="grant_type"\r\n\r\nclient_credentials\r\n'
    f"--{_BOUNDARY}--\r\n"
).encode()
_RENEWAL_MARGIN_S = 30.0
# Used if the server does not send the lifetime of a token.
_DEFAULT_LIFETIME_S = 300.0
# A rejection is cached for this time, so that invalid credentials are sent once and not by each thread.
_REFUSAL_CACHED_S = 5.0


@dataclass(frozen=True, slots=True)
class _Token:
    value: Secret
    until_s: float


class Auth:
    """OAuth2 client credentials (RFC 6749 section 4.4). Thread-safe; tokens are stored only in memory."""

    def __init__(self, connection: Connection, send: Callable[[Request], Answer], clock: Clock) -> None:
        self._connection = connection
        self._send = send
        self._clock = clock
        self._lock = threading.Lock()
        self._token: _Token | None = None
        self._failures = 0
        self._failure: ApiFailure | None = None
        self._refused_until_s = float("-inf")

    def token(self, refused: Secret | None = None) -> Secret:
        """Return a valid token; `refused` is a token that the API answered with 401. Raises ApiFailure.

        Threads that call this while a token is being fetched share the result or error.
        """
        if (token := self._usable(refused)) is not None:
            return token
        failures = self._failures
        with self._lock:
            if (token := self._usable(refused)) is not None:
                return token
            known = self._failure
            if known is not None and (failures != self._failures or self._clock.monotonic_s() < self._refused_until_s):
                raise type(known)(known.message, known.hint, status=known.status) from known
            try:
                self._token = self._fetch()
            except ApiFailure as error:
                self._failures += 1
                self._failure = error
                if isinstance(error, CredentialsRejected):
                    self._refused_until_s = self._clock.monotonic_s() + _REFUSAL_CACHED_S
                raise
            self._failure = None
            return self._token.value

    def secrets(self) -> tuple[Secret, ...]:
        """Return the values that must never be shown: the client secret, plain and encoded, and the token."""
        token = self._token
        secret = self._connection.client_secret
        # The emulator's credential is public, and messages about the emulator contain it.
        own = () if secret.reveal() == EMULATOR_CREDENTIAL else (secret, self._basic())
        return (*own, *((token.value,) if token else ()))

    def _usable(self, refused: Secret | None) -> Secret | None:
        token = self._token
        if token is None or token.value == refused or self._clock.monotonic_s() >= token.until_s:
            return None
        return token.value

    def _basic(self) -> Secret:
        pair = f"{self._connection.client_id}:{self._connection.client_secret.reveal()}"
        return Secret(b64encode(pair.encode()).decode())

    def _fetch(self) -> _Token:
        started_s = self._clock.monotonic_s()
        answer = self._request(_FORM, b"grant_type=client_credentials")
        if answer.status == 415 or (answer.status == 400 and b"invalid_request" in answer.body):
            # The vendor's SDKs send a multipart form.
            answer = self._request(f"multipart/form-data; boundary={_BOUNDARY}", _MULTIPART)
        where = place(self._connection.authorization_url)
        if not answer.ok:
            raise self._refusal(answer, where)
        found = document(answer, "getting a token", where, self.secrets())
        value = found.get("access_token") if isinstance(found, dict) else None
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value:
            raise UnreadableAnswer(
                f"{where} answered without a usable access token",
                hint="check CHATKITTY_AUTHORIZATION_URL",
                status=answer.status,
            )
        lifetime_s = _lifetime_s(found.get("expires_in"))
        return _Token(Secret(value), started_s + lifetime_s - min(_RENEWAL_MARGIN_S, lifetime_s / 10))

    def _request(self, media_type: str, body: bytes) -> Answer:
        headers = {
            "authorization": f"Basic {self._basic().reveal()}",
            "accept": "application/json",
            "content-type": media_type,
        }
        # A second token is harmless, so this POST may be repeated.
        return self._send(Request("POST", self._connection.authorization_url, headers, body, repeatable=True))

    def _refusal(self, answer: Answer, where: str) -> ApiFailure:
        if answer.status not in (400, 401, 403):
            return failure(answer, "GET", "a token", where, self.secrets())
        reason = explanation(answer.body, self.secrets())
        return CredentialsRejected(
            f"{where} does not accept these credentials" + (f": {reason}" if reason else ""),
            hint="check CHATKITTY_CLIENT_ID and CHATKITTY_CLIENT_SECRET, and that the client was not deleted",
            status=answer.status,
        )


def _lifetime_s(value: Any) -> float:
    try:
        lifetime_s = float(value)
    except (TypeError, ValueError, OverflowError):
        return _DEFAULT_LIFETIME_S
    return lifetime_s if 0 < lifetime_s < float("inf") else _DEFAULT_LIFETIME_S
