"""Run a project's working copy on invocations of its emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ckfunc.api import Client
from ckfunc.api.connection import emulator_connection
from ckfunc.bundle.workspace import Selection, Workspace
from ckfunc.deploy.history import require_handler
from ckfunc.emulator.data_directory import DATABASE
from ckfunc.emulator.options import ComparedSide, RunComparison
from ckfunc.manifest import emulator_target
from ckfunc.model.application import Invocation, InvocationDetail
from ckfunc.model.project import Project
from ckfunc.replay.differences import Observed
from ckfunc.replay.report import Hide, replay_lines
from ckfunc.replay.target import Deployed, SandboxPairs
from ckfunc.sandbox.sandbox import Sandbox
from ckfunc.sandbox.scripts import Toolchain, scripts_of


@dataclass(frozen=True, slots=True)
class ProjectRunner:
    """The project of an emulator whose data is in `data_dir` (None: in memory). Each call reads the files again."""

    root: Path
    environ: Mapping[str, str]
    data_dir: Path | None
    now: Callable[[], datetime]
    log: Callable[[str], None]

    def run(self, invocation: Invocation, trigger_type: str) -> tuple[Invocation, InvocationDetail]:
        """Run the working copy with the event of an invocation, on a copy of the emulator's data.

        Raises CkfuncError.
        """
        data = self.data_dir
        if data is not None and not (data / DATABASE).is_file():
            data = None
        with self._opened(trigger_type) as (project, tools):
            with Sandbox.for_one_run(tools, scripts_of(project), data=data) as sandbox:
                sandbox.add_mentioned(invocation.args)
                ran = sandbox.run(trigger_type, invocation.args)
            return ran.invocation, ran.detail

    def compare(self, invocation: Invocation, trigger_type: str, url: str) -> RunComparison:
        """Replay an invocation of the emulator at `url` with its own version and with the working copy.

        Secrets are masked. Raises CkfuncError.
        """
        with self._opened(trigger_type) as (project, tools), Client(emulator_connection(url)) as client:
            target = Deployed.read(client, project)
            _, version = target.version(trigger_type, invocation.version_number)
            with SandboxPairs(tools, target, {trigger_type: version}, now=self.now()) as pairs:
                found = pairs.replay(trigger_type, [invocation], 1)
            redaction = target.redaction(())
            handler = require_handler(project, trigger_type).path
        (compared,) = found.compared
        hide = redaction.of(invocation.args)
        return RunComparison(
            handler,
            found.ok,
            tuple(replay_lines(found, redaction)),
            _side(compared.deployed, hide),
            _side(compared.working, hide),
        )

    @contextmanager
    def _opened(self, trigger_type: str) -> Iterator[tuple[Project, Toolchain]]:
        target = emulator_target(self.root, self.environ)
        workspace = Workspace(Selection(lambda: self.root, lambda: target, self.environ), self.log, self.log)
        try:
            project = workspace.load()
            require_handler(project, trigger_type)
            yield project, Toolchain(project.root, workspace.compiler(), workspace.install_policy, self.log)
        finally:
            workspace.close()


def _side(run: Observed, hide: Hide) -> ComparedSide:
    calls = tuple(replace(call, path=hide(call.path), body=hide(call.body)) for call in run.calls)
    return ComparedSide(run.status, hide(run.result), calls)
