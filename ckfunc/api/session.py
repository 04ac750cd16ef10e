"""Authorized requests in the dialect of the application."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ckfunc.api.answers import EMULATOR_HEADER, document, failure, purpose
from ckfunc.api.auth import Auth
from ckfunc.api.connection import EMULATOR_CREDENTIAL, Connection, place
from ckfunc.api.retry import Wait, may_repeat
from ckfunc.api.sender import Moved, Request, Sender
from ckfunc.base.clock import Clock
from ckfunc.base.secrets import SHORTEST, Masker, Secret
from ckfunc.wire.dialects import JSON, MERGE_PATCH, Dialect, spelled

if TYPE_CHECKING:
    from ckfunc.api.transport import Answer

_EMULATOR_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


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

    def get(self, path: str, what: str, query: Mapping[str, object] | None = None) -> Any:
        """Send a GET request to `path` (with a leading slash); return the JSON. `what` names the resource in errors."""
        answer = self._authorized("GET", path + _query(query), {})
        return self._document(answer, "GET", what)

    def write(
        self, method: str, path: str, body: Any, what: str, *, secrets: Collection[Secret] = (), respell: bool = True
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
        return self._document(answer, method, what, secrets)

    def control(
        self,
        method: str,
        path: str,
        what: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Any = None,
        timeout_s: float | None = None,
    ) -> Any:
        """Call a control endpoint of the emulator and return the JSON of the response; nothing is respelled."""
        headers = {} if body is None else {"content-type": JSON}
        data = None if body is None else _encoded(body)
        answer = self._authorized(method, path + _query(query), headers, data, timeout_s)
        return self._document(answer, method, what)

    def call(self, method: str, path: str, body: Any = None, *, secrets: Collection[Secret] = ()) -> Any:
        """Send a request unchanged and return the JSON of the response: text if it is not JSON, None if it is empty.

        `secrets` are values in the body to hide in errors.
        """
        patches = method == "PATCH" and path.partition("?")[0].endswith("/properties")
        headers = {} if body is None else {"content-type": MERGE_PATCH if patches else JSON}
        data = None if body is None else _encoded(body)
        answer = self._authorized(method, path, headers, data)
        hidden = (*secrets, *self.secrets())
        if not answer.ok:
            raise failure(answer, method, path, self.where, hidden)
        if not answer.body.strip():
            return None
        if "json" not in answer.headers.get("content-type", ""):
            return Masker(hidden)(answer.body.decode("utf-8", "replace"))
        return document(answer, purpose(method, path), self.where, hidden)

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
            found = self._moved()
            if found is None or found == connection:
                return False
            self._connect(found)
            return True

    @property
    def where(self) -> str:
        """Host and port of the API, for messages."""
        return place(self.connection.api_url)

    def _write(self, method: str, path: str, body: Any, dialect: Dialect, respell: bool) -> Answer:
        data = _encoded(spelled(body, dialect) if respell else body)
        return self._authorized(method, path, {"content-type": dialect.media_type}, data)

    def _authorized(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        def send(connection: Connection, token: Secret) -> Answer:
            complete = {"accept": JSON, "authorization": f"Bearer {token.reveal()}", **headers}
            url = connection.api_url + path
            request = Request(method, url, complete, body, may_repeat(method), timeout_s)
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

    def _document(self, answer: Answer, method: str, what: str, secrets: Collection[Secret] = ()) -> Any:
        hidden = (*secrets, *self.secrets())
        if answer.ok:
            return document(answer, purpose(method, what), self.where, hidden)
        raise failure(answer, method, what, self.where, hidden)


def _query(query: Mapping[str, object] | None) -> str:
    return f"?{urlencode(query)}" if query else ""


def _encoded(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
