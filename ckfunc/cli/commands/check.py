"""`ckfunc check` and `doctor`: check the project, and the setup."""

from __future__ import annotations

from collections.abc import Sequence

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, UsageProblem
from ckfunc.base.interrupts import ended_by_signals
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import argument, command, flag, format_option


@command
@argument("types", "[TYPE]...", complete=complete_types, nargs=-1)
@flag("--watch", "Check again whenever a file changes, until Ctrl-C.", short="-w")
@format_option
def check(app: App, types: tuple[str, ...], watch: bool) -> int:
    """Check the manifest, the syntax of every script, and its types with the TypeScript compiler.

    Strictness is set in the project's tsconfig.json. Needs no credentials, no values of variables, and no network once
    the compiler is cached. Exits 1 if there are errors.
    """
    if watch and app.settings.format is not None:
        raise UsageProblem("--format is for a single check", hint="leave out --watch")
    if watch:
        _watch(app, types)
        return EXIT_OK
    began = app.clock.monotonic_s()
    with app.output.progress("checking"):
        checked = app.check(types)
    app.output.warn(*checked.warnings)
    app.output.annotate(checked.annotations(), checked.root)
    lines = checked.lines(app.output.width()) if app.settings.format is None else ()
    summary = checked.summary_line(app.clock.monotonic_s() - began)
    app.output.result([problem.to_json() for problem in checked.problems], lines, summary=[summary])
    return EXIT_OK if checked.ok else EXIT_FAILED


@ended_by_signals()
def _watch(app: App, types: Sequence[str]) -> None:
    """Check now and after every change, until a signal ends it."""
    from ckfunc.check.project import rechecks

    output = app.output
    output.talk(("watching ", "title"), "the project's scripts; press Ctrl-C to stop")
    for recheck in rechecks(lambda: app.check(types), app.root(), app.settings.target, app.clock):
        if isinstance(recheck, CkfuncError):
            output.failure(recheck)
            continue
        output.warn(*recheck.new_warnings)
        if output.settings.json:
            output.record([problem.to_json() for problem in recheck.checked.problems])
            continue
        output.lines(recheck.checked.lines(output.width()))
        output.flush()
        time = f"{app.clock.now().astimezone():%H:%M:%S}  "
        output.talk((time, "muted"), *recheck.checked.summary_line(recheck.took_s))


@command
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
