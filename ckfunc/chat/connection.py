"""Connections of a chat to the emulator: STOMP over WebSocket, and HTTP requests.

Source: the code of the vendor's clients `@chatkitty/core` 1.11.0 and 2.106.2.
"""

from __future__ import annotations

import base64
import json
import mimetypes
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import closing, suppress
from dataclasses import field
from itertools import count
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import httpx
from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from ckfunc import __version__
from ckfunc.api.answers import EMULATOR_HEADER, explanation
from ckfunc.api.connection import (
    EMULATOR_CREDENTIAL,
    Connection,
    InvalidAddress,
    emulator_connection,
    is_loopback_address,
)
from ckfunc.api.transport import Transport
from ckfunc.base.errors import ApiFailure, CkfuncError, NoProject, UsageProblem
from ckfunc.base.files import read_file
from ckfunc.base.frozen import frozen
from ckfunc.base.text import one_line, printable, shortened
from ckfunc.model.project import Target
from ckfunc.wire.stomp import OF_SERVERS, BadFrame, StompFrame, read_frame, write_frame

LONGEST_NAME = 1024
"""The maximum length of a user's name in characters."""
OPEN_S = 10.0
SESSION_S = 300.0
"""The time that the start of a session may take: the first run of a function may wait until packages are installed."""
ANSWER_S = 30.0
CLOSE_S = 2.0

_PATH = "/rtm/websocket"
_ERRORS = "/user/queue/v1/errors"
_ERRORS_NAME = "errors"
_DENIED = "AccessDeniedError"

_MOST_FILE_BYTES = 64 * 1024 * 1024
"""More than the emulator accepts, which refuses a larger file with its own limit."""
_UPLOAD_S = 60.0
_PROBE_TIMEOUT_S = 10.0


class SessionDenied(CkfuncError):
    """The emulator, or the function for user.attempted.start_session, does not allow the session."""


class ConnectionLost(CkfuncError):
    """There is no connection to the emulator, or it was closed."""


class ActionRefused(CkfuncError):
    """The emulator refused a read or an action."""


class ChatEnded(CkfuncError):
    """The emulator ended the session with an error, so that connecting again is of no use."""


@frozen
class ChatLogin:
    """The user of a session. `token` continues an earlier session."""

    username: str
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of_options(cls, username: str, parameters: Iterable[str]) -> Self:
        """Return the user of `--as`, with parameters of the form `KEY=VALUE`. Raises UsageProblem."""
        # Joiners are not printable for Python, but belong to emoji and to names in some scripts.
        is_one_line = printable(username) == username and not {"\t", "\n"} & set(username)
        if not username.strip() or len(username) > LONGEST_NAME or not is_one_line:
            raise UsageProblem("--as takes the name of a user", hint="for example, --as jane")
        pairs = [text.partition("=") for text in parameters]
        if not all(key and equals for key, equals, _ in pairs):
            raise UsageProblem("--param takes KEY=VALUE", hint="for example, --param token=abc")
        return cls(username, {key: value for key, _, value in pairs})

    def headers(self) -> dict[str, str]:
        """Return the headers of CONNECT."""
        headers = {
            "accept-version": "1.2",
            "heart-beat": "0,0",  # the WebSocket has its own
            "StompX-User": self.username,
            "StompX-User-Agent": f"ckfunc/{__version__}",
        }
        if self.parameters:
            headers["StompX-Auth-Params"] = base64.b64encode(json.dumps(dict(self.parameters)).encode()).decode()
        if self.token is not None:
            headers["StompX-Auth-Session-ID"] = self.token
        return headers


