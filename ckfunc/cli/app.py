"""The objects that a command works with. Each is built when it is first used: project, client, emulator, output."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckfunc.base.clock import SystemClock
from ckfunc.base.containment import require_inside, require_own_state
from ckfunc.base.errors import CkfuncError, NoProject
from ckfunc.base.files import cache_dir
from ckfunc.base.interrupts import was_interrupted
from ckfunc.base.secrets import SHORTEST, Secret
from ckfunc.base.terminal import Settings
from ckfunc.cli.output import Output
from ckfunc.emulator.data_directory import find_running, project_data

if TYPE_CHECKING:
    from ckfunc.api import Client, Connection
    from ckfunc.api.credentials import ConnectionVariables, ResolvedConnection
    from ckfunc.bundle.project import Workspace
    from ckfunc.check.project import CheckedProject
    from ckfunc.emulator.emulator import Emulator
    from ckfunc.emulator.options import CaseDraft, ConversationDrafts, EmulatorOptions, WorkingCopy
    from ckfunc.model.project import Project, Target
    from ckfunc.sandbox.scripts import Toolchain
    from ckfunc.scaffold.stubs import Schemas


class App:
    """One run of ckfunc."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.settings = Settings()
        self.clock = SystemClock()
        self.output = Output(self.settings, environ)
        self._closing = ExitStack()
        self._interrupted = False
        self._ending = threading.Lock()
        self._ended = False
        self._root: Path | None = None
        self._workspace: Workspace | None = None
        self._client: Client | None = None

    def __enter__(self) -> App:
        return self

    def __exit__(self, _: type[BaseException] | None, problem: BaseException | None, *__: object) -> None:
        # click turns a KeyboardInterrupt into an Abort.
        causes = (problem, problem.__cause__) if problem else ()
        self._interrupted = any(isinstance(cause, KeyboardInterrupt) for cause in causes)
        with self._ending:
            self._ended = True
        self._closing.close()

    # -- the project ---------------------------------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        """The working directory: `-C`, or the current directory."""
        try:
            directory = self.settings.directory or Path.cwd()
        except FileNotFoundError:
            raise CkfuncError("the current directory no longer exists", hint="change to another directory") from None
        if not directory.is_dir():
            raise CkfuncError(f"there is no directory {str(directory)!r}", hint="check the path after -C")
        return directory.resolve()

    def root(self) -> Path:
        """Return the directory of the project that the command works in; raises NoProject and LeadsOutside.

        It stays the same while the command runs: if the manifest is missing for a moment, a project in a parent
        directory must not be used instead.
        """
        if self._root is None:
            from ckfunc.manifest.project import find_root

            root = find_root(self.directory)
            require_own_state(root)
            self._root = self.output.root = root
        return self._root

    def named(self, path: Path) -> Path:
        """Return the path to write to that a command's argument names; raises LeadsOutside.

        A path in the project must not go through a link that leads out of the project.
        """
        place = self.directory / path
        with contextlib.suppress(NoProject):
            root = self.root()
            plain = Path(os.path.normpath(place))
            if plain.is_relative_to(root) and plain != root:
                require_inside(root, plain)
        return place

    @property
    def workspace(self) -> Workspace:
        """The project's files, and the tools that bundle and compile its scripts."""
        if self._workspace is None:
            from ckfunc.bundle.project import Selection, Workspace

            selection = Selection(self.root, lambda: self.settings.target, self.environ)
            self._workspace = Workspace(selection, self.output.detail, self.output.warn)
            self._closing.callback(self._workspace.close)
        return self._workspace

    def project(self) -> Project:
        """Return the project as it was at the first call. Raises InvalidManifest and InvalidModules."""
        return self.workspace.project()

    def scripts(self) -> Project:
        """Return the project with bundled scripts, for commands that don't use its variables."""
        return self.workspace.scripts()

    def target(self) -> Target:
        """Return the selected target, even if other parts of the project are invalid."""
        return self.workspace.target()

    # -- the platform --------------------------------------------------------------------------------------------

    def client(self, *, lasting: bool = False) -> Client:
        """Return a client of the project's target. It may be an emulator that runs only for this command.

        If the emulator stops, its address is looked up again, because it may have belonged to another command or been
        restarted. If none is running, short commands start their own; with `lasting`, the command starts none, so that
        another one can use the data.
        """
        if self._client is None:
            target = self.workspace.target_to_connect()
            moved = partial(self._emulator_again, lasting=lasting) if target.emulator else None
            self._client = self.connect(self.connection(target, lasting=lasting), moved)
        return self._client

    def connection(self, target: Target, *, lasting: bool = False) -> Connection:
        """Return the connection to a target. Raises CredentialsMissing.

        With `lasting`, an emulator that starts here has processes ready for many runs.
        """
        if target.emulator:
            return self.emulator_connection(lasting=lasting)
        return self.credentials(self.root(), target).connection

    def credentials(self, root: Path, target: Target) -> ResolvedConnection:
        """Return the connection of a target of the real platform. Raises CredentialsMissing and InvalidAddress."""
        from ckfunc.api.credentials import connection_of

        return connection_of(root, target, self.variables(root, target))

    def variables(self, root: Path, target: Target) -> ConnectionVariables:
        """Return the variables with a target's addresses and credentials. Raises InvalidFiles."""
        from ckfunc.api.credentials import ConnectionVariables
        from ckfunc.manifest.variables import connection_variables

        return ConnectionVariables(*connection_variables(root, target.name, self.environ))

    def place(self) -> tuple[Path, Target]:
        """Return the project and its target; outside of a project, the directory and a target named ANY_PROJECT."""
        from ckfunc.model.project import ANY_PROJECT, Target

        try:
            return self.root(), self.target()
        except NoProject:
            if self.settings.target is not None:
                raise
            return self.directory, Target(ANY_PROJECT)

    def connect(
        self, connection: Connection, moved: Callable[[], Connection | None] | None = None, *, silent: bool = False
    ) -> Client:
        """Return a client that is closed when the command ends; if `silent`, its retries are not printed."""
        from ckfunc.api import Client

        on_wait = None if silent else self.output.waiting
        client = Client(connection, clock=self.clock, on_wait=on_wait, moved=moved)
        self._closing.callback(client.close)
        return client

    def emulator_connection(self, url: str | None = None, *, lasting: bool = False) -> Connection:
        """Return the connection to the emulator at `url`, by default of `emulator_data`.

        Without a `url`, one is started if none is running; with `lasting`, it has processes ready for many runs.
        """
        from ckfunc.api.connection import emulator_connection

        if url is None:
            from ckfunc.emulator.options import EmulatorOptions

            url = self.running_emulator() or self.start_emulator(EmulatorOptions(spares=lasting))
        return emulator_connection(url)

    def _emulator_again(self, *, lasting: bool) -> Connection | None:
        with self._ending:
            if self._ended or (lasting and self.running_emulator() is None):
                return None
            return self.emulator_connection(lasting=lasting)

    @property
    def emulator_data(self) -> Path:
        """The directory of the emulator's data: that of --data-dir, or else the project's."""
        data_dir = self.settings.data_dir
        return self.named(data_dir / "data").parent if data_dir else project_data(self.root())

    def running_emulator(self) -> str | None:
        """Return the address of the emulator of `emulator_data` if it is running."""
        return find_running(self.emulator_data)

    def start_emulator(self, options: EmulatorOptions) -> str:
        """Run the emulator of `emulator_data` until the command ends, and return its address."""
        from ckfunc.emulator.emulator import start_embedded

        data = self.emulator_data
        url, emulator = start_embedded(data, self._with_project(options, data), cache_dir(), self.clock)
        if emulator is not None:
            # Runs that an event has triggered are finished after the command that fired it; signals end them.
            self._closing.callback(lambda: emulator.stop(finish=not (self._interrupted or was_interrupted())))
            self.output.detail(f"emulator: embedded at {url}, data in {self.output.path(data)}")
        return url

    def emulator(self, data: Path | None, options: EmulatorOptions) -> Emulator:
        """Return an emulator of the project that has not started yet; `data` None keeps everything in memory."""
        from ckfunc.emulator.emulator import Emulator

        return Emulator(data, self._with_project(options, data), cache=cache_dir())

    def _with_project(self, options: EmulatorOptions, data: Path | None) -> EmulatorOptions:
        from dataclasses import replace  # which most commands need, but not `ckfunc --version`

        from ckfunc.emulator.options import WEB_DIRECTORY

        workspace = self.workspace  # created before the emulator, so that it is closed after it
        return replace(
            options,
            on_event=self.output.detail,
            owner=self._root,
            policy=workspace.install_policy,
            compiler=workspace.compiler(),
            draft_case=self._draft_case,
            conversations=None if data is None else partial(self._conversations, data),
            working_copy=None if self._root is None else partial(self._working_copy, self._root, data),
            web=None if self._root is None else self._root / WEB_DIRECTORY,
        )

    def _draft_case(self, *run: Any) -> CaseDraft:
        from ckfunc.testing.drafts import draft_case  # most emulators are never asked for one

        return draft_case(self._root, self.environ, *run)

    def _conversations(self, data: Path) -> ConversationDrafts:
        from ckfunc.testing.drafts import ConversationDrafter

        return ConversationDrafter(self._root, self.environ, data, self.output.detail)

    def _working_copy(self, root: Path, data: Path | None) -> WorkingCopy:
        from ckfunc.replay.target import ProjectRunner  # most emulators are never asked for it

        return ProjectRunner(root, self.environ, data, self.clock.now, self.output.detail)

    def show_dashboard(self, url: str, *, open_browser: bool) -> None:
        """Print the address of the dashboard of the emulator at `url`, and open it if `open_browser`."""
        self.output.talk(("dashboard: ", "title"), f"{url}/")
        if open_browser:
            import webbrowser  # which looks for browsers

            if not webbrowser.open(f"{url}/"):
                self.output.warn("no browser was found")

    def secrets(self) -> tuple[Secret, ...]:
        """Return the secrets that were read so far, to mask them in a bug report; never raises."""
        secrets = [] if self._workspace is None else list(self._workspace.secrets())
        if self._client is not None:
            secrets += self._client.session.secrets()
        own = Secret(self.environ.get("CHATKITTY_CLIENT_SECRET", ""))
        return (own, *(secret for secret in secrets if len(secret) >= SHORTEST))

    # -- scripts -------------------------------------------------------------------------------------------------

    def toolchain(self) -> Toolchain:
        """Return the tools of sandboxes, for the project or else for the working directory."""
        from ckfunc.sandbox.scripts import Toolchain

        try:
            root = self.root()
        except NoProject:
            root = self.directory
        return Toolchain(root, self.workspace.compiler(), self.workspace.install_policy, self.output.detail)

    def check(self, types: Sequence[str] = ()) -> CheckedProject:
        """Check manifest, syntax and types of the project, or of the functions of some trigger types; print nothing.

        Raises CkfuncError when there is no result: NoProject, UsageProblem, CompilerMissing.
        """
        from ckfunc.check.project import check_project

        return check_project(self.workspace, self.root(), types, self.output.detail)

    def tested_project(self, target: str | None = None) -> Project:
        """Return the working copy with the environment of a target, by default that of tests."""
        from ckfunc.testing.running import working_copy

        return working_copy(self.root(), target, self.environ, self.workspace.bundler())

    def schemas(self) -> Schemas:
        """Return the JSON schemas of functions.yaml and of test files."""
        from ckfunc.testing.definition import project_schemas

        return project_schemas()
