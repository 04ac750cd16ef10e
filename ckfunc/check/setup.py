"""Checks of a developer's setup: tools, project, credentials and platform."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ckfunc import __version__
from ckfunc.api import Client, Connection
from ckfunc.api.answers import is_sign_in_page
from ckfunc.api.credentials import NoKeyring, ResolvedConnection, keyring_name
from ckfunc.api.transport import Transport
from ckfunc.base.clock import Clock, elapsed_text
from ckfunc.base.containment import STATE_DIRECTORY, LeadsOutside
from ckfunc.base.errors import (
    LOG_IN,
    ApiFailure,
    CkfuncError,
    CredentialsMissing,
    InvalidFiles,
    NoProject,
    SystemRefusal,
)
from ckfunc.base.files import cache_dir
from ckfunc.base.frozen import frozen
from ckfunc.base.git import GitMissing, GitRefused, git, trust_command
from ckfunc.base.text import Line, counted, printable
from ckfunc.bundle.project import Workspace
from ckfunc.deploy.plan.snapshot import require_login
from ckfunc.manifest.targets import GUESTS_ALLOWED
from ckfunc.model.project import Target
from ckfunc.model.triggers import START_SESSION
from ckfunc.runtime.cache import refusal_of
from ckfunc.runtime.confinement import isolation
from ckfunc.runtime.install import scripts_warning
from ckfunc.runtime.node import NODE_MAJOR, node_executable, node_version, npm_script
from ckfunc.runtime.policy import npm_settings
from ckfunc.scaffold.packages import all_packages
from ckfunc.scaffold.types import policy_of

if TYPE_CHECKING:
    from ckfunc.model.outputs import DiagnosisJson

WARN_SKEW_S = 30.0
FAIL_SKEW_S = 300.0
_TIMEOUT_S = 10.0

OK, WARN, FAIL = "ok", "warn", "fail"

_STYLES = {"ok": "success", "warn": "warning", "fail": "failure"}


@frozen
class Diagnosis:
    """The result of a check. `verdict` is ok, warn or fail."""

    name: str
    verdict: str
    text: str
    hint: str | None = None

    def to_json(self) -> DiagnosisJson:
        """Return the result for `--json`."""
        result: DiagnosisJson = {"check": self.name, "verdict": self.verdict, "text": self.text}
        if self.hint:
            result["hint"] = self.hint
        return result

    def lines(self) -> Iterator[Line]:
        """Yield the result as a line, and the hint below it."""
        yield [
            (f"{self.verdict:<4}  ", _STYLES[self.verdict]),
            (f"{self.name:<12}  ", ""),
            (printable(self.text), ""),
        ]
        if self.hint:
            yield [(" " * 18, ""), ("  hint: ", "muted"), (printable(self.hint), "")]


class ProjectSetup(Protocol):
    """The project to check, and access to its target. Every method may raise CkfuncError."""

    @property
    def clock(self) -> Clock:
        """The clock of this machine."""

    @property
    def directory(self) -> Path:
        """The working directory."""

    def root(self) -> Path:
        """Return the directory of the project; raises NoProject and LeadsOutside."""

    @property
    def workspace(self) -> Workspace:
        """The project's files."""

    def running_emulator(self) -> str | None:
        """Return the address of the project's emulator if it is running."""

    def credentials(self, root: Path, target: Target) -> ResolvedConnection:
        """Return the connection to a target; raises CredentialsMissing."""

    def connect(self, connection: Connection) -> Client:
        """Return a client."""


def setup_findings(project: ProjectSetup) -> Iterator[Diagnosis]:
    """Run the checks and yield each result at once; never raises CkfuncError."""
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Diagnosis("ckfunc", OK, f"ckfunc {__version__}, {python}")
    yield _run_check("node", _node)
    yield _run_check("isolation", _isolation)
    yield _run_check("npm", lambda: _npm(project))
    yield _run_check("cache", lambda: _writable("cache", cache_dir(), "CKFUNC_CACHE_DIR names another directory"))
    yield _run_check("keyring", lambda: Diagnosis("keyring", OK, keyring_name()), expected=NoKeyring)
    yield from _project(project)


