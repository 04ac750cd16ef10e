"""Wiring of an emulator's servers to its services."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ckfunc.emulator.asgi import AsgiApp
from ckfunc.emulator.server import HttpServer, most_files
from ckfunc.emulator.services import EmulatorServices

if TYPE_CHECKING:
    from ckfunc.emulator.realtime.endpoint import ClientEndpoint


def server_of(services: EmulatorServices, *, loopback_only: bool) -> HttpServer:
    """Return the server that answers requests."""
    return HttpServer(AsgiApp(services, loopback_only=loopback_only), _Clients(services, loopback_only=loopback_only))


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
