"""Fixtures for tests of deploys: an application behind a server, its clients, and projects on disk."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.application import RemoteApplication
from support.loopback import Loopback, serve

from ckfunc.api.client import Client
from ckfunc.api.connection import Connection
from ckfunc.base.clock import Clock, SystemClock
from ckfunc.base.errors import Problem
from ckfunc.base.secrets import Secret, secret_values
from ckfunc.deploy import run
from ckfunc.deploy.apply.report import DeployReport, Item
from ckfunc.deploy.apply.steps import OnStep
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.plan.plan import Plan
from ckfunc.model.project import ManifestFunction, ManifestRuntime, Project, Script, Target
from ckfunc.model.triggers import display_name

REMOVING = run.DeployOptions(allow_removals=True)


class Hurried(SystemClock):
    """The system clock, without waits between attempts."""

    def sleep(self, seconds: float) -> None:
        pass


HURRIED = Hurried()


class Stopped(Hurried):
    """A clock that stands still, so that read state does not become stale on a slow machine."""

    def monotonic_s(self) -> float:
        return 0.0


def project_of(
    root: Path,
    handlers: Mapping[str, str] | None = None,
    *,
    dependencies: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    script: str | None = None,
    settings: Mapping[str, bool] | None = None,
    application: str | None = None,
    names: Mapping[str, str] | None = None,
    descriptions: Mapping[str, str] | None = None,
) -> Project:
    """Return a project with handlers by trigger type; sections that are None are unmanaged."""
    functions = None
    if handlers is not None:
        functions = tuple(
            ManifestFunction(
                type=name,
                handler=Script(f"handlers/{name}.ts", text),
                name=(names or {}).get(name, display_name(name)),
                description=(descriptions or {}).get(name),
            )
            for name, text in handlers.items()
        )
    return Project(
        root=root,
        target=Target("staging", application=application),
        runtime=ManifestRuntime(
            dependencies=dependencies,
            environment=None if environment is None else secret_values(environment),
            initialization_script=None if script is None else Script("init.ts", script),
        ),
        functions=functions,
        settings=settings,
    )


@dataclass
class World:
    root: Path
    application: RemoteApplication
    server: Loopback
    client: Client
    checked: list[Sequence[tuple[str, str]]] = field(default_factory=list)
    """Every batch of scripts passed to the check, as paths and texts."""
    packages: list[Collection[str]] = field(default_factory=list)
    """The packages that each batch can import."""
    problems: list[Problem] = field(default_factory=list)
    """The problems that the check returns."""

    def project(self, handlers: Mapping[str, str] | None = None, **parts: Any) -> Project:
        """Return a project in this world's directory; see project_of."""
        return project_of(self.root, handlers, **parts)

    def plan(self, project: Project) -> Plan:
        with self.new_client() as client:
            return run.plan(project, client, VersionCache(self.root))

    def deploy(
        self,
        project: Project,
        *,
        agree: bool = True,
        on_step: OnStep | None = None,
        options: run.DeployOptions = REMOVING,
        clock: Clock = HURRIED,
    ) -> DeployReport:
        """Deploy with a new client, as each run of the command does."""
        with self.new_client() as client:
            return run.deploy(
                project,
                client,
                check=self.check,
                confirm=lambda _: agree,
                on_step=on_step or (lambda _: None),
                options=options,
                clock=clock,
            )

    def new_client(self) -> Client:
        url = self.server.url
        return Client(
            Connection(url, f"{url}/oauth/token", "id", Secret("client-secret")), clock=Hurried(), timeout_s=10
        )

    def check(self, scripts: Sequence[Script], packages: Collection[str]) -> Sequence[Problem]:
        self.checked.append([(script.path, script.text) for script in scripts])
        self.packages.append(packages)
        return self.problems

    def forget_calls(self) -> None:
        self.server.requests.clear()

    def calls(self) -> list[str]:
        """Return the requests so far, without the API's prefix and query strings."""
        return [re.sub(r"/v1|\?.*", "", call) for call in self.server.calls()]

    def writes(self) -> list[str]:
        return [call for call in self.calls() if not call.startswith("GET") and "oauth" not in call]


@contextmanager
def world(root: Path) -> Iterator[World]:
    application = RemoteApplication()
    with serve(application.answer) as server:
        url = server.url
        with Client(Connection(url, f"{url}/oauth/token", "id", Secret("client-secret")), clock=Hurried()) as client:
            yield World(root, application, server, client)


def by_name(report: DeployReport) -> dict[str, Item]:
    return {item.name: item for item in report.items}


def results(report: DeployReport) -> dict[str, str]:
    return {item.name: item.result.value for item in report.items}
