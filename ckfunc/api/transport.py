"""HTTP requests with httpx; its errors become messages with hints."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from ckfunc import __version__
from ckfunc.api.connection import CannotConnect, NotSent, is_loopback_address, place
from ckfunc.base.errors import ApiFailure, SystemRefusal, Unreachable
from ckfunc.base.frozen import frozen


@contextmanager
def _without_command_line() -> Iterator[None]:
    # httpx imports its own command line, and with it rich and pygments if they are installed, which is half of its
    # import time. If that import fails, it continues without; None in sys.modules makes an import fail.
    name = "httpx._main"
    absent = name not in sys.modules
    modules: dict[str, Any] = sys.modules
    if absent:
        modules[name] = None
    try:
        yield
    finally:
        if absent:
            del modules[name]


with _without_command_line():
    import httpx

BODY_LIMIT = 64 * 1024 * 1024
"""The maximum size of a response, in bytes."""
CONNECTIONS = 16
# Shorter than the keep-alive of servers (uvicorn: 5 s), so that a request rarely uses a connection that is closing.
_KEEP_ALIVE_S = 4.0
# The timeout applies to each read; a whole response may take this many times as long.
_TOTAL_FACTOR = 4
_CONNECT_S = 10.0


class TooLarge(ApiFailure):
    """The response is larger than any response of the platform."""


@frozen
class Answer:
    """A response. Names of headers are in lower case; the body is decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


