"""The latest requests to the Platform API, with their bodies and durations."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter

MOST_REQUESTS = 200
MOST_BODY_BYTES = 8 * 1024
"""How much of each body is recorded."""

_SECRET = ("/runtimes/nodejs", "/secrets")
"""Parts of paths whose bodies have secrets."""

_POLLED = re.compile(r"/v1/(functions/\d+/invocations|runtimes/nodejs/functions)(\?|$)")
"""Paths that `ckfunc dev` and `ckfunc logs --follow` read several times a second."""


@dataclass(slots=True)
class RecordedBody:
    """The beginning of a body, and its size."""

    content: bytes = b""
    size_bytes: int = 0

    def add(self, chunk: bytes) -> None:
        """Record more of the body."""
        self.size_bytes += len(chunk)
        if len(self.content) < MOST_BODY_BYTES:
            self.content += chunk[: MOST_BODY_BYTES - len(self.content)]

    @property
    def complete(self) -> bool:
        """Whether all of the body was recorded."""
        return self.size_bytes == len(self.content)


@dataclass(slots=True)
class RecordedRequest:
    """A request: `path` as it was sent, with its query; `caller` is the invocation whose handler sent it, or None."""

    id: int
    method: str
    path: str
    content_type: str
    caller: int | None
    polling: bool
    """Whether ckfunc polls with it: it is only listed if it fails."""
    private: bool
    """Whether its bodies have secrets: they are not recorded."""
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: int = 0
    fault: str | None = None
    """The fault that was injected, in words."""
    duration_ms: float | None = None
    received: RecordedBody = field(default_factory=RecordedBody)
    sent: RecordedBody = field(default_factory=RecordedBody)
    _began_s: float = field(default_factory=perf_counter)

    @property
    def failed(self) -> bool:
        """Whether the answer is an error, or was lost."""
        return self.status >= 400 or (self.status == 0 and self.duration_ms is not None)

    def read(self, body: bytes) -> None:
        """Record the request's body."""
        if not self.private:
            self.received.add(body)

    def answered(self, status: int, content: bytes) -> None:
        """Record the answer."""
        self.status = status
        self.duration_ms = (perf_counter() - self._began_s) * 1000
        if not self.private:
            self.sent.add(content)


class RequestLog:
    """The latest requests, in memory."""

    def __init__(self) -> None:
        self.count = 0
        """The number of requests so far."""
        self._latest: deque[RecordedRequest] = deque(maxlen=MOST_REQUESTS)

    def begin(self, method: str, path: str, headers: Mapping[str, str], caller: int | None) -> RecordedRequest:
        """Record a request that begins. ckfunc's own polling would displace all others, and is left out."""
        self.count += 1
        by_ckfunc = headers.get("user-agent", "").startswith("ckfunc/")
        polling = by_ckfunc and method == "GET" and _POLLED.match(path) is not None
        path, content_type = path[:2000], headers.get("content-type", "")[:100]
        # Doubled slashes in a path are ignored.
        plain = "/" + "/".join(filter(None, path.split("/")))
        private = any(secret in plain for secret in _SECRET)
        request = RecordedRequest(self.count, method, path, content_type, caller, polling, private)
        if not polling:
            self._latest.append(request)
        return request

    def end(self, request: RecordedRequest, status: int, content: bytes) -> None:
        """Record the answer to a request; `status` is 0 if there is none."""
        request.answered(status, content)
        if request.polling and request.failed:
            self._latest.append(request)

    @property
    def latest(self) -> list[RecordedRequest]:
        """The latest requests, newest first."""
        return list(reversed(self._latest))
