"""OAuth2 access tokens, shared by all threads.

A token is renewed shortly before it expires, or when the API refuses it.
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
_EARLY_S = 30.0
# For a server that does not state the lifetime of its token.
_UNSTATED_S = 300.0
# Lifetime of a cached refusal, so that bad credentials are sent once and not by each thread.
_REFUSED_S = 5.0


@dataclass(frozen=True, slots=True)
class _Token:
    value: Secret
    until_s: float


class Auth:
    """OAuth2 client credentials (RFC 6749 section 4.4). Thread-safe; tokens are kept only in memory."""

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
        """Return a token other than `refused`, which the API answered with 401. Raises ApiFailure.

        Threads that call this while a token is fetched share the result or error.
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
                    self._refused_until_s = self._clock.monotonic_s() + _REFUSED_S
                raise
            self._failure = None
            return self._token.value

    def secrets(self) -> tuple[Secret, ...]:
        """Return what must never be shown: the client secret, as it is and as it is sent, and the token."""
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
        asked_s = self._clock.monotonic_s()
        answer = self._ask(_FORM, b"grant_type=client_credentials")
        if answer.status == 415 or (answer.status == 400 and b"invalid_request" in answer.body):
            # The vendor's own SDKs send this form instead.
            answer = self._ask(f"multipart/form-data; boundary={_BOUNDARY}", _MULTIPART)
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
        lasts_s = _lifetime_s(found.get("expires_in"))
        return _Token(Secret(value), asked_s + lasts_s - min(_EARLY_S, lasts_s / 10))

    def _ask(self, media_type: str, body: bytes) -> Answer:
        headers = {
            "authorization": f"Basic {self._basic().reveal()}",
            "accept": "application/json",
            "content-type": media_type,
        }
        # A second token does no harm, so this POST may be repeated.
        return self._send(Request("POST", self._connection.authorization_url, headers, body, repeatable=True))

    def _refusal(self, answer: Answer, where: str) -> ApiFailure:
        if answer.status not in (400, 401, 403):
            return failure(answer, "GET", "a token", where, self.secrets())
        said = explanation(answer.body, self.secrets())
        return CredentialsRejected(
            f"{where} does not accept these credentials" + (f": {said}" if said else ""),
            hint="check CHATKITTY_CLIENT_ID and CHATKITTY_CLIENT_SECRET, and that the client was not deleted",
            status=answer.status,
        )


def _lifetime_s(value: Any) -> float:
    try:
        lasts_s = float(value)
    except (TypeError, ValueError, OverflowError):
        return _UNSTATED_S
    return lasts_s if 0 < lasts_s < float("inf") else _UNSTATED_S