class Transport:
    """A pool of connections. Thread-safe. Redirects are never followed, because requests contain credentials."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._clients: dict[tuple[bool, bool], httpx.Client] = {}
        self._closed = False
        self._lock = threading.Lock()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Answer:
        """Send a request and read the whole response, whatever its status. Raises Unreachable or TooLarge.

        `timeout_s` limits each wait for the server; the default is the transport's own timeout.
        """
        timeout_s = timeout_s or self._timeout_s
        deadline = time.monotonic() + timeout_s * _TOTAL_FACTOR
        limits = httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S))
        try:
            client = self._client(url)
            with client.stream(method, url, headers=dict(headers), content=body, timeout=limits) as response:
                content = bytearray()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > BODY_LIMIT:
                        raise TooLarge(
                            f"{place(url)} sent more than {BODY_LIMIT // 2**20} MiB in one response",
                            hint="request fewer items at a time",
                        )
                    if time.monotonic() > deadline:
                        raise Unreachable(f"{place(url)} took too long to send its response", hint=_CHECK)
                return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, bytes(content))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise _as_failure(error, url, timeout_s) from error

    def close(self) -> None:
        """Close every connection. Later requests fail."""
        with self._lock:
            self._closed = True
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _client(self, url: str) -> httpx.Client:
        kind = (is_loopback_address(url), url.lower().startswith("https:"))
        with self._lock:
            if self._closed:
                raise CannotConnect(f"the connections to {place(url)} are already closed")
            if kind not in self._clients:
                self._clients[kind] = _new_client(*kind, place(url))
            return self._clients[kind]


def _new_client(local: bool, secure: bool, server: str) -> httpx.Client:
    # Loopback needs no proxy. Plain http needs no certificates, which take tens of milliseconds to load.
    try:
        return httpx.Client(
            verify=httpx.create_ssl_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            trust_env=not local,
            limits=httpx.Limits(
                max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=_KEEP_ALIVE_S
            ),
            follow_redirects=False,
            headers={"user-agent": f"ckfunc/{__version__}"},
        )
    except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
        if isinstance(error, OSError) and (refusal := SystemRefusal.of(error)) is not None:
            raise CannotConnect(f"{server} cannot be reached: {refusal.message}", hint=refusal.hint) from error
        # Not quoted, because the message may contain a proxy's URL with its password.
        raise CannotConnect(
            f"the proxy or certificate settings of this shell cannot be used to reach {server}",
            hint="check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR",
        ) from (error if isinstance(error, OSError) else None)


_CHECK = "check the network, CHATKITTY_API_URL and CHATKITTY_AUTHORIZATION_URL"
_THROUGH_PROXY = "cannot be reached through the proxy of this shell"
_CHECK_PROXY = "check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY"
_START = f"start the server (an emulator: `ckfunc emulator`), or {_CHECK}"


# httpx's exception, our exception, the message after the host's name, and the hint; the first match applies.
_SENTENCES: tuple[tuple[type[Exception], type[Unreachable], str, str], ...] = (
    (httpx.ProxyError, NotSent, _THROUGH_PROXY, _CHECK_PROXY),
    (httpx.ConnectTimeout, NotSent, "did not accept a connection in time", _CHECK),
    (httpx.PoolTimeout, NotSent, "has no free connection: other requests of ckfunc use all of them", _CHECK),
    (httpx.TimeoutException, Unreachable, "did not answer within {timeout_s:g} s", _CHECK),
    (httpx.UnsupportedProtocol, CannotConnect, "is not an address that can be reached", _CHECK),
    (httpx.InvalidURL, CannotConnect, "is not an address that can be reached", _CHECK),
    (httpx.DecodingError, Unreachable, "sent a response with broken compression", _CHECK),
    (httpx.RemoteProtocolError, Unreachable, "closed the connection, or does not speak HTTP", _CHECK),
    (Exception, Unreachable, "was reached, but the connection was lost", _CHECK),
)


def _as_failure(error: Exception, url: str, timeout_s: float) -> Unreachable:
    server = place(url)
    if isinstance(error, httpx.ConnectError):
        return _connect_failure(list(_causes(error)), server, through_proxy=_uses_proxy(url))
    if isinstance(error, httpx.ProxyError) and str(error).startswith("407"):
        return CannotConnect(
            f"the proxy of this shell asks for credentials (407), so {server} cannot be reached",
            hint="write user name and password in HTTPS_PROXY, as in http://USER:PASSWORD@HOST:PORT",
        )
    kind, sentence, hint = next(row[1:] for row in _SENTENCES if isinstance(error, row[0]))
    return kind(f"{server} {sentence.format(timeout_s=timeout_s)}", hint=hint)


_NOT_TRUSTED = (
    "not trusted here",
    "check the address; for a company's own authority set SSL_CERT_FILE to its certificates",
)
_OTHER_HOST = "for another host", "check CHATKITTY_API_URL and CHATKITTY_AUTHORIZATION_URL"
_CLOCK = "check this machine's clock, and the certificate of the server or proxy"
# By the result of OpenSSL's verification. Source: openssl/x509_vfy.h, X509_V_ERR_*.
_CERTIFICATES = {
    9: ("not valid yet", _CLOCK),
    10: ("expired", _CLOCK),
    62: _OTHER_HOST,  # HOSTNAME_MISMATCH
    64: _OTHER_HOST,  # IP_ADDRESS_MISMATCH
}


def _uses_proxy(url: str) -> bool:
    """Return whether a request to a URL goes to a proxy of the environment, by the rules of the HTTP client."""
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    return (
        not is_loopback_address(url)
        and bool(proxies.get(parts.scheme) or proxies.get("all"))
        and not urllib.request.proxy_bypass(parts.hostname or "")
    )


def _connect_failure(causes: list[BaseException], server: str, *, through_proxy: bool) -> Unreachable:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            sentence, hint = _CERTIFICATES.get(cause.verify_code, _NOT_TRUSTED)
            return CannotConnect(f"{server} has a certificate that is {sentence}", hint=hint)
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return NotSent(f"no secure connection could be established to {server}", hint=_CHECK)
    if through_proxy:
        return NotSent(f"{server} {_THROUGH_PROXY}", hint=_CHECK_PROXY)
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return NotSent(f"the host name of {server} could not be resolved", hint=_CHECK)
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return NotSent(f"{server} refused the connection: no server is listening", hint=_START)
    return NotSent(f"no connection could be established to {server}", hint=_CHECK)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen = 0
    while error is not None and seen < 20:
        yield error
        error, seen = error.__cause__ or error.__context__, seen + 1
