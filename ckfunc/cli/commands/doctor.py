"""`ckfunc doctor`: check the environment and report problems."""

from __future__ import annotations

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK
from ckfunc.base.text import printable
from ckfunc.cli.app import App
from ckfunc.cli.options import command

_STYLES = {"ok": "success", "warn": "warning", "fail": "failure"}


@command("""
  ckfunc doctor
  ckfunc doctor --target production
  ckfunc doctor --json
""")
def doctor(app: App) -> int:
    """Check versions, Node, the package cache, the project, credentials, the platform, the clock and guest users.

    Prints a line for each check: ok, warn or fail, with a hint. Exits 1 if a check fails. Nothing is deployed.
    """
    from ckfunc.check.setup import FAIL, setup_findings

    findings = []
    for finding in setup_findings(app):
        findings.append(finding)
        if not (app.output.json or (app.output.quiet and finding.verdict != FAIL)):
            app.output.line(
                (f"{finding.verdict:<4}  ", _STYLES[finding.verdict]), f"{finding.name:<12}  ", printable(finding.text)
            )
            if finding.hint:
                app.output.line("      ", " " * 12, ("  hint: ", "muted"), printable(finding.hint))
            app.output.flush()
    if app.output.json:
        app.output.document([finding.to_json() for finding in findings])
    return EXIT_FAILED if any(finding.verdict == FAIL for finding in findings) else EXIT_OK
