"""How the event loop waits for npm: once per list of dependencies, and not again right after a failure."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ckfunc.base.errors import CkfuncError
from ckfunc.model.execution import HandlerError
from ckfunc.runtime.host import Failed
from ckfunc.runtime.install import install, is_installed, runtime_directory

_FAILURE_HOLDS_S = 30.0
STOPPED = HandlerError("HostsClosed", "the run was ended because ckfunc is stopping")


class Packages:
    """Installed packages, for code that must not block. Belongs to one event loop."""

    def __init__(self, cache: Path, tell: Callable[[str], None]) -> None:
        self._cache = cache
        self._tell = tell
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="ckfunc-npm")
        self._failures: dict[str, tuple[float, HandlerError]] = {}
        self._installing: dict[str, asyncio.Lock] = {}
        self._stop = threading.Event()

    async def directory(self, dependencies: Mapping[str, str]) -> Path:
        """Return the directory that holds these packages, installing them if need be. Raises Failed."""
        loop = asyncio.get_running_loop()
        wanted = repr(sorted(dependencies.items()))
        try:
            runtime = await self._in_thread(runtime_directory, dependencies, self._cache)
            if is_installed(runtime):
                return runtime
            async with self._installing.setdefault(wanted, asyncio.Lock()):
                since, failure = self._failures.get(wanted, (0.0, None))
                if failure is not None and loop.time() - since < _FAILURE_HOLDS_S:
                    raise Failed(failure)
                tell = _across_threads(loop, self._tell)
                return await self._in_thread(install, dependencies, self._cache, tell, self._stop)
        except CkfuncError as error:
            sentence = f"{error.message} ({error.hint})" if error.hint else error.message
            problem = HandlerError(type(error).__name__, sentence)
            self._failures[wanted] = (loop.time(), problem)
            raise Failed(problem) from error
        except OSError as error:
            raise Failed(HandlerError("DependenciesFailed", f"the packages cannot be stored: {error}")) from error

    async def _in_thread(self, work: Callable[..., Path], *arguments: object) -> Path:
        if self._stop.is_set():
            raise Failed(STOPPED)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def forget_failures(self) -> None:
        """Let the next call try again what failed."""
        self._failures.clear()

    def stop(self) -> None:
        """End what is being installed, and refuse to install more."""
        self._stop.set()

    def close(self) -> None:
        """Let go of the threads; blocks for a moment if something was being installed."""
        self._stop.set()
        self._threads.shutdown(wait=True)


def _across_threads(loop: asyncio.AbstractEventLoop, tell: Callable[[str], None]) -> Callable[[str], None]:
    def call(text: str) -> None:
        loop.call_soon_threadsafe(tell, text)

    return call