def _run_check(name: str, check: Callable[[], Diagnosis], expected: type[CkfuncError] | None = None) -> Diagnosis:
    """Run a check. An error that it raises is returned as a failure, or as a warning if it is `expected`."""
    try:
        with _refusals():
            return check()
    except CkfuncError as problem:
        text = problem.message
        if isinstance(problem, InvalidFiles) and problem.problems:
            text = f"{text}: {problem.problems[0]}"
        verdict = WARN if expected is not None and isinstance(problem, expected) else FAIL
        return Diagnosis(name, verdict, text, problem.hint)


@contextmanager
def _refusals() -> Iterator[None]:
    """Raise the system's refusals, such as a missing permission, as expected failures."""
    try:
        yield
    except OSError as error:
        if (refusal := refusal_of(error)) is None:
            raise
        raise refusal from error


def _node() -> Diagnosis:
    path = node_executable()
    version = node_version(path)
    if not version.startswith(f"v{NODE_MAJOR}."):
        return Diagnosis("node", WARN, f"Node {version} at {path}", f"handlers are tested on Node {NODE_MAJOR}")
    return Diagnosis("node", OK, f"Node {version}")


def _isolation() -> Diagnosis:
    available = isolation()
    parts = {"files": available.files, "signals": available.signals, "sockets": available.sockets}
    limited = [name for name, enforced in parts.items() if enforced]
    if not limited:
        return Diagnosis("isolation", OK, "handlers are limited by Node's permissions; this system offers no more")
    without = [name for name, enforced in parts.items() if not enforced]
    names = " and ".join(filter(None, (", ".join(limited[:-1]), limited[-1])))
    rest = f"; it does not enforce limits on {' and '.join(without)}" if without else ""
    return Diagnosis("isolation", OK, f"the kernel limits the {names} that handlers can use{rest}")


def _npm(project: ProjectSetup) -> Diagnosis:
    npm_script()
    if unset := npm_settings(project.workspace.install_policy().project).unset:
        return Diagnosis("npm", WARN, f"credentials are left out: {'; '.join(unset)}", "set it in the environment")
    return Diagnosis("npm", OK, "npm installs packages for the emulator")


def _writable(name: str, directory: Path, hint: str) -> Diagnosis:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        return Diagnosis(name, FAIL, f"{directory} cannot be written to: {error.strerror or error}", hint)
    return Diagnosis(name, OK, f"{directory} can be written to")


def _project(project: ProjectSetup) -> Iterator[Diagnosis]:
    try:
        with _refusals():
            root = project.root()
    except NoProject as problem:
        yield Diagnosis("project", WARN, problem.message, problem.hint)
        yield from _platform(project, project.directory, Target("default"))
        return
    except (LeadsOutside, SystemRefusal) as problem:
        yield Diagnosis("project", FAIL, problem.message, problem.hint)
        return
    yield _writable("project", root / STATE_DIRECTORY, "check the permissions of the project")
    yield _run_check("manifest", lambda: _manifest(project))
    yield from _packages(project)
    yield from _secrets(root)
    try:
        with _refusals():
            target = project.workspace.target()
    except CkfuncError as problem:
        yield Diagnosis("target", FAIL, problem.message, problem.hint)
        return
    if target.emulator:
        running = project.running_emulator()
        state = f"the emulator runs at {running}" if running else "the emulator starts with each command that needs it"
        yield Diagnosis("target", OK, f"{target.name}: {state}")
        return
    yield Diagnosis("target", OK, f"{target.name}, bound to application {target.application or 'none'}")
    yield from _platform(project, root, target)


def _manifest(project: ProjectSetup) -> Diagnosis:
    loaded = project.workspace.scripts()
    summary = f"functions.yaml: {counted(len(loaded.functions or ()), 'function')}"
    if loaded.warnings:
        return Diagnosis("manifest", WARN, f"{summary}; {loaded.warnings[0]}")
    return Diagnosis("manifest", OK, summary)


def _packages(project: ProjectSetup) -> Iterator[Diagnosis]:
    """Yield a warning about installed packages whose install scripts did not run."""
    try:
        with _refusals():
            loaded = project.workspace.load(lenient=True)
        warning = scripts_warning(all_packages(loaded.runtime.dependencies or {}), cache_dir(), policy_of(loaded))
    except CkfuncError:
        return  # another check reports this error
    if warning:
        yield Diagnosis("packages", WARN, *warning)


