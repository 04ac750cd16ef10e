"""The endpoint of all clients: it accepts their sockets, and checks their times."""

from __future__ import annotations

import asyncio

from ckfunc.emulator.realtime.requests import TooManyClients
from ckfunc.emulator.realtime.session import ClientSession
from ckfunc.emulator.realtime.socket import ClientSocket, Outbox
from ckfunc.emulator.services import EmulatorServices

MOST_CLIENTS = 4096
_TICK_S = 1.0


class ClientEndpoint:
    """The clients that are connected over WebSocket."""

    def __init__(self, services: EmulatorServices, *, loopback_only: bool, most: int = MOST_CLIENTS) -> None:
        self._most = min(most, MOST_CLIENTS)
        self._services = services
        self._loopback_only = loopback_only
        self._outbox = Outbox(services.database)
        self._sessions: dict[ClientSocket, ClientSession] = {}
        self._timer: asyncio.TimerHandle | None = None

    def accept(self) -> ClientSocket:
        """Return the protocol for a new connection."""
        socket = ClientSocket(self._listener, self._forget)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)
        return socket

    async def close(self, grace_s: float) -> None:
        """Close every connection, and wait until their sessions have ended."""
        if self._timer is not None:
            self._timer.cancel()
        self._outbox.flush()
        for socket in list(self._sessions):
            socket.shutdown()
        until = asyncio.get_running_loop().time() + grace_s
        while self._sessions and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.002)
        for socket in list(self._sessions):
            socket.abort()
        await asyncio.sleep(0)

    def _listener(self, socket: ClientSocket) -> ClientSession:
        full = TooManyClients(f"{self._most} clients are connected") if len(self._sessions) >= self._most else None
        session = ClientSession(self._services, socket, self._outbox, loopback_only=self._loopback_only, refusal=full)
        self._sessions[socket] = session
        return session

    def _forget(self, socket: ClientSocket) -> None:
        self._sessions.pop(socket, None)

    def _tick(self) -> None:
        self._timer = None
        for session in list(self._sessions.values()):
            session.check_time()
        if self._sessions:
            self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)
