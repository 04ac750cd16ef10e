"""Authorized requests in the dialect of the application, and their access tokens.

A token is renewed shortly before it expires, or when the API rejects it. All threads share it.
"""

from __future__ import annotations

import json
import re
import threading
from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ckfunc.api.answers import EMULATOR_HEADER, document, explanation, failure, purpose
from ckfunc.api.connection import EMULATOR_CREDENTIAL, Connection, place
from ckfunc.api.sender import Moved, Request, Sender, Wait, may_repeat
from ckfunc.base.clock import Clock
from ckfunc.base.errors import ApiFailure, CredentialsRejected, UnreadableAnswer
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import SHORTEST, Masker, Secret
from ckfunc.wire.dialects import JSON, MERGE_PATCH, Dialect, spelled

if TYPE_CHECKING:
    from ckfunc.api.transport import Answer

_EMULATOR_ID = re.compile(r"[0-9A-Za-z-]{1,64}")

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


class Session:
    """Authorized requests to an application. Thread-safe."""

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        timeout_s: float,
        on_wait: Callable[[Wait], None] | None,
        moved: Callable[[], Connection | None] | None = None,
    ) -> None:
        self._clock = clock
        self._moved = moved
        self._address_lock = threading.Lock()
        self.emulator_id: str | None = None
        self._sender = Sender(clock, timeout_s, on_wait)
        self._connect(connection)
        self._dialect = Dialect.CAMEL
        self._dialect_confirmed = False
        self._secrets: frozenset[Secret] = frozenset()

    def get(self, path: str, subject: str, query: Mapping[str, object] | None = None) -> Any:
        """Send a GET request to `path` (with a leading slash); return the JSON.

        `subject` names the resource in errors.
        """
        return self.control("GET", path, subject, query=query)

    def write(
        self, method: str, path: str, body: Any, subject: str, *, secrets: Collection[Secret] = (), respell: bool = True
    ) -> Any:
        """Send a canonical document and return the JSON of the response; `secrets` are values in it to hide in errors.

        With `respell` false, names are user data and are sent unchanged; only the media type depends on the dialect.
        After a 400 or 415, the document is sent once more in the other dialect. If both attempts fail, the first
        response is reported, unless the second is more informative. Later requests use the dialect that worked.
        """
        dialect = self._dialect
        first = answer = self._write(method, path, body, dialect, respell)
        if answer.status in (400, 415):
            dialect = Dialect.SNAKE if dialect is Dialect.CAMEL else Dialect.CAMEL
            answer = self._write(method, path, body, dialect, respell)
            if 300 <= answer.status < 500 and first.status == 400:
                answer = first
        if answer.ok:
            self._dialect, self._dialect_confirmed = dialect, True
        return self._document(answer, method, subject, secrets)

    def control(
        self,
        method: str,
        path: str,
        subject: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Any = None,
        timeout_s: float | None = None,
    ) -> Any:
        """Call a control endpoint of the emulator and return the JSON of the response; nothing is respelled."""
        address = f"{path}?{urlencode(query)}" if query else path
        return self._document(self._authorized(method, address, body, timeout_s=timeout_s), method, subject)

    def call(self, method: str, path: str, body: Any = None, *, secrets: Collection[Secret] = ()) -> Any:
        """Send a request unchanged and return the JSON of the response: text if it is not JSON, None if it is empty.

        `secrets` are values in the body to hide in errors.
        """
        answer = self._authorized(method, path, body, MERGE_PATCH if method == "PATCH" else JSON)
        hidden = (*secrets, *self.secrets())
        if not answer.ok:
            raise failure(answer, method, path, self.server, hidden)
        if not answer.body.strip():
            return None
        if "json" not in answer.headers.get("content-type", ""):
            return Masker(hidden)(answer.body.decode("utf-8", "replace"))
        return document(answer, purpose(method, path), self.server, hidden)

    def prefer(self, dialect: Dialect | None) -> None:
        """Use the dialect of a response for writes, until a write has succeeded."""
        if dialect is not None and not self._dialect_confirmed:
            self._dialect = dialect

    def close(self) -> None:
        """Close every connection."""
        self._sender.close()

    @property
    def connection(self) -> Connection:
        """Address and credentials of the application."""
        return self._current[0]

    def secrets(self) -> tuple[Secret, ...]:
        """Return the values that must never be shown: client secret, token, and the values from `add_secrets`."""
        return (*self._current[1].secrets(), *self._secrets)

    def add_secrets(self, secrets: Iterable[Secret]) -> None:
        """Hide these values in everything that is shown from now on."""
        public = Secret(EMULATOR_CREDENTIAL)
        with self._address_lock:
            self._secrets |= {secret for secret in secrets if len(secret) >= SHORTEST and secret != public}

    def _connect(self, connection: Connection) -> None:
        send = partial(self._sender.send, moved=partial(self._has_moved, connection))
        self._current = connection, Auth(connection, send, self._clock)

    def _has_moved(self, connection: Connection) -> bool:
        """Return whether the application, which could not be reached at `connection`, has a new address."""
        if self._moved is None:
            return False
        with self._address_lock:
            if self.connection is not connection:
                return True  # another thread has already changed it
            moved = self._moved()
            if moved is None or moved == connection:
                return False
            self._connect(moved)
            return True

    @property
    def server(self) -> str:
        """Host and port of the API, for messages."""
        return place(self.connection.api_url)

    def _write(self, method: str, path: str, body: Any, dialect: Dialect, respell: bool) -> Answer:
        return self._authorized(method, path, spelled(body, dialect) if respell else body, dialect.media_type)

    def _authorized(
        self, method: str, path: str, body: Any = None, media_type: str = JSON, *, timeout_s: float | None = None
    ) -> Answer:
        """Send a request, with a body as JSON unless that is None, and return its response."""
        content = {} if body is None else {"content-type": media_type}
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()

        def send(connection: Connection, token: Secret) -> Answer:
            headers = {"accept": JSON, "authorization": f"Bearer {token.reveal()}", **content}
            url = connection.api_url + path
            request = Request(method, url, headers, data, may_repeat(method), timeout_s)
            return self._sender.send(request, partial(self._has_moved, connection))

        while True:
            connection, auth = self._current
            try:
                token = auth.token()
                answer = send(connection, token)
                if answer.status == 401:
                    # A rejected request was not processed, so even a POST can be sent again, with a new token.
                    answer = send(connection, auth.token(refused=token))
                break
            except Moved:
                continue
        emulator_id = answer.headers.get(EMULATOR_HEADER, "")
        if _EMULATOR_ID.fullmatch(emulator_id):
            self.emulator_id = emulator_id
        return answer

    def _document(self, answer: Answer, method: str, subject: str, secrets: Collection[Secret] = ()) -> Any:
        hidden = (*secrets, *self.secrets())
        if answer.ok:
            return document(answer, purpose(method, subject), self.server, hidden)
        raise failure(answer, method, subject, self.server, hidden)


