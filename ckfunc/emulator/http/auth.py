"""Access control: bearer tokens, and checks of Host and Origin.

Tokens are random, and stored as hashes in memory; they end with their lifetime or with the emulator.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from functools import lru_cache

from ckfunc.base.clock import Clock
from ckfunc.emulator.http.problems import Denied, Unauthorized

CLIENT_ID = "emulator"
API_KEY = "emulator"
CLIENT_SECRET = "emulator"  # noqa: S105 - documented, and valid on this machine only
DEFAULT_LIFETIME_S = 12 * 3600.0
"""The lifetime of a token. Source: the vendor's guide."""


class Tokens:
    """Issue and check tokens."""

    def __init__(self, clock: Clock, lifetime_s: float = DEFAULT_LIFETIME_S) -> None:
        self.lifetime_s = lifetime_s
        self._clock = clock
        self._until_s: dict[bytes, float] = {}
        self._sweep_at = 1000

    def sign_in(self, client_id: str, client_secret: str) -> str | None:
        """Return a new token for these credentials, or None if they are wrong."""
        if not (_same(client_id, CLIENT_ID) and _same(client_secret, CLIENT_SECRET)):
            return None
        now = self._clock.monotonic_s()
        if len(self._until_s) >= self._sweep_at:
            self._until_s = {token: until_s for token, until_s in self._until_s.items() if until_s > now}
            self._sweep_at = 2 * len(self._until_s) + 1000
        token = secrets.token_urlsafe(32)
        self._until_s[_hashed(token)] = now + self.lifetime_s
        return token

    def check(self, authorization: str | None) -> None:
        """Check an Authorization header. Raises Unauthorized."""
        kind, _, token = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise Unauthorized("no bearer token was sent")
        if self._until_s.get(_hashed(token.strip()), 0.0) <= self._clock.monotonic_s():
            raise Unauthorized("the token is unknown or has expired")

    def revoke(self) -> None:
        """Revoke every token."""
        self._until_s.clear()


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _same(actual: str, expected: str) -> bool:
    return hmac.compare_digest(actual.encode("utf-8", "surrogatepass"), expected.encode())


def is_loopback(host: str) -> bool:
    """Return whether a host name or address, without a port, is loopback."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=64)
def _names_loopback(authority: str) -> bool:
    host, colon, port = authority.rpartition(":")
    return is_loopback(host if colon and port.isdecimal() else authority)


def check_host(authority: str) -> None:
    """Refuse a Host header that is not loopback, as a web page sends through DNS rebinding. Raises Denied."""
    if not _names_loopback(authority):
        raise Denied(
            f"the emulator answers only on this machine, not as {authority[:80]!r}; use 127.0.0.1 or localhost"
        )


def _is_local(origin: str) -> bool:
    _, separator, authority = origin.partition("://")
    return bool(separator) and _names_loopback(authority)


def check_client_origin(origin: str | None, host: str) -> None:
    """Refuse a client in a page of another machine. Raises Denied.

    Pages of this machine may be clients, such as those of a development server.
    """
    if origin is None or origin.lower() == f"http://{host}".lower():
        return
    if not _is_local(origin):
        raise Denied(f"pages of {origin[:80]!r} are not allowed to connect to the emulator")


def page_headers(origin: str | None) -> dict[str, str]:
    """Return the headers that let scripts in a page of this machine read an answer.

    Source: https://fetch.spec.whatwg.org/#http-cors-protocol.
    """
    if origin is None or not _is_local(origin):
        return {}
    return {"access-control-allow-origin": origin, "vary": "origin"}


def check_origin(origin: str | None, scheme: str, host: str) -> None:
    """Refuse requests that a page of another site sends through a browser. Raises Denied."""
    if origin is not None and origin.lower() != f"{scheme}://{host}".lower():
        raise Denied(f"pages of {origin[:80]!r} are not allowed to use the emulator's controls")
