"""`ckfunc audit`: known vulnerabilities of the project's npm packages."""

from __future__ import annotations

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK
from ckfunc.cli.app import App
from ckfunc.cli.options import choice, command

_LEVELS = ("low", "moderate", "high", "critical")


@command("""
  ckfunc audit                        list every known vulnerability
  ckfunc audit --level high           only high and critical ones
  ckfunc audit --json                 list them as data
""")
@choice("--level", _LEVELS, "Only report vulnerabilities of this severity or higher.", default="low")
def audit(app: App, level: str) -> int:
    """Ask the npm registry for known vulnerabilities in the packages of functions.lock.

    Without functions.lock, the versions that npm would install now are audited. Exits 1 if there are vulnerabilities,
    or if the registry does not respond. Vulnerabilities in packages that only the platform installs are listed, but do
    not affect the exit code: the project cannot change these packages.
    """
    from ckfunc.bundle.locking import audit_project

    with app.output.progress("auditing"):
        audited = audit_project(app.root(), app.workspace.install_policy(), app.output.talk).at_least(level)
    app.output.result(audited.to_json(), audited.lines() if audited.vulnerabilities else ())
    if not app.settings.json:
        app.output.flush()
        app.output.talks(audited.summary_lines())
    return EXIT_FAILED if audited.own else EXIT_OK
