"""Fixtures for the fault tests: projects, platforms, and the application's state afterwards."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from faults.proxy import CLIENT_ID, CLIENT_SECRET, Proxy

from ckfunc.api.client import Client
from ckfunc.api.connection import Connection
from ckfunc.base.errors import CkfuncError
from ckfunc.base.secrets import Secret
from ckfunc.deploy import run
from ckfunc.deploy.apply.report import DeployReport
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.plan.checks import installed_marker
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.store import application, functions
from ckfunc.emulator.store.database import Database, connect
from ckfunc.manifest.project import load
from ckfunc.model.application import ApplicationSettings, NewFunction
from ckfunc.model.project import Project

TYPES = (
    "call.ended",
    "user.attempted.start_session",
    "user.read.message",
    "user.sent.message",
    "user.triggered.event",
)
ENVIRONMENT = {"API_KEY": "a secret =&", "SUPPORT_CHANNEL": "0042"}
DEPENDENCIES = {"left-pad": "^1.3.0", "ms": "2.1.3"}


@dataclass(frozen=True)
class Content:
    """The content of an application: `scripts` are the versions of each function by type, oldest first."""

    dependencies: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    script: str | None = None
    settings: ApplicationSettings = field(default_factory=ApplicationSettings)
    scripts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def runs(self, wanted: Content) -> bool:
        """Return whether the current state matches `wanted`, whatever the history."""
        return (
            (self.dependencies, self.environment, self.script, self.settings)
            == (wanted.dependencies, wanted.environment, wanted.script, wanted.settings)
        ) and {name: those[-1:] for name, those in self.scripts.items()} == dict(wanted.scripts)


MARKS = {
    "new": ApplicationSettings(False, False),
    "ours": ApplicationSettings(False, True),
    "theirs": ApplicationSettings(True, False),
}


def wanted(mark: str = "new") -> Content:
    """Return the content that the project deploys; each mark has different content."""
    handlers = {name: (f"async function handleEvent(event) {{\n  return '{mark} {name}';\n}}\n",) for name in TYPES}
    environment = {name: f"{value} {mark}" for name, value in ENVIRONMENT.items()}
    return Content({**DEPENDENCIES, "ms": mark}, environment, f"const mark = '{mark}';\n", MARKS[mark], handlers)


ALLOWED = ("--allow-removals",)
"""The options with which `ckfunc deploy` can deploy the wanted content over any scene."""

NOTHING = Content()
OLD = Content(
    # One of each is changed, one removed, one added.
    {"ms": "2.0.0", "gone": "1.0.0"},
    {"SUPPORT_CHANNEL": "0041", "GONE": "1"},
    "const mark = 'old';\n",
    scripts={name: (f"async function handleEvent(event) {{\n  return 'old {name}';\n}}\n",) for name in TYPES},
)
SCENES = {"nothing is there yet": NOTHING, "everything is there at v1": OLD}


def write_project(root: Path, content: Content, *, extra: str = "") -> Path:
    """Write a project whose default target is the platform that the environment names; values come from `.env`."""
    (root / "handlers").mkdir(parents=True)
    lines = ["version: 1", "default_target: remote", "targets:", "  remote: {}", "runtime:", "  dependencies:"]
    lines += [f"    {name}: {version!r}" for name, version in content.dependencies.items()]
    lines += ["  environment:"] + [f"    {name}: ${{{name}}}" for name in content.environment]
    lines += ["  initialization_script: init.ts", "settings:"]
    lines += [f"  {name}: {str(enabled).lower()}" for name, enabled in asdict(content.settings).items()]
    lines += ["functions:"]
    for name in content.scripts:
        lines += [f"  {name}:", f"    handler: handlers/{name}.ts"]
        (root / f"handlers/{name}.ts").write_text(content.scripts[name][-1], encoding="utf-8")
    (root / "functions.yaml").write_text("\n".join(lines) + f"\n{extra}", encoding="utf-8")
    (root / "init.ts").write_text(content.script or "", encoding="utf-8")
    (root / ".env").write_text("".join(f'{k}="{v}"\n' for k, v in content.environment.items()), encoding="utf-8")
    return root


class ClockWithShortWaits:
    """The system clock, with short waits that still advance the time."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._ahead_s)

    def monotonic_s(self) -> float:
        return time.monotonic() + self._ahead_s

    def sleep(self, seconds: float) -> None:
        self._ahead_s += seconds
        time.sleep(min(seconds, 0.001))


@dataclass(frozen=True)
class Outcome:
    """The outcome of a deploy. `error` is the exception raised instead of a report."""

    code: int
    report: DeployReport | None = None
    error: CkfuncError | None = None


