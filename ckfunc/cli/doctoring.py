"""What could be wrong around ckfunc: one check after the other, each with a verdict and a hint."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

from ckfunc import __version__
from ckfunc.api.credentials import FoundConnection, NoKeyring, keyring_name
from ckfunc.base.containment import STATE_DIRECTORY, LeadsOutside
from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, CredentialsMissing, InvalidFiles, NoProject
from ckfunc.base.files import cache_dir
from ckfunc.base.git import GitMissing, GitRefused, git, trust_command
from ckfunc.base.text import printable
from ckfunc.cli.app import App
from ckfunc.model.project import Target

NODE_MAJOR = 24
SKEW_WARNS_S = 30.0
SKEW_FAILS_S = 300.0
_REACH_S = 10.0

OK, WARN, FAIL = "ok", "warn", "fail"
_STYLES = {OK: "success", WARN: "warning", FAIL: "failure"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. `verdict` is ok, warn or fail."""

    name: str
    verdict: str
    text: str
    hint: str | None = None


def examine(app: App) -> int:
    """Print a line for each check as it ends, and return the exit code: 1 when any failed."""
    findings: list[Finding] = []
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


def _findings(app: App) -> Iterator[Finding]:
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Finding("ckfunc", OK, f"ckfunc {__version__}, {python}")
    yield _checked("node", _node)
    yield _checked("isolation", _isolation)
    yield _checked("npm", lambda: _npm(app))
    yield _checked("cache", lambda: _writable("cache", cache_dir(), "CKFUNC_CACHE_DIR names another directory"))
    yield _checked("keyring", lambda: Finding("keyring", OK, keyring_name()), expected=NoKeyring)
    yield from _project(app)


def _checked(name: str, check: Callable[[], Finding], expected: type[CkfuncError] | None = None) -> Finding:
    """Return what a check finds; its failure is a finding too, and one that is `expected` only a warning."""
    try:
        return check()
    except CkfuncError as problem:
        text = problem.message
        if isinstance(problem, InvalidFiles) and problem.problems:
            text = f"{text}: {problem.problems[0]}"
        verdict = WARN if expected is not None and isinstance(problem, expected) else FAIL
        return Finding(name, verdict, text, problem.hint)


def _node() -> Finding:
    from ckfunc.runtime.node import node_executable, node_version

    path = node_executable()
    version = node_version(path)
    if not version.startswith(f"v{NODE_MAJOR}."):
        return Finding("node", WARN, f"Node {version} at {path}", f"handlers are tested on Node {NODE_MAJOR}")
    return Finding("node", OK, f"Node {version}")


def _isolation() -> Finding:
    from ckfunc.runtime.confinement import isolation

    found = isolation()
    parts = {"files": found.files, "signals": found.signals, "sockets": found.sockets}
    kept = [name for name, there in parts.items() if there]
    if not kept:
        return Finding("isolation", OK, "handlers are limited by Node's permissions; this system offers no more")
    without = [name for name, there in parts.items() if not there]
    rest = f"; it does not enforce limits on {' and '.join(without)}" if without else ""
    return Finding("isolation", OK, f"the kernel limits the {', '.join(kept)} that handlers can use{rest}")


def _npm(app: App) -> Finding:
    from ckfunc.runtime.node import npm_script
    from ckfunc.runtime.policy import npm_settings

    npm_script()
    if unset := npm_settings(app.install_policy().project).unset:
        return Finding("npm", WARN, f"credentials are left out: {'; '.join(unset)}", "set it in the environment")
    return Finding("npm", OK, "npm installs packages for the emulator")


def _writable(name: str, directory: Path, hint: str) -> Finding:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        return Finding(name, FAIL, f"{directory} cannot be written to: {error.strerror or error}", hint)
    return Finding(name, OK, f"{directory} can be written to")


