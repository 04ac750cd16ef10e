"""The vendor's own clients: unmodified installations, and the results of their calls on an emulator."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.judging import error_problems, problems
from support.npm_packages import locked_packages
from support.project_files import ROOT

from ckfunc.base.files import cache_dir, locked
from ckfunc.base.text import digest
from ckfunc.runtime.node import node_executable
from ckfunc.wire.dialects import Dialect

HERE = Path(__file__).parent
REFUSED = {"taken": 400, "missing": 404}
"""The expected status of calls that must be refused, by label."""


@dataclass(frozen=True)
class Client:
    """A client at a version. `methods` is the number of its methods, according to its authors."""

    package: str
    version: str
    registry: str
    dialect: Dialect
    methods: int

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


CLIENTS = (
    Client("chatkitty-platform-sdk", "2.4.0", "npm", Dialect.CAMEL, 65),
    Client("chatkitty", "2.106.8", "npm", Dialect.SNAKE, 70),
    Client("chatkitty-server-side-sdk", "1.0.0", "PyPI", Dialect.CAMEL, 58),
)


@dataclass(frozen=True)
class Step:
    """One call. `data` is the body as it was sent to the client.

    `error` is what the client itself raised when it could not make the call, `note` what it could not do of its own.
    """

    operation: str
    method: str
    label: str
    status: int
    data: Any
    error: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """A unique name of this call."""
        return f"{self.operation} {self.label}".strip()


@dataclass(frozen=True)
class Report:
    """The calls of a client. `failures` are errors outside of the calls."""

    client: Client
    server: str
    methods: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    failures: tuple[str, ...] = field(default=())

    def problems(self, step: Step) -> list[str]:
        """Return the problems of the response to a call."""
        if not step.status:
            return [step.error]
        refused = REFUSED.get(step.label)
        if refused or step.status >= 300:
            wrong = [] if step.status == refused else [f"status {step.status}: {json.dumps(step.data)[:300]}"]
            return wrong or ([] if step.data is None else error_problems(step.data, self.client.dialect))
        return problems(step.operation, step.data, self.client.dialect, self.server)

    def data(self) -> dict[str, Any]:
        """Return the body of each response, by the name of its call."""
        return {step.name: step.data for step in self.steps}


def report_of(client: Client, server: str) -> Report:
    """Run all calls of a client on the emulator at `server`."""
    lines = [json.loads(line) for line in _run(_command(client, server)).splitlines()]
    return Report(
        client,
        server,
        methods=tuple(name for line in lines for name in line.get("methods", ())),
        steps=tuple(Step(**line) for line in lines if "operation" in line),
        failures=tuple(line["failure"] for line in lines if "failure" in line),
    )


def _command(client: Client, server: str) -> list[str]:
    if client.registry == "npm":
        directory = locked_packages("clients")
        program = [str(node_executable()), str(HERE / "client.cjs"), client.package]
    else:
        directory = _pip_install(ROOT / "requirements/conformance.txt")
        program = [sys.executable, "-I", "-W", "ignore", str(HERE / "client.py")]
    return [*program, str(directory), server, client.dialect.value]


def _run(command: Sequence[str]) -> str:
    """Run a client in its own environment and return its output."""
    environ = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environ, timeout=200, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-2000:]
    return done.stdout


def _pip_install(lock_file: Path) -> Path:
    """Return a directory of the cache with the packages of a lock file, separate from ckfunc's own environment."""
    content = digest(lock_file.read_text(encoding="utf-8"))[:16]
    directory = cache_dir() / "conformance" / f"{content}-py{sys.version_info.major}.{sys.version_info.minor}"
    with locked(directory.with_name(f"{directory.name}.lock")):
        if not directory.exists():
            temporary = Path(tempfile.mkdtemp(dir=directory.parent))
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]
            exactly = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(lock_file)]
            subprocess.run([*pip, str(temporary), *exactly], check=True, capture_output=True, timeout=200)
            shutil.move(temporary, directory)
    return directory


def verdicts(reports: Iterable[Report]) -> dict[tuple[str, str], list[str]]:
    """Return the problems of each operation and client that calls it; an empty list if it passes."""
    found: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        for step in report.steps:
            wrong = [f"{step.label}: {text}".removeprefix(": ") for text in report.problems(step)]
            found.setdefault((step.operation, str(report.client)), []).extend(wrong)
    return found
