"""`ckfunc lock` and `audit`: the versions of npm packages, and their vulnerabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, LockOutdated, UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_locked
from ckfunc.cli.options import argument, choice, command, flag

if TYPE_CHECKING:
    from ckfunc.model.outputs import LockCheckJson

_LEVELS = ("low", "moderate", "high", "critical")


@command
@argument("names", "[NAME]...", complete=complete_locked, nargs=-1)
@flag("--upgrade", "Use the newest versions that fit, of all packages or of NAME.")
@flag("--check", "Write nothing; exit 1 if functions.lock is missing or out of date.")
def lock(app: App, names: tuple[str, ...], upgrade: bool, check: bool) -> int:
    """Write functions.lock: the exact version and checksum of every npm package, direct and transitive.

    npm resolves runtime.dependencies and the platform's own packages. Locked versions that still fit stay.
    Commit the file: then every machine installs the same packages, and a deploy sends the exact versions.
    """
    if names and not upgrade:
        raise UsageProblem(
            "package names can only be given with --upgrade", hint=f"run `ckfunc lock --upgrade {' '.join(names)}`"
        )
    if check and upgrade:
        raise UsageProblem("--check and --upgrade can't be used together", hint="--check writes nothing")
    if check:
        return _check(app)
    from ckfunc.bundle.locking import update_lock

    with app.output.progress("resolving"):
        policy = app.workspace.install_policy()
        update = update_lock(app.root(), policy, app.output.detail, names, upgrade=upgrade and not names)
    app.output.result(update.to_json(), update.lines(), summary=[update.summary_line()])
    return EXIT_OK


def _check(app: App) -> int:
    from ckfunc.bundle.locking import require_lock

    try:
        count, problems = require_lock(app.root()).package_count, []
    except LockOutdated as error:
        if not app.settings.json:
            raise
        count, problems = "", [str(problem) for problem in error.problems]
    checked: LockCheckJson = {"current": not problems, "problems": problems}
    app.output.result(checked, (), [("functions.lock is up to date", "success"), f": {count}"])
    return EXIT_FAILED if problems else EXIT_OK


@command
@choice("--level", _LEVELS, "Only report vulnerabilities of this severity or higher.", default="low")
def audit(app: App, level: str) -> int:
    """Ask the npm registry for known vulnerabilities in the packages of functions.lock.

    Without functions.lock, the versions that npm would install now are audited. Exits 1 if there are vulnerabilities,
    or if the registry does not respond. Vulnerabilities in packages that only the platform installs are listed, but do
    not affect the exit code: the project cannot change these packages.
    """
    from ckfunc.bundle.locking import audit_project

    with app.output.progress("auditing"):
        policy, output = app.workspace.install_policy(), app.output
        audited = audit_project(app.root(), policy, output.talk, output.detail).at_least(level)
    lines = audited.lines() if audited.vulnerabilities else ()
    app.output.result(audited.to_json(), lines, summary=audited.summary_lines())
    return EXIT_FAILED if audited.own else EXIT_OK
