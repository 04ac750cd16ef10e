"""A real HTTP server on loopback with scripted responses and recorded requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    """With the query string."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: Any = None
    """Bytes are sent unchanged, None as an empty body, anything else as JSON."""
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    """Close the connection without an answer."""
    delay_s: float = 0.0


@dataclass
class Loopback:
    url: str
    requests: list[Request]

    def calls(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.requests]


def http_client(url: str) -> httpx.Client:
    """Return a client of a server on this machine: no proxies, and no certificates, which cost 30 ms to load."""
    return httpx.Client(base_url=url, timeout=60, trust_env=False, verify=False)


@contextmanager
def serve(answer: Callable[[Request], Reply]) -> Iterator[Loopback]:
    """Serve `answer` for every request; each connection has its own thread."""
    seen: list[Request] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body)
            with lock:
                seen.append(request)
            reply = answer(request)
            if reply.delay_s:
                threading.Event().wait(reply.delay_s)
            if reply.drop:
                self.close_connection = True
                return
            if reply.body is None:
                data = b""
            else:
                data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            # The base class says the time by itself.
            (self.send_response_only if "date" in reply.headers else self.send_response)(reply.status)
            for name, value in {"content-type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        # The names that the base class calls by.
        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except (ConnectionError, TimeoutError):
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Loopback(f"http://127.0.0.1:{server.server_address[1]}", seen)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