@dataclass
class World:
    """An emulator's application behind a proxy. Handlers never run, because the emulator finds no Node."""

    proxy: Proxy
    database: Database
    directory: Path
    projects: int = 0

    def reset(self, content: Content = NOTHING) -> None:
        """Replace the application's content and clear the history. Ids are not reused, so that caches stay valid."""
        self.proxy.hang_up()
        self.proxy.forget()
        with self.database.transaction():
            for table in ("invocation_details", "invocations", "function_versions", "functions"):
                self.database.execute(f"DELETE FROM {table}")
            self.database.execute("UPDATE runtime SET initialization_script = NULL")
            application.set_dependencies(self.database, content.dependencies)
            application.set_environment(self.database, content.environment)
            application.update_settings(self.database, content.settings)
            if content.script is not None:
                application.set_initialization_script(self.database, content.script)
            for name, scripts in content.scripts.items():
                function = functions.create(self.database, NewFunction(name, name))
                for script in scripts:
                    functions.add_version(self.database, function.id, script)

    def holds(self) -> Content:
        """Return the actual content of the application."""
        stored, settings = application.runtime(self.database), application.settings(self.database)
        rows = self.database.all(
            "SELECT f.type, v.handler_script FROM functions f LEFT JOIN function_versions v ON v.function_id = f.id"
            " ORDER BY f.type, v.version_number"
        )
        scripts: dict[str, tuple[str, ...]] = {}
        for name, script in rows:
            scripts[name] = (*scripts.get(name, ()), *(() if script is None else (script,)))
        return Content(stored.dependencies, stored.environment, stored.initialization_script, settings, scripts)

    def project(self, content: Content) -> Path:
        """Write a project to its own directory."""
        self.projects += 1
        return write_project(self.directory / f"project-{self.projects}", content)

    def remove(self, root: Path) -> None:
        shutil.rmtree(root)

    def deploy(self, project: Project, *, timeout_s: float = 20.0) -> Outcome:
        """Deploy as the command does, but within this process and with short waits."""
        url = self.proxy.url
        connection = Connection(url, f"{url}/oauth/token", CLIENT_ID, Secret(CLIENT_SECRET))
        clock = ClockWithShortWaits()
        with Client(connection, clock=clock, timeout_s=timeout_s) as client:
            try:
                report = run.deploy(
                    project,
                    client,
                    check=lambda *_: (),
                    confirm=lambda _: True,
                    cache=VersionCache(project.root),
                    options=run.DeployOptions(allow_removals=True),
                    clock=clock,
                )
            except CkfuncError as error:
                return Outcome(error.exit_code, error=error)
        return Outcome(report.exit_code, report)

    def environ(self, home: Path | None = None) -> dict[str, str]:
        """Return the environment of separate ckfunc processes: this platform's address, and their own home."""
        home = home or self.directory / "home"
        home.mkdir(parents=True, exist_ok=True)
        for mark in MARKS:  # no registry has these packages, so mark them as installed
            note = installed_marker(wanted(mark).dependencies, home / "cache")
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("CHATKITTY_", "CKFUNC_", "XDG_"))
        }
        return {
            **kept,
            "HOME": str(home),
            "CKFUNC_CACHE_DIR": str(home / "cache"),
            "CHATKITTY_API_URL": self.proxy.url,
            "CHATKITTY_AUTHORIZATION_URL": f"{self.proxy.url}/oauth/token",
            "CHATKITTY_CLIENT_ID": CLIENT_ID,
            "CHATKITTY_CLIENT_SECRET": CLIENT_SECRET,
        }


@contextmanager
def world(directory: Path) -> Iterator[World]:
    """Run an emulator behind a proxy that makes it look like the real platform."""
    data = directory / "emulator"
    with pytest.MonkeyPatch.context() as patched:
        # Without Node nothing is compiled or installed; these tests check only the stored content.
        patched.setenv("CKFUNC_NODE", str(directory / "no-node"))
        patched.setenv("CKFUNC_CACHE_DIR", str(directory / "cache"))
        with (
            Emulator(data, cache=directory / "cache") as emulator,
            Proxy(emulator.url) as proxy,
        ):
            database = connect(data / "emulator.db")
            try:
                yield World(proxy, database, directory)
            finally:
                database.close()


def loaded(root: Path) -> Project:
    """Read a project from disk."""
    return load(root, None, {})


def moved(project: Project, root: Path) -> Project:
    """Return a project as it would be read from another directory with the same files."""
    return replace(project, root=root)
