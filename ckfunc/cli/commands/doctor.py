"""`ckfunc doctor`: check the environment and report problems."""

from __future__ import annotations

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK
from ckfunc.cli.app import App
from ckfunc.cli.options import command


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
        if not (app.settings.json or (app.settings.quiet and finding.verdict != FAIL)):
            app.output.lines(finding.lines())
            app.output.flush()
    app.output.data([finding.to_json() for finding in findings])
    return EXIT_FAILED if any(finding.verdict == FAIL for finding in findings) else EXIT_OK
