"""How requests reach the application: by uvicorn, without its waits of a tenth of a second at the end."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

import uvicorn

from ckfunc.emulator.connections import LimitedConnection

_TICK_S = 0.1
_TICKS_BETWEEN_CHECKS = 10
_GRACE_S = 1.0
_LOOK_S = 0.002


class Server(uvicorn.Server):
    """Serves until `end` is called."""

    def __init__(self, app: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                http=LimitedConnection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                access_log=False,
                log_config=None,
                log_level="critical",
                server_header=False,
                proxy_headers=False,
                # Longer than clients keep idle connections: they, not we, close them; no request is lost in between.
                timeout_keep_alive=120,
            )
        )
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Stop serving soon."""
        self.should_exit = True
        self._ended.set()

    async def main_loop(self) -> None:
        """Do uvicorn's chores ten times a second, until the end."""
        count = 0
        while not await self.on_tick(count):
            count += 1
            if count % _TICKS_BETWEEN_CHECKS == 0:
                self._check_times()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _TICK_S)

    def _check_times(self) -> None:
        """Look for requests that arrive too slowly."""
        now_s = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if isinstance(connection, LimitedConnection):
                connection.check_time(now_s)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and give requests that are being answered a moment."""
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        until = asyncio.get_running_loop().time() + _GRACE_S
        while (state.connections or state.tasks) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(_LOOK_S)
        for task in state.tasks:
            task.cancel()
