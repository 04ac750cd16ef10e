"""A headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
_LISTENING = re.compile(r"DevTools listening on (ws://\S+)")
_LONGEST_S = 60.0


class Page:
    """A page of the browser. `events` are the protocol's events that have not been read yet."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol and return its result."""
        number = next(self._numbers)
        session = {} if self._session is None else {"sessionId": self._session}
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters, **session}))
        while True:
            message = self._receive()
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def next_event(self, method: str) -> Any:
        """Wait for an event and return its parameters."""
        for index, message in enumerate(self.events):
            if message.get("method") == method:
                return self.events.pop(index)["params"]
        while (message := self._receive()).get("method") != method:
            self.events.append(message)
        return message["params"]

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is awaited."""
        done = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._connection.recv(timeout=_LONGEST_S))
        return message


def chromium() -> str:
    """Return the program, or skip the test that needs it."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise unittest.SkipTest(f"no browser: none of {', '.join(NAMES)} is installed")
    return found


@contextmanager
def page() -> Iterator[Page]:
    """Run a browser with one page."""
    options = [
        "--headless=new",
        "--disable-gpu",
        "--no-first-run",
        "--disable-dev-shm-usage",
        "--remote-debugging-port=0",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--no-sandbox")  # which does not work for root
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [chromium(), *options, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        try:
            said: list[str] = []
            for line in process.stderr:
                said.append(line)
                if found := _LISTENING.search(line):
                    break
            else:
                raise AssertionError("".join(said))
            with connect(found[1], max_size=None, proxy=None, ping_interval=None) as connection:
                yield Page(connection)
        finally:
            process.kill()
            process.stderr.close()
            process.wait()
