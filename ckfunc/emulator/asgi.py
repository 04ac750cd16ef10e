"""The ASGI application and its server: routes, access, answers and errors."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ckfunc.emulator.dispatch.recording import Calls, HandlerRequest
from ckfunc.emulator.http.auth import check_host, check_origin, page_headers
from ckfunc.emulator.http.bodies import MEBIBYTE
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.faults import CONNECTION, FaultAnswer
from ckfunc.emulator.http.problems import HttpProblem, Missing, Refused, Unstorable
from ckfunc.emulator.http.request_log import RecordedRequest
from ckfunc.emulator.http.routing import Access, Route, Router, answer_format, segments_of
from ckfunc.emulator.realtime import streams
from ckfunc.emulator.resources import application, channels, controls, files, jobs, messages, openapi, users
from ckfunc.emulator.server import Exchange, HttpServer, most_files
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store.application import APPLICATION_ID
from ckfunc.emulator.store.trouble import misread
from ckfunc.model.fault import Fault
from ckfunc.wire.dialects import JSON, Dialect, compact_json, spelled
from ckfunc.wire.links import Links
from ckfunc.wire.reading import Malformed

if TYPE_CHECKING:
    from ckfunc.emulator.realtime.endpoint import ClientEndpoint
    from ckfunc.emulator.ui.dashboard import Dashboard

_OPERATIONS: tuple[Route, ...] = (
    *application.ROUTES,
    *controls.ROUTES,
    *users.ROUTES,
    *channels.ROUTES,
    *messages.ROUTES,
    *files.ROUTES,
    *jobs.ROUTES,
)
"""Every operation and control of the emulator. A family adds its ROUTES here."""

ROUTES: tuple[Route, ...] = (*_OPERATIONS, *openapi.routes(_OPERATIONS), *streams.ROUTES)
"""All routes: the operations, the pages that describe them, and the uploads of clients."""

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

CALLER_HEADER = "x-ckfunc-invocation"
"""The header with the invocation whose handler sent a request. The runtime adds it, so that event loops are found."""

_DASHBOARD: tuple[list[str], ...] = ([], ["ui"])
"""First segments of paths of the dashboard."""

_NOT_THE_API = (["emulator"], ["oauth"], ["rtm"], *_DASHBOARD)
"""First segments of paths without /v1 that belong to the emulator, not to the Platform API."""

_FOR_PAGES = (["rtm"], ["files"], ["picture"])
"""First segments of paths that scripts in pages of this machine may read."""

_MOST_DROPPED_BYTES = 64 * MEBIBYTE
"""How much of an oversized body is read and discarded before it is refused."""


def server_of(services: EmulatorServices, *, loopback_only: bool) -> HttpServer:
    """Return the server that answers requests."""
    clients = _Clients(services, loopback_only=loopback_only)
    return HttpServer(AsgiApp(services, loopback_only=loopback_only), clients.accept, clients.close)


@dataclass(slots=True)
class _IncomingRequest:
    """A request and the records of it. `fault` is set while one is injected."""

    scope: Mapping[str, Any]
    headers: dict[str, str]
    receive: Receive
    segments: list[str] = field(default_factory=list)
    caller: int | None = None
    noted: tuple[Calls, HandlerRequest] | None = None
    recorded: RecordedRequest | None = None
    fault: Fault | None = None


class AsgiApp:
    """The ASGI application. With `loopback_only`, requests that name another host are refused."""

    def __init__(self, services: EmulatorServices, *, loopback_only: bool) -> None:
        self._services = services
        self._loopback_only = loopback_only
        self._unwritable = services.options.unwritable
        self._router = Router(ROUTES)
        self._loaded_dashboard: Dashboard | None = None
        self._open = 0

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        dialect, media_type = Dialect.CAMEL, JSON
        request = _IncomingRequest(scope, headers, receive)
        try:
            versioned, request.segments = segments_of(scope["raw_path"].decode("latin-1"))
            own = _is_own(versioned, request.segments)
            dialect, media_type = answer_format(headers.get("accept", ""), versioned or own)
            request.caller = self._caller(headers)
            if not own:
                self._record(request)
            reply = await self._answered(request)
        except HttpProblem as problem:
            reply = self._problem_reply(problem, request.segments)
            media_type = JSON
        except sqlite3.DatabaseError as error:
            failed = self._services.failed(error, f"{scope['method']} {scope['path']}")
            reply = self._problem_reply(failed, request.segments)
            media_type = JSON
        except ConnectionError:
            self._note_unanswered(request)
            return
        if request.fault is not None and request.fault.lost:
            self._note_unanswered(request)
            scope["extensions"][CONNECTION].close()
            await _left(receive)
            return
        if request.noted is not None:
            self._services.dispatch.recorder.answered(*request.noted, reply.status)
        if request.segments[:1] in _FOR_PAGES:
            reply = replace(reply, headers={**reply.headers, **page_headers(headers.get("origin"))})
        head = scope["method"] == "HEAD"
        if reply.stream is None:
            content = await self._send(reply, dialect, media_type, head, scope["extensions"][CONNECTION])
            if request.recorded is not None:
                self._services.requests.end(request.recorded, reply.status, content)
        else:
            await self._send_stream(reply, reply.stream, head, receive, send)
            if request.recorded is not None:
                self._services.requests.end(request.recorded, reply.status, b"")

    def _caller(self, headers: Mapping[str, str]) -> int | None:
        label = headers.get(CALLER_HEADER)
        return None if label is None else self._services.dispatch.recorder.caller(label)

    def _record(self, request: _IncomingRequest) -> None:
        """Record a request for the dashboard, and for the run whose handler sends it."""
        method, headers, caller = request.scope["method"], request.headers, request.caller
        query = request.scope["query_string"].decode("latin-1")
        query = f"?{query}" if query else ""
        if caller is not None:
            asked = HandlerRequest(method, f"/{'/'.join(request.segments)}{query}", headers.get("content-type"))
            calls = self._services.dispatch.recorder.asked(caller, asked)
            request.noted = None if calls is None else (calls, asked)
        path = request.scope["raw_path"].decode("latin-1") + query
        request.recorded = self._services.requests.begin(method, path, headers, caller)

    def _note_unanswered(self, request: _IncomingRequest) -> None:
        """Record that a request gets no answer."""
        if request.noted is not None:
            self._services.dispatch.recorder.answered(*request.noted, 0)
        if request.recorded is not None:
            self._services.requests.end(request.recorded, 0, b"")

    async def _answered(self, request: _IncomingRequest) -> Reply:
        """Answer a request when everything that the answer tells of is stored."""
        self._open += 1
        try:
            reply = await self._answer(request)
            await self._services.database.stored(at_once=self._open == 1)
            return reply
        finally:
            self._open -= 1

    async def _answer(self, request: _IncomingRequest) -> Reply:
        scope, headers, segments = request.scope, request.headers, request.segments
        host = headers.get("host", "")
        if self._loopback_only:
            check_host(host)
        router = self._dashboard.router if segments[:1] in _DASHBOARD else self._router
        route, parameters = router.find(scope["method"], segments)
        if self._unwritable is not None and route.method not in ("GET", "HEAD") and segments[0] != "oauth":
            raise Unstorable(self._unwritable)
        call = Call(
            scope["method"],
            "/" + "/".join(segments),
            Links(f"{scope['scheme']}://{host}", APPLICATION_ID),
            headers,
            scope["query_string"],
            parameters=parameters,
            caller=request.caller,
        )
        if route.access is Access.TOKEN:
            self._services.tokens.check(headers.get("authorization"))
        elif route.access is Access.CONTROL:
            check_origin(headers.get("origin"), scope["scheme"], host)
        if scope["method"] not in ("GET", "HEAD"):
            whole = scope["extensions"][CONNECTION].take_body(route.body_bytes)
            call.body = await _body(request.receive, route.body_bytes) if whole is None else whole
            if request.recorded is not None:
                request.recorded.read(call.body)
            if request.noted is not None:
                request.noted[0].take_body(request.noted[1], call.body)
            if len(call.body) > MEBIBYTE and call.is_multipart:
                with suppress(Refused):  # the handler reports it
                    await asyncio.to_thread(call.multipart)
        if self._services.faults and route.access is Access.TOKEN:
            await self._inject_fault(request, openapi.operation_id(route))
        return await self._handle(route, call)

    async def _handle(self, route: Route, call: Call) -> Reply:
        gate = None if call.method in ("GET", "HEAD") else self._services.gate
        if gate is not None:
            await gate.enter(from_run=call.caller is not None)
        try:
            reply = self._stored(route, call) if route.stores_file else route.handler(call, self._services)
            return reply if isinstance(reply, Reply) else await reply
        except Malformed as error:
            raise self._services.failed(error, "") if misread(error) else Refused(str(error)) from None
        except HttpProblem:
            raise
        except Exception as error:
            raise self._services.failed(error, f"{call.method} {call.path}") from None
        finally:
            if gate is not None:
                gate.leave()

    async def _stored(self, route: Route, call: Call) -> Reply:
        """Answer a request that stores the file of a form."""
        async with self._services.storing(call):
            reply = route.handler(call, self._services)
            return reply if isinstance(reply, Reply) else await reply

    async def _inject_fault(self, request: _IncomingRequest, operation: str) -> None:
        """Delay a request, or refuse it, if a fault applies. Raises FaultAnswer, or ConnectionError if the client left.

        A lost answer is the caller's work.
        """
        active = self._services.faults.for_request(operation)
        if active is None:
            return
        request.fault = active.fault
        if request.recorded is not None:
            request.recorded.fault = active.fault.effect
        if active.fault.delay_ms:
            with suppress(TimeoutError):
                await asyncio.wait_for(_left(request.receive), active.fault.delay_ms / 1000)
                raise ConnectionResetError
        if active.fault.status is not None:
            raise FaultAnswer(active)

    @property
    def _dashboard(self) -> Dashboard:
        if self._loaded_dashboard is None:
            from ckfunc.emulator.ui.dashboard import Dashboard  # most emulators never show it

            self._loaded_dashboard = Dashboard()
        return self._loaded_dashboard

    def _problem_reply(self, problem: HttpProblem, segments: list[str]) -> Reply:
        if segments[:1] == ["ui"]:
            return self._dashboard.problem_page(problem)
        return Reply(problem.document(), problem.status, problem.headers)

    async def _send(self, reply: Reply, dialect: Dialect, media_type: str, head: bool, exchange: Exchange) -> bytes:
        content = reply.content
        if content is None:
            content = b"" if reply.document is None else compact_json(spelled(reply.document, dialect))
        headers = self._headers(reply, media_type)
        headers.append((b"content-length", str(len(content)).encode()))
        await exchange.respond(reply.status, headers, b"" if head else content)
        return content

    async def _send_stream(
        self, reply: Reply, stream: AsyncIterator[bytes], head: bool, receive: Receive, send: Send
    ) -> None:
        """Send what a stream yields, until it ends or the client leaves."""
        await send({"type": "http.response.start", "status": reply.status, "headers": self._headers(reply, JSON)})

        async def sent() -> None:
            if not head:
                async for chunk in stream:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        tasks = asyncio.ensure_future(sent()), asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _headers(self, reply: Reply, media_type: str) -> list[tuple[bytes, bytes]]:
        headers = [
            (b"content-type", (reply.content_type or media_type).encode("latin-1")),
            (b"x-ckfunc-emulator", self._services.database.id.encode()),
        ]
        return headers + [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]


class _Clients:
    """The clients' endpoint; the client protocol is loaded for the first client."""

    def __init__(self, services: EmulatorServices, *, loopback_only: bool) -> None:
        self._services = services
        self._loopback_only = loopback_only
        self._endpoint: ClientEndpoint | None = None

    def accept(self) -> asyncio.Protocol:
        """Return the protocol for a new connection."""
        if self._endpoint is None:
            from ckfunc.emulator.realtime.endpoint import ClientEndpoint

            most = most_files() // 2
            self._endpoint = ClientEndpoint(self._services, loopback_only=self._loopback_only, most=most)
        return self._endpoint.accept()

    async def close(self, grace_s: float) -> None:
        """Close every connection, within `grace_s` seconds."""
        self._services.ending.set()
        if self._endpoint is not None:
            await self._endpoint.close(grace_s)
        self._services.typing.close()


def _is_own(versioned: bool, segments: list[str]) -> bool:
    """Return whether a path belongs to the emulator, not to the Platform API. Raises Missing."""
    if versioned and segments[:1] in _DASHBOARD:
        raise Missing("there is no such operation")
    return segments[:1] in _NOT_THE_API


async def _left(receive: Receive) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Receive, limit_bytes: int) -> bytes:
    """Return the request's body. Raises Refused if it is too large, after reading the rest of it."""
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit_bytes + _MOST_DROPPED_BYTES:
            break
        # A client that is still sending would not read the refusal: read the rest, and discard it.
        if size <= limit_bytes:
            chunks.append(chunk)
        more = message.get("more_body", False)
    if size > limit_bytes:
        whole = limit_bytes % MEBIBYTE == 0
        most = f"{limit_bytes // MEBIBYTE} MiB" if whole else f"{limit_bytes // 1024} KiB"
        raise Refused(f"the body is larger than {most}")
    return b"".join(chunks)