class ChatConnection:
    """A session of a user, until it is closed or lost.

    `on_event` gets each event of a topic as JSON, and `on_end` the reason of an end that was not asked for; both are
    called on another thread. The constructor raises SessionDenied and ConnectionLost.
    """

    def __init__(
        self, url: str, login: ChatLogin, on_event: Callable[[Any], object], on_end: Callable[[CkfuncError], object]
    ) -> None:
        self._on_event = on_event
        self._on_end = on_end
        self._pending: dict[str, Future[Any]] = {}
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._ended: CkfuncError | None = None
        self._closing = False
        self._socket = _open(url)
        try:
            self.token = self._log_in(login)
        except BaseException:
            self._socket.close()
            raise
        self._reader = threading.Thread(target=self._read, name="ckfunc-chat", daemon=True)
        self._reader.start()
        self._send("SUBSCRIBE", {"id": _ERRORS_NAME, "destination": _ERRORS})

    def read(self, relay: str, **parameters: str) -> Any:
        """Return the resource at a relay. Raises ActionRefused and ConnectionLost."""
        name = self._name()
        return self._request(name, "SUBSCRIBE", {"id": name, "destination": relay, **parameters})

    def listen(self, topic: str) -> None:
        """Subscribe to a topic; after that, no event of it is missed. Raises ActionRefused and ConnectionLost."""
        name = self._name()
        self._request(name, "SUBSCRIBE", {"id": f"topic-{name}", "destination": topic, "receipt": name})

    def act(self, action: str, body: Any = None) -> None:
        """Send an action and wait until it is done. Raises ActionRefused and ConnectionLost."""
        name = self._name()
        self._request(name, "SEND", {"destination": action, "receipt": name}, body)

    def tell(self, action: str, body: Any) -> None:
        """Send an action without waiting for it. Raises ConnectionLost."""
        self._send("SEND", {"destination": action}, body)

    def settle(self) -> None:
        """Wait until everything that was sent before has been answered, and its events received."""
        name = self._name()
        self._request(name, "UNSUBSCRIBE", {"id": "nothing", "receipt": name})

    def close(self) -> None:
        """End the session."""
        self._closing = True
        with suppress(CkfuncError, FutureTimeout):
            name = self._name()
            self._request(name, "DISCONNECT", {"receipt": name}, timeout_s=CLOSE_S)
        self._socket.close()
        self._reader.join(CLOSE_S)

    def _log_in(self, login: ChatLogin) -> str:
        self._socket.send(write_frame("CONNECT", login.headers()).decode("utf-8", "replace"))
        while True:
            try:
                answer = self._next_frame(SESSION_S)
            except (WebSocketException, BadFrame, OSError) as error:
                raise _lost(error) from None
            if answer.command == "CONNECTED":
                return answer.headers.get("session", "")
            if answer.command == "ERROR":
                raise _refused_session(login.username, answer)

    def _next_frame(self, timeout_s: float | None = None) -> StompFrame:
        """Wait for a frame that is no heart-beat. Raises WebSocketException, BadFrame and OSError."""
        while (frame := read_frame(self._socket.recv(timeout_s, decode=False), OF_SERVERS)) is None:
            pass
        return frame

    def _read(self) -> None:
        problem: CkfuncError | None = None
        try:
            while True:
                frame = self._next_frame()
                if frame.command == "ERROR":
                    problem = ChatEnded(f"the emulator ended the session: {_error(frame)[1]}")
                else:
                    self._receive(frame)
        except (WebSocketException, BadFrame, OSError, ValueError) as error:
            problem = problem or _lost(error)
        with self._lock:
            self._ended = problem
            waiting, self._pending = list(self._pending.values()), {}
        for answer in waiting:
            answer.set_exception(problem)
        if not self._closing:
            self._on_end(problem)

    def _receive(self, frame: StompFrame) -> None:
        headers = frame.headers
        if frame.command == "RECEIPT":
            self._answer(headers.get("receipt-id"), None)
        elif frame.command == "MESSAGE":
            document, name = json.loads(frame.body), headers.get("subscription", "")
            if name == _ERRORS_NAME:
                receipt = headers.get("receipt-id") or headers.get("subscription-id")
                self._answer(receipt, None, ActionRefused(one_line(str(document.get("message")))))
            elif name.startswith("topic-"):
                self._on_event(document)
            else:
                self._answer(name, document.get("resource"))

    def _answer(self, name: str | None, value: Any, error: CkfuncError | None = None) -> None:
        with self._lock:
            waiting = self._pending.pop(name or "", None)
        if waiting is None:
            return
        if error is None:
            waiting.set_result(value)
        else:
            waiting.set_exception(error)

    def _request(
        self, name: str, command: str, headers: Mapping[str, str], body: Any = None, timeout_s: float = ANSWER_S
    ) -> Any:
        waiting: Future[Any] = Future()
        with self._lock:
            if self._ended is not None:
                raise self._ended
            self._pending[name] = waiting
        self._send(command, headers, body)
        try:
            return waiting.result(timeout_s)
        except FutureTimeout:
            raise ConnectionLost(f"the emulator did not answer within {timeout_s:.0f} seconds") from None

    def _send(self, command: str, headers: Mapping[str, str], body: Any = None) -> None:
        data = b"" if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        try:
            self._socket.send(write_frame(command, headers, data).decode())
        except (WebSocketException, OSError) as error:
            raise _lost(error) from None

    def _name(self) -> str:
        return str(next(self._numbers))


class NoEmulator(CkfuncError):
    """No emulator answers at an address."""