def _secrets(root: Path) -> Iterator[Diagnosis]:
    """Check that git ignores the files with secrets; yield nothing if git is not installed."""
    files = [path.name for path in sorted(root.glob(".env*")) if path.is_file() and path.name != ".env.example"]
    if not files:
        return
    try:
        ignored = git(root, "check-ignore", "-z", "--stdin", stdin="\0".join(files).encode()).decode().split("\0")
    except GitMissing:
        return
    except GitRefused as refusal:
        if refusal.dubious_ownership:
            problem = "git does not read this repository, because it belongs to another user"
            yield Diagnosis("secrets", WARN, problem, f"if you trust it: {trust_command(root)}")
        if refusal.returncode != 1:  # 1: none of them is ignored
            return
        ignored = []
    unignored = [name for name in files if name not in ignored]
    if unignored:
        yield Diagnosis("secrets", WARN, f"git does not ignore {', '.join(unignored)}", "add it to .gitignore")
    else:
        yield Diagnosis("secrets", OK, f"git ignores {', '.join(files)}")


def _platform(project: ProjectSetup, root: Path, target: Target) -> Iterator[Diagnosis]:
    try:
        with _refusals():
            connection = project.credentials(root, target)
    except CkfuncError as problem:
        optional = isinstance(problem, CredentialsMissing) and target.name == "default"
        yield Diagnosis("credentials", WARN if optional else FAIL, problem.message, problem.hint)
        return
    yield Diagnosis("credentials", OK, f"from {connection.source}")
    unreachable = False
    for finding in _reachability(project, connection):
        unreachable = unreachable or (finding.name, finding.verdict) == ("platform", FAIL)
        yield finding
    if not unreachable:
        login = _run_check("login", lambda: _login(project, connection, target))
        yield login
        if login.verdict == OK:
            yield _run_check("guests", lambda: _guests(project.connect(connection.connection)), expected=ApiFailure)


def _reachability(project: ProjectSetup, connection: ResolvedConnection) -> Iterator[Diagnosis]:
    """Check that the API responds, and compare its clock with this machine's. Sends no secrets."""
    url = connection.connection.api_url
    transport = Transport(_TIMEOUT_S)
    try:
        began = project.clock.monotonic_s()
        answer = transport.send("GET", f"{url}/v1/application", {"accept": "application/json"})
        took_ms = (project.clock.monotonic_s() - began) * 1000
    except CkfuncError as problem:
        yield Diagnosis("platform", FAIL, problem.message, problem.hint)
        return
    finally:
        transport.close()
    if is_sign_in_page(answer):
        yield Diagnosis("platform", FAIL, f"a sign-in page answered instead of {url} ({answer.status})", LOG_IN)
        return
    yield Diagnosis("platform", OK, f"{url} answers in {elapsed_text(took_ms)}")
    try:
        remote = parsedate_to_datetime(answer.headers.get("date", ""))
        skew_s = (project.clock.now() - remote).total_seconds()
    except (ValueError, TypeError):
        yield Diagnosis("clock", WARN, "the platform's response has no valid date")
        return
    text = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the platform's"
    if abs(skew_s) < WARN_SKEW_S:
        yield Diagnosis("clock", OK, "agrees with the platform's")
    else:
        verdict = FAIL if abs(skew_s) >= FAIL_SKEW_S else WARN
        yield Diagnosis("clock", verdict, text, "set this machine's clock; certificates and tokens need it")


def _login(project: ProjectSetup, connection: ResolvedConnection, target: Target) -> Diagnosis:
    application = project.connect(connection.connection).application()
    require_login(target, application)
    return Diagnosis("login", OK, f"application {application.id} ({application.key})")


def _guests(client: Client) -> Diagnosis:
    """Check that guest users are not allowed if a function decides who may start a session."""
    decides = any(function.type == START_SESSION and function.enabled for function in client.functions())
    if not client.settings().guest_users:
        return Diagnosis("guests", OK, "guest users are not allowed")
    if not decides:
        return Diagnosis("guests", OK, f"guest users are allowed, and the application has no {START_SESSION}")
    return Diagnosis("guests", WARN, GUESTS_ALLOWED, "deploy `settings: {guest_users: false}`")
