"""Which tokens are good: random, kept as hashes in memory, gone after their time or with the emulator."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from ckfunc.base.clock import Clock
from ckfunc.emulator.http.problems import Unauthorized

CLIENT_ID = "emulator"
CLIENT_SECRET = "emulator"  # noqa: S105 - documented, and good for this machine alone
DEFAULT_LIFETIME_S = 3600.0


class Tokens:
    """Issues and checks tokens."""

    def __init__(self, clock: Clock, lifetime_s: float = DEFAULT_LIFETIME_S) -> None:
        self.lifetime_s = lifetime_s
        self._clock = clock
        self._until_s: dict[bytes, float] = {}
        self._sweep_at = 1000

    def sign_in(self, client_id: str, client_secret: str) -> str | None:
        """Return a new token for these credentials, or None when they are wrong."""
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
        """Forget every token."""
        self._until_s.clear()


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())