@frozen
class ChatEmulator:
    """The emulator to chat on. `find_url` returns its address, or None while it is not running."""

    find_url: Callable[[], str | None]

    @classmethod
    def at(cls, url: str) -> Self:
        """Return the emulator at the address that `--url` names. Raises UsageProblem and NoEmulator."""
        address = _emulator_address(url)
        _require_emulator(address)
        return cls(lambda: address)

    @classmethod
    def of_project(cls, target: Callable[[], Target], find_url: Callable[[], str | None]) -> Self:
        """Return the emulator of a project. Raises NoProject, and CkfuncError for a target of the real platform."""
        try:
            selected = target()
        except NoProject as problem:
            hint = "run it in a project, or pass the address of an emulator with --url"
            raise NoProject(problem.message, hint=hint) from None
        if not selected.emulator:
            raise CkfuncError(
                f"target {selected.name!r} is the real platform; ckfunc chat only talks to the emulator",
                hint="use --target local, or any target with `emulator: true`",
            )
        return cls(find_url)

    def connection(self) -> Connection | None:
        """Return the connection to the emulator; None while it is not running."""
        url = self.find_url()
        return None if url is None else emulator_connection(url)

    def running(self) -> Connection:
        """Return the connection to the emulator. Raises NoEmulator."""
        connection = self.connection()
        if connection is None:
            raise NoEmulator(
                "the project's emulator is not running",
                hint="start it in another terminal with `ckfunc dev` or `ckfunc emulator`, or pass --url URL",
            )
        return connection


def _emulator_address(url: str) -> str:
    """Return the address of an emulator that `--url` names. Raises UsageProblem."""
    hint = "for example, --url http://127.0.0.1:4310"
    try:
        address = emulator_connection(url).api_url
    except InvalidAddress:  # it would name an environment variable
        raise UsageProblem("--url is not the address of an emulator on this machine", hint=hint) from None
    if not is_loopback_address(address):
        raise UsageProblem(f"{address} is not on this machine; ckfunc chat only talks to the emulator", hint=hint)
    return address


def _require_emulator(url: str) -> None:
    """Raise NoEmulator unless an emulator answers at an address, without waiting for it to start."""
    with closing(Transport(_PROBE_TIMEOUT_S)) as transport, suppress(ApiFailure):
        answer = transport.send("GET", f"{url}/emulator/health", {})
        if answer.ok and EMULATOR_HEADER in answer.headers:
            return
    raise NoEmulator(f"no emulator answers at {url}", hint="start it with `ckfunc emulator`, or check the address")


def upload_file(url: str, path: Path, grant: str) -> None:
    """Send a file as a form's field `file`. Raises CkfuncError."""
    try:
        content = read_file(path, limit_bytes=_MOST_FILE_BYTES)
    except OSError as error:
        raise _not_sent(path, error.strerror or str(error)) from None
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    form = httpx.Request("POST", url, files={"file": (path.name, content, kind)})
    headers = {"content-type": form.headers["content-type"], "grant": grant}
    try:
        with closing(Transport(_UPLOAD_S)) as transport:
            answer = transport.send("POST", url, headers, form.read())
    except ApiFailure as error:
        raise _not_sent(path, error.message) from None
    if not answer.ok:
        raise _not_sent(path, explanation(answer.body) or f"the emulator answered {answer.status}")


def _open(url: str) -> ClientConnection:
    address = f"{url.replace('http', 'ws', 1)}{_PATH}?{urlencode({'api-key': EMULATOR_CREDENTIAL})}"
    try:
        return connect(
            address,
            subprotocols=[Subprotocol("v12.stomp")],
            compression=None,
            proxy=None,
            max_size=None,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
        )
    except InvalidHandshake as error:
        raise ConnectionLost(f"{url} does not speak the client protocol: {_why(error)}") from None
    except (WebSocketException, OSError) as error:
        raise _lost(error) from None


def _refused_session(username: str, frame: StompFrame) -> CkfuncError:
    error, reason = _error(frame)
    user = repr(shortened(one_line(username), 60))
    if error == _DENIED:
        return SessionDenied(
            f"the session of {user} was denied: {reason}",
            hint="`ckfunc logs user.attempted.start_session` shows the runs of the function that decides",
        )
    return SessionDenied(f"the emulator refused the session of {user}: {reason}")


def _error(frame: StompFrame) -> tuple[str, str]:
    """Return the name and the message of an error."""
    try:
        document = json.loads(frame.body)
        return str(document.get("error")), one_line(str(document.get("message")))
    except (ValueError, AttributeError):
        return "", one_line(frame.headers.get("message", "no reason was given"))


def _lost(error: Exception) -> ConnectionLost:
    return ConnectionLost(f"no connection to the emulator: {_why(error)}")


def _why(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return shortened(one_line(str(text)), 200)


def _not_sent(path: Path, reason: str) -> CkfuncError:
    return CkfuncError(f"cannot send {path}: {reason}")
