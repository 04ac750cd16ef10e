"""Checks of a developer's setup: tools, project, credentials and platform."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol

from ckfunc import __version__
from ckfunc.api import Client, Connection
from ckfunc.api.credentials import FoundConnection, NoKeyring, keyring_name
from ckfunc.api.transport import Transport
from ckfunc.base.clock import Clock
from ckfunc.base.containment import STATE_DIRECTORY, LeadsOutside
from ckfunc.base.errors import CkfuncError, CredentialsMissing, InvalidFiles, NoProject
from ckfunc.base.files import cache_dir
from ckfunc.base.git import GitMissing, GitRefused, git, trust_command
from ckfunc.deploy.plan.snapshot import require_application
from ckfunc.model.project import Project, Target
from ckfunc.runtime.confinement import isolation
from ckfunc.runtime.install import scripts_warning
from ckfunc.runtime.node import node_executable, node_version, npm_script
from ckfunc.runtime.policy import InstallPolicy, npm_settings
from ckfunc.scaffold.packages import all_packages
from ckfunc.scaffold.types import policy_of

NODE_MAJOR = 24
SKEW_WARNS_S = 30.0
SKEW_FAILS_S = 300.0
_REACH_S = 10.0

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of one check. `verdict` is ok, warn or fail."""

    name: str
    verdict: str
    text: str
    hint: str | None = None

    def to_json(self) -> dict[str, str]:
        """Return the result for `--json`."""
        found = {"check": self.name, "verdict": self.verdict, "text": self.text}
        return {**found, "hint": self.hint} if self.hint else found


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

    def scripts(self) -> Project:
        """Return the project with its scripts bundled."""

    def load_project(self, *, lenient: bool = False) -> Project:
        """Read the project from disk."""

    def install_policy(self) -> InstallPolicy:
        """Return the project's policy for installing packages."""

    def target(self) -> Target:
        """Return the selected target."""

    def running_emulator(self) -> str | None:
        """Return the address of the project's emulator if it is running."""

    def credentials(self, root: Path, target: Target) -> FoundConnection:
        """Return the connection to a target; raises CredentialsMissing."""

    def connect(self, connection: Connection) -> Client:
        """Return a client."""


def setup_findings(project: ProjectSetup) -> Iterator[Diagnosis]:
    """Yield the result of each check as soon as it is known; never raises CkfuncError."""
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Diagnosis("ckfunc", OK, f"ckfunc {__version__}, {python}")
    yield _checked("node", _node)
    yield _checked("isolation", _isolation)
    yield _checked("npm", lambda: _npm(project))
    yield _checked("cache", lambda: _writable("cache", cache_dir(), "CKFUNC_CACHE_DIR names another directory"))
    yield _checked("keyring", lambda: Diagnosis("keyring", OK, keyring_name()), expected=NoKeyring)
    yield from _project(project)


def _checked(name: str, check: Callable[[], Diagnosis], expected: type[CkfuncError] | None = None) -> Diagnosis:
    """Return what a check finds; its failure is a finding too, and one that is `expected` only a warning."""
    try:
        return check()
    except CkfuncError as problem:
        text = problem.message
        if isinstance(problem, InvalidFiles) and problem.problems:
            text = f"{text}: {problem.problems[0]}"
        verdict = WARN if expected is not None and isinstance(problem, expected) else FAIL
        return Diagnosis(name, verdict, text, problem.hint)


def _node() -> Diagnosis:
    path = node_executable()
    version = node_version(path)
    if not version.startswith(f"v{NODE_MAJOR}."):
        return Diagnosis("node", WARN, f"Node {version} at {path}", f"handlers are tested on Node {NODE_MAJOR}")
    return Diagnosis("node", OK, f"Node {version}")


def _isolation() -> Diagnosis:
    found = isolation()
    parts = {"files": found.files, "signals": found.signals, "sockets": found.sockets}
    limited = [name for name, enforced in parts.items() if enforced]
    if not limited:
        return Diagnosis("isolation", OK, "handlers are limited by Node's permissions; this system offers no more")
    without = [name for name, enforced in parts.items() if not enforced]
    rest = f"; it does not enforce limits on {' and '.join(without)}" if without else ""
    return Diagnosis("isolation", OK, f"the kernel limits the {', '.join(limited)} that handlers can use{rest}")