def _project(app: App) -> Iterator[Finding]:
    try:
        root = app.root()
    except NoProject as problem:
        yield Finding("project", WARN, problem.message, problem.hint)
        yield from _platform(app, app.directory, Target("default"))
        return
    except LeadsOutside as problem:
        yield Finding("project", FAIL, problem.message, problem.hint)
        return
    yield _writable("project", root / STATE_DIRECTORY, "check the permissions of the project")
    yield _checked("manifest", lambda: _manifest(app))
    yield from _packages(app)
    yield from _secrets(root)
    try:
        target = app.target()
    except CkfuncError as problem:
        yield Finding("target", FAIL, problem.message, problem.hint)
        return
    if target.emulator:
        running = app.running_emulator()
        where = f"the emulator runs at {running}" if running else "the emulator starts with each command that needs it"
        yield Finding("target", OK, f"{target.name}: {where}")
        return
    yield Finding("target", OK, f"{target.name}, bound to application {target.application or 'none'}")
    yield from _platform(app, root, target)


def _manifest(app: App) -> Finding:
    project = app.scripts()
    count = len(project.functions or ())
    said = f"functions.yaml: {count} function{'' if count == 1 else 's'}"
    if project.warnings:
        return Finding("manifest", WARN, f"{said}; {project.warnings[0]}")
    return Finding("manifest", OK, said)


def _packages(app: App) -> Iterator[Finding]:
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
        yield Finding("packages", WARN, *warning)


def _secrets(root: Path) -> Iterator[Finding]:
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
            yield Finding("secrets", WARN, problem, f"if you trust it: {trust_command(root)}")
        if refusal.returncode != 1:  # 1: none of them is ignored
            return
        ignored = []
    open_ones = [name for name in files if name not in ignored]
    if open_ones:
        yield Finding("secrets", WARN, f"git does not ignore {', '.join(open_ones)}", "add it to .gitignore")
    else:
        yield Finding("secrets", OK, f"git ignores {', '.join(files)}")


def _platform(app: App, root: Path, target: Target) -> Iterator[Finding]:
    try:
        found = app.credentials(root, target)
    except CkfuncError as problem:
        outside = isinstance(problem, CredentialsMissing) and target.name == "default"
        yield Finding("credentials", WARN if outside else FAIL, problem.message, problem.hint)
        return
    yield Finding("credentials", OK, f"from {found.source}")
    unreached = False
    for finding in _reached(app, found):
        unreached = unreached or (finding.name, finding.verdict) == ("platform", FAIL)
        yield finding
    if not unreached:
        yield _checked("login", lambda: _login(app, found, target))


def _reached(app: App, found: FoundConnection) -> Iterator[Finding]:
    """Yield whether the API answers, and how far its clock is from ours. Nothing secret is sent."""
    from ckfunc.api.transport import Transport

    url = found.connection.api_url
    transport = Transport(_REACH_S)
    try:
        began = app.clock.monotonic_s()
        answer = transport.send("GET", f"{url}/v1/application", {"accept": "application/json"})
        took_ms = (app.clock.monotonic_s() - began) * 1000
    except CkfuncError as problem:
        yield Finding("platform", FAIL, problem.message, problem.hint)
        return
    finally:
        transport.close()
    yield Finding("platform", OK, f"{url} answers in {took_ms:.0f} ms")
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
        skew_s = (app.clock.now() - theirs).total_seconds()
    except (ValueError, TypeError):
        yield Finding("clock", WARN, "the platform does not say what time it is")
        return
    text = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the platform's"
    if abs(skew_s) < SKEW_WARNS_S:
        yield Finding("clock", OK, "agrees with the platform's")
    else:
        verdict = FAIL if abs(skew_s) >= SKEW_FAILS_S else WARN
        yield Finding("clock", verdict, text, "set this machine's clock; certificates and tokens need it")


def _login(app: App, found: FoundConnection, target: Target) -> Finding:
    from ckfunc.deploy.plan.snapshot import require_application

    application = app.connect(found.connection).application()
    by_id = target.application is None or target.application.isdecimal()
    require_application(target, str(application.id) if by_id else application.key)
    return Finding("login", OK, f"application {application.id} ({application.key})")
