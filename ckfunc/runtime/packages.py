"""Installed packages, for code in an event loop.

Waiting for npm does not block the loop. A failed installation is not retried immediately.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from ckfunc.base.errors import CkfuncError
from ckfunc.base.text import with_hint
from ckfunc.model.execution import HandlerError
from ckfunc.runtime.cache import hold
from ckfunc.runtime.host import Failed
from ckfunc.runtime.install import install, is_installed, runtime_directory
from ckfunc.runtime.policy import InstallPolicy, Policy, no_policy

T = TypeVar("T")

_FAILURE_HOLDS_S = 30.0
STOPPED = HandlerError("HostsClosed", "the run was ended because ckfunc is stopping")


class PackageStore:
    """Installed packages, for code that must not block. Belongs to one event loop."""

    def __init__(self, cache: Path, tell: Callable[[str], None], policy: Policy = no_policy) -> None:
        self._cache = cache
        self._tell = tell
        self._policy = policy
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="ckfunc-npm")
        self._failures: dict[str, tuple[float, HandlerError]] = {}
        self._installing: dict[str, asyncio.Lock] = {}
        self._stop = threading.Event()

    async def directory(self, dependencies: Mapping[str, str]) -> Path:
        """Return the directory with these packages, which are installed if needed. Raises Failed."""
        loop = asyncio.get_running_loop()
        key = repr(sorted(dependencies.items()))

        def tell(text: str) -> None:
            loop.call_soon_threadsafe(self._tell, text)

        try:
            runtime, policy = await self._in_thread(self._found, dependencies)
            if runtime is not None:
                return runtime
            async with self._installing.setdefault(key, asyncio.Lock()):
                since, failure = self._failures.get(key, (0.0, None))
                if failure is not None and loop.time() - since < _FAILURE_HOLDS_S:
                    raise Failed(failure)
                return await self._in_thread(install, dependencies, self._cache, tell, self._stop, policy)
        except CkfuncError as error:
            problem = HandlerError(type(error).__name__, with_hint(error.message, error.hint))
            self._failures[key] = (loop.time(), problem)
            raise Failed(problem) from error
        except OSError as error:
            raise Failed(HandlerError("CacheRefused", f"the packages cannot be stored: {error}")) from error

    def _found(self, dependencies: Mapping[str, str]) -> tuple[Path | None, InstallPolicy]:
        """Return the directory of packages that are already installed, and the current policy."""
        policy = self._policy()
        directory = runtime_directory(dependencies, self._cache, policy)
        hold(directory)
        return directory if is_installed(directory) else None, policy

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        if self._stop.is_set():
            raise Failed(STOPPED)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def forget_failures(self) -> None:
        """Retry failed installations at the next call."""
        self._failures.clear()

    def stop(self) -> None:
        """Stop current installations, and refuse new ones."""
        self._stop.set()

    def close(self) -> None:
        """End the threads; blocks briefly if an installation was running."""
        self._stop.set()
        self._threads.shutdown(wait=True)
