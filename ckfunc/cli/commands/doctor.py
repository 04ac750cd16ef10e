"""`ckfunc doctor`: check the environment and report problems."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckfunc import __version__
from ckfunc.base.containment import STATE_DIRECTORY, LeadsOutside
from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, CredentialsMissing, InvalidFiles, NoProject
from ckfunc.base.files import cache_dir
from ckfunc.base.git import GitMissing, GitRefused, git, trust_command
from ckfunc.base.text import printable
from ckfunc.cli.app import App
from ckfunc.cli.options import common_options, pass_app
from ckfunc.model.project import Target

if TYPE_CHECKING:
    from ckfunc.api.credentials import FoundConnection

# Rooms are imported inside the functions: `ckfunc doctor --help` must not load the API client and the runtime.

NODE_MAJOR = 24
SKEW_WARNS_S = 30.0
SKEW_FAILS_S = 300.0
_REACH_S = 10.0

OK, WARN, FAIL = "ok", "warn", "fail"
_STYLES = {OK: "success", WARN: "warning", FAIL: "failure"}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of one check. `verdict` is ok, warn or fail."""

    name: str
    verdict: str
    text: str
    hint: str | None = None


@click.command(
    epilog="""\b
Examples:
  ckfunc doctor
  ckfunc doctor --target production
  ckfunc doctor --json"""
)
@common_options
@pass_app
def doctor(app: App) -> int:
    """Check versions, Node, the package cache, the project, credentials, the platform and the clock.

    Prints a line for each check: ok, warn or fail, with a hint. Exits 1 if a check fails. Nothing is deployed.
    """
    findings: list[Diagnosis] = []
    for finding in _findings(app):
        findings.append(finding)
        if not (app.output.json or (app.output.quiet and finding.verdict != FAIL)):
            app.output.line(
                (f"{finding.verdict:<4}  ", _STYLES[finding.verdict]), f"{finding.name:<12}  ", printable(finding.text)
            )
            if finding.hint:
                app.output.line("      ", " " * 12, ("  hint: ", "muted"), printable(finding.hint))
            app.output.flush()
    if app.output.json:
        app.output.document(
            [
                {
                    "check": one.name,
                    "verdict": one.verdict,
                    "text": one.text,
                    **({"hint": one.hint} if one.hint else {}),
                }
                for one in findings
            ]
        )
    return EXIT_FAILED if any(one.verdict == FAIL for one in findings) else EXIT_OK


def _findings(app: App) -> Iterator[Diagnosis]:
    from ckfunc.api.credentials import NoKeyring, keyring_name

    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Diagnosis("ckfunc", OK, f"ckfunc {__version__}, {python}")
    yield _checked("node", _node)
    yield _checked("isolation", _isolation)
    yield _checked("npm", lambda: _npm(app))
    yield _checked("cache", lambda: _writable("cache", cache_dir(), "CKFUNC_CACHE_DIR names another directory"))
    yield _checked("keyring", lambda: Diagnosis("keyring", OK, keyring_name()), expected=NoKeyring)
    yield from _project(app)


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
    from ckfunc.runtime.node import node_executable, node_version

    path = node_executable()
    version = node_version(path)
    if not version.startswith(f"v{NODE_MAJOR}."):
        return Diagnosis("node", WARN, f"Node {version} at {path}", f"handlers are tested on Node {NODE_MAJOR}")
    return Diagnosis("node", OK, f"Node {version}")


def _isolation() -> Diagnosis:
    from ckfunc.runtime.confinement import isolation

    found = isolation()
    parts = {"files": found.files, "signals": found.signals, "sockets": found.sockets}
    kept = [name for name, there in parts.items() if there]
    if not kept:
        return Diagnosis("isolation", OK, "handlers are limited by Node's permissions; this system offers no more")
    without = [name for name, there in parts.items() if not there]
    rest = f"; it does not enforce limits on {' and '.join(without)}" if without else ""
    return Diagnosis("isolation", OK, f"the kernel limits the {', '.join(kept)} that handlers can use{rest}")


def _npm(app: App) -> Diagnosis:
    from ckfunc.runtime.node import npm_script
    from ckfunc.runtime.policy import npm_settings

    npm_script()
    if unset := npm_settings(app.install_policy().project).unset:
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