@frozen
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
        server = place(self._connection.authorization_url)
        if not answer.ok:
            raise self._refusal(answer, server)
        fields = document(answer, "getting a token", server, self.secrets())
        value = fields.get("access_token") if isinstance(fields, dict) else None
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value:
            raise UnreadableAnswer(
                f"{server} answered without a usable access token",
                hint="check CHATKITTY_AUTHORIZATION_URL",
                status=answer.status,
            )
        lifetime_s = _lifetime_s(fields.get("expires_in"))
        return _Token(Secret(value), started_s + lifetime_s - min(_RENEWAL_MARGIN_S, lifetime_s / 10))

    def _request(self, media_type: str, body: bytes) -> Answer:
        headers = {
            "authorization": f"Basic {self._basic().reveal()}",
            "accept": "application/json",
            "content-type": media_type,
        }
        # A second token is harmless, so this POST may be repeated.
        return self._send(Request("POST", self._connection.authorization_url, headers, body, repeatable=True))

    def _refusal(self, answer: Answer, server: str) -> ApiFailure:
        if answer.status not in (400, 401, 403):
            return failure(answer, "GET", "a token", server, self.secrets())
        reason = explanation(answer.body, self.secrets())
        return CredentialsRejected(
            f"{server} does not accept these credentials" + (f": {reason}" if reason else ""),
            hint="check CHATKITTY_CLIENT_ID and CHATKITTY_CLIENT_SECRET, and that the client was not deleted",
            status=answer.status,
        )


def _lifetime_s(value: Any) -> float:
    try:
        lifetime_s = float(value)
    except (TypeError, ValueError, OverflowError):
        return _DEFAULT_LIFETIME_S
    return lifetime_s if 0 < lifetime_s < float("inf") else _DEFAULT_LIFETIME_S
