"""Which tokens are good: random, kept as hashes in memory, gone after their time or with the emulator."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from ckfunc.base.clock import Clock
from ckfunc.emulator.http.problems import Unauthorized

CLIENT_ID = "emulator"
CLIENT_SECRET = "emulator"  # noqa: S105 - documented, and good for this machine alone
DEFAULT_LIFETIME_S = 3600.0


@dataclass(frozen=True, slots=True)
class _Granted:
    until_s: float
    caller: int | None


class Tokens:
    """Issues and checks tokens. Every function's handler signs in with a secret of its own, so its calls are known."""

    def __init__(self, clock: Clock, lifetime_s: float = DEFAULT_LIFETIME_S) -> None:
        self.lifetime_s = lifetime_s
        self._clock = clock
        self._granted: dict[bytes, _Granted] = {}
        self._secrets: dict[int, str] = {}
        self._sweep_at = 1000

    def secret_of(self, function_id: int) -> str:
        """Return the client secret that the handler of a function signs in with."""
        return self._secrets.setdefault(function_id, secrets.token_urlsafe(24))

    def sign_in(self, client_id: str, client_secret: str) -> str | None:
        """Return a new token for these credentials, or None when they are wrong."""
        if client_id != CLIENT_ID:
            return None
        if _same(client_secret, CLIENT_SECRET):
            return self._issue(None)
        for function_id, secret in self._secrets.items():
            if _same(client_secret, secret):
                return self._issue(function_id)
        return None

    def caller(self, authorization: str | None) -> int | None:
        """Return the function that an Authorization header belongs to, None for a client's own. Raises Unauthorized."""
        kind, _, token = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise Unauthorized("no bearer token was sent")
        granted = self._granted.get(_hashed(token.strip()))
        if granted is None or granted.until_s <= self._clock.monotonic_s():
            raise Unauthorized("the token is unknown or has expired")
        return granted.caller

    def revoke(self) -> None:
        """Forget every token."""
        self._granted.clear()

    def _issue(self, caller: int | None) -> str:
        now = self._clock.monotonic_s()
        if len(self._granted) >= self._sweep_at:
            self._granted = {key: one for key, one in self._granted.items() if one.until_s > now}
            self._sweep_at = 2 * len(self._granted) + 1000
        token = secrets.token_urlsafe(32)
        self._granted[_hashed(token)] = _Granted(now + self.lifetime_s, caller)
        return token


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())
