"""The vendor's chat clients: bundles for Node and browsers, and the results of a conversation."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from realtime.world import World
from support.npm_packages import locked_packages

from ckfunc.base.files import cache_dir, locked
from ckfunc.bundle.esbuild import executable, run
from ckfunc.runtime.node import bare_environment, node_executable

HERE = Path(__file__).parent
_LONGEST_S = 300.0
_REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"


@dataclass(frozen=True)
class ChatClient:
    """A client at a version. `alias` is its name in requirements/npm/realtime; `methods` is how many it has."""

    package: str
    version: str
    alias: str
    node_platform: str
    """The esbuild platform of the bundle for Node. 1.x needs "browser" for form data."""
    methods: int

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


CLIENTS = (
    ChatClient("@chatkitty/core", "1.11.0", "chatkitty-core-1", "browser", 66),
    ChatClient("@chatkitty/core", "2.106.2", "chatkitty-core-2", "node", 83),
    ChatClient("@chatkitty/client", "2.105.8", "chatkitty-client-2", "node", 82),
)


@dataclass(frozen=True)
class Verdict:
    """The problems of a method, or of a callback of a chat session; none when it passes."""

    name: str
    callback: bool
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Conversation:
    """The verdicts of one run. `failures` are errors that no call reported."""

    client: ChatClient
    verdicts: tuple[Verdict, ...]
    failures: tuple[str, ...]

    def problems(self) -> dict[str, tuple[str, ...]]:
        """Return the problems by method or callback."""
        return {verdict.name: verdict.problems for verdict in self.verdicts if verdict.problems}


def bundle(client: ChatClient, platform: str) -> Path:
    """Return a client as one module for `platform`: "node" or "browser"."""
    directory = locked_packages("realtime")
    made = directory / f"{client.alias}.{platform}.mjs"
    with locked(made.with_suffix(".lock")):
        if not made.exists():
            options = ["--bundle", "--format=esm", "--log-level=error", f"--platform={platform}"]
            if platform == "node":
                options.append(f"--banner:js={_REQUIRE}")
            with tempfile.TemporaryDirectory(dir=directory) as scratch:
                built = Path(scratch) / made.name
                output = run(executable(cache_dir()), [client.alias, *options, f"--outfile={built}"], directory)
                assert output == "", output
                built.rename(made)
    return made


def converse_in_node(client: ChatClient, world: World) -> Conversation:
    """Run the conversation in Node."""
    command = [str(node_executable()), str(HERE / "node.mjs"), str(bundle(client, client.node_platform)), world.host]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            env=bare_environment(),
        )
        assert process.stdin is not None and process.stdout is not None
        lines = []
        late = threading.Timer(_LONGEST_S, process.kill)
        late.start()
        try:
            for text in process.stdout:
                line = json.loads(text)
                if "restart" in line:
                    world.kill_and_start()
                    process.stdin.write("\n")
                    process.stdin.flush()
                else:
                    lines.append(line)
            process.wait()
        finally:
            late.cancel()
            process.kill()
            process.communicate()
        if process.returncode:
            errors.seek(0)
            lines.append({"failure": f"exit code {process.returncode}: {errors.read()[-2000:]}"})
    return conversation(client, lines)


def conversation(client: ChatClient, lines: list[dict[str, Any]]) -> Conversation:
    """Return what the lines of a run report."""
    verdicts = [
        Verdict(line.get("method") or line["callback"], "callback" in line, tuple(line["problems"]))
        for line in lines
        if "problems" in line
    ]
    return Conversation(client, tuple(verdicts), tuple(line["failure"] for line in lines if "failure" in line))


Converse = Callable[[ChatClient, World], Conversation]