def _project(app: App) -> Iterator[Diagnosis]:
    try:
        root = app.root()
    except NoProject as problem:
        yield Diagnosis("project", WARN, problem.message, problem.hint)
        yield from _platform(app, app.directory, Target("default"))
        return
    except LeadsOutside as problem:
        yield Diagnosis("project", FAIL, problem.message, problem.hint)
        return
    yield _writable("project", root / STATE_DIRECTORY, "check the permissions of the project")
    yield _checked("manifest", lambda: _manifest(app))
    yield from _packages(app)
    yield from _secrets(root)
    try:
        target = app.target()
    except CkfuncError as problem:
        yield Diagnosis("target", FAIL, problem.message, problem.hint)
        return
    if target.emulator:
        running = app.running_emulator()
        where = f"the emulator runs at {running}" if running else "the emulator starts with each command that needs it"
        yield Diagnosis("target", OK, f"{target.name}: {where}")
        return
    yield Diagnosis("target", OK, f"{target.name}, bound to application {target.application or 'none'}")
    yield from _platform(app, root, target)


def _manifest(app: App) -> Diagnosis:
    project = app.scripts()
    count = len(project.functions or ())
    said = f"functions.yaml: {count} function{'' if count == 1 else 's'}"
    if project.warnings:
        return Diagnosis("manifest", WARN, f"{said}; {project.warnings[0]}")
    return Diagnosis("manifest", OK, said)


def _packages(app: App) -> Iterator[Diagnosis]:
    """Yield a warning about installed packages whose install scripts did not run."""
    from ckfunc.runtime.install import scripts_warning
    from ckfunc.scaffold.packages import all_packages
    from ckfunc.scaffold.types import policy_of

    try:
        project = app.load_project(lenient=True)
        warning = scripts_warning(all_packages(project.runtime.dependencies or {}), cache_dir(), policy_of(project))
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


def _platform(app: App, root: Path, target: Target) -> Iterator[Diagnosis]:
    try:
        found = app.credentials(root, target)
    except CkfuncError as problem:
        outside = isinstance(problem, CredentialsMissing) and target.name == "default"
        yield Diagnosis("credentials", WARN if outside else FAIL, problem.message, problem.hint)
        return
    yield Diagnosis("credentials", OK, f"from {found.source}")
    unreached = False
    for finding in _reached(app, found):
        unreached = unreached or (finding.name, finding.verdict) == ("platform", FAIL)
        yield finding
    if not unreached:
        yield _checked("login", lambda: _login(app, found, target))


def _reached(app: App, found: FoundConnection) -> Iterator[Diagnosis]:
    """Yield whether the API answers, and how far its clock is from ours. Nothing secret is sent."""
    from email.utils import parsedate_to_datetime

    from ckfunc.api.transport import Transport

    url = found.connection.api_url
    transport = Transport(_REACH_S)
    try:
        began = app.clock.monotonic_s()
        answer = transport.send("GET", f"{url}/v1/application", {"accept": "application/json"})
        took_ms = (app.clock.monotonic_s() - began) * 1000
    except CkfuncError as problem:
        yield Diagnosis("platform", FAIL, problem.message, problem.hint)
        return
    finally:
        transport.close()
    yield Diagnosis("platform", OK, f"{url} answers in {took_ms:.0f} ms")
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
        skew_s = (app.clock.now() - theirs).total_seconds()
    except (ValueError, TypeError):
        yield Diagnosis("clock", WARN, "the platform does not say what time it is")
        return
    text = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the platform's"
    if abs(skew_s) < SKEW_WARNS_S:
        yield Diagnosis("clock", OK, "agrees with the platform's")
    else:
        verdict = FAIL if abs(skew_s) >= SKEW_FAILS_S else WARN
        yield Diagnosis("clock", verdict, text, "set this machine's clock; certificates and tokens need it")


def _login(app: App, found: FoundConnection, target: Target) -> Diagnosis:
    from ckfunc.deploy.plan.snapshot import require_application

    application = app.connect(found.connection).application()
    by_id = target.application is None or target.application.isdecimal()
    require_application(target, str(application.id) if by_id else application.key)
    return Diagnosis("login", OK, f"application {application.id} ({application.key})")