def _npm(project: ProjectSetup) -> Diagnosis:
    npm_script()
    if unset := npm_settings(project.install_policy().project).unset:
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
        root = project.root()
    except NoProject as problem:
        yield Diagnosis("project", WARN, problem.message, problem.hint)
        yield from _platform(project, project.directory, Target("default"))
        return
    except LeadsOutside as problem:
        yield Diagnosis("project", FAIL, problem.message, problem.hint)
        return
    yield _writable("project", root / STATE_DIRECTORY, "check the permissions of the project")
    yield _checked("manifest", lambda: _manifest(project))
    yield from _packages(project)
    yield from _secrets(root)
    try:
        target = project.target()
    except CkfuncError as problem:
        yield Diagnosis("target", FAIL, problem.message, problem.hint)
        return
    if target.emulator:
        running = project.running_emulator()
        where = f"the emulator runs at {running}" if running else "the emulator starts with each command that needs it"
        yield Diagnosis("target", OK, f"{target.name}: {where}")
        return
    yield Diagnosis("target", OK, f"{target.name}, bound to application {target.application or 'none'}")
    yield from _platform(project, root, target)


def _manifest(project: ProjectSetup) -> Diagnosis:
    read = project.scripts()
    count = len(read.functions or ())
    summary = f"functions.yaml: {count} function{'' if count == 1 else 's'}"
    if read.warnings:
        return Diagnosis("manifest", WARN, f"{summary}; {read.warnings[0]}")
    return Diagnosis("manifest", OK, summary)


def _packages(project: ProjectSetup) -> Iterator[Diagnosis]:
    """Yield a warning about installed packages whose install scripts did not run."""
    try:
        read = project.load_project(lenient=True)
        warning = scripts_warning(all_packages(read.runtime.dependencies or {}), cache_dir(), policy_of(read))
    except CkfuncError:
        return  # said by another check
    if warning:
        yield Diagnosis("packages", WARN, *warning)


def _secrets(root: Path) -> Iterator[Diagnosis]:
    """Yield a finding when git would take a file with secrets; nothing when there is no git to ask."""
    files = [path.name for path in sorted(root.glob(".env*")) if path.is_file() and path.name != ".env.example"]
    if not files:
        return
    try:
        ignored = git(root, "check-ignore", "-z", "--stdin", given="\0".join(files).encode()).decode().split("\0")
    except GitMissing:
        return
    except GitRefused as refusal:
        if refusal.dubious_ownership:
            problem = "git does not read this repository, because it belongs to another user"
            yield Diagnosis("secrets", WARN, problem, f"if you trust it: {trust_command(root)}")
        if refusal.returncode != 1:  # 1: none of them is ignored
            return
        ignored = []
    open_ones = [name for name in files if name not in ignored]
    if open_ones:
        yield Diagnosis("secrets", WARN, f"git does not ignore {', '.join(open_ones)}", "add it to .gitignore")
    else:
        yield Diagnosis("secrets", OK, f"git ignores {', '.join(files)}")


def _platform(project: ProjectSetup, root: Path, target: Target) -> Iterator[Diagnosis]:
    try:
        found = project.credentials(root, target)
    except CkfuncError as problem:
        outside = isinstance(problem, CredentialsMissing) and target.name == "default"
        yield Diagnosis("credentials", WARN if outside else FAIL, problem.message, problem.hint)
        return
    yield Diagnosis("credentials", OK, f"from {found.source}")
    unreached = False
    for finding in _reached(project, found):
        unreached = unreached or (finding.name, finding.verdict) == ("platform", FAIL)
        yield finding
    if not unreached:
        yield _checked("login", lambda: _login(project, found, target))


def _reached(project: ProjectSetup, found: FoundConnection) -> Iterator[Diagnosis]:
    """Yield whether the API answers, and how far its clock is from ours. Nothing secret is sent."""
    url = found.connection.api_url
    transport = Transport(_REACH_S)
    try:
        began = project.clock.monotonic_s()
        answer = transport.send("GET", f"{url}/v1/application", {"accept": "application/json"})
        took_ms = (project.clock.monotonic_s() - began) * 1000
    except CkfuncError as problem:
        yield Diagnosis("platform", FAIL, problem.message, problem.hint)
        return
    finally:
        transport.close()
    yield Diagnosis("platform", OK, f"{url} answers in {took_ms:.0f} ms")
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
        skew_s = (project.clock.now() - theirs).total_seconds()
    except (ValueError, TypeError):
        yield Diagnosis("clock", WARN, "the platform does not say what time it is")
        return
    text = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the platform's"
    if abs(skew_s) < SKEW_WARNS_S:
        yield Diagnosis("clock", OK, "agrees with the platform's")
    else:
        verdict = FAIL if abs(skew_s) >= SKEW_FAILS_S else WARN
        yield Diagnosis("clock", verdict, text, "set this machine's clock; certificates and tokens need it")


def _login(project: ProjectSetup, found: FoundConnection, target: Target) -> Diagnosis:
    application = project.connect(found.connection).application()
    by_id = target.application is None or target.application.isdecimal()
    require_application(target, str(application.id) if by_id else application.key)
    return Diagnosis("login", OK, f"application {application.id} ({application.key})")
