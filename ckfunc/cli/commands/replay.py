"""`ckfunc replay`: replay recorded invocations and compare the results."""

from __future__ import annotations

from ckfunc.base.errors import EXIT_DIFFERENCES, EXIT_OK, UsageProblem
from ckfunc.base.text import is_id, printable
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import argument, command, flag, integer, option
from ckfunc.deploy.history import require_handler
from ckfunc.replay.report import handler_json, replay_lines


@command
@argument("selected", "TYPE|ID", complete=complete_types)
@option("--last", "N", "Replay the newest N (default: 50).", integer(1))
@option("--since", "WHEN", "Replay those not older than this: 10m, 2h, 1d, today, yesterday, or an ISO time.")
@flag("--failed", "Only replay failed invocations.")
@flag("--exit-code", "Exit 3 if anything differs.")
@option("--jobs", "N", "Replay N at a time.", integer(1, 64), short="-j")
@flag("--network", "Allow network access (side effects are real).")
def replay(
    app: App,
    selected: str,
    last: int | None,
    since: str | None,
    failed: bool,
    exit_code: bool,
    jobs: int | None,
    network: bool,
) -> int:
    """Replay recorded invocations of TYPE with the deployed version and the working copy, and compare the results.

    With the ID of an invocation, as `ckfunc logs` shows it, only that one is replayed, with the version that ran then.
    Nothing is written to the target. Both versions run on this machine, at the recorded time, with the same random
    numbers and on the same data: the users, channels and messages that the events mention. What differs between runs
    of the same version does not count as a difference. Handlers can reach no server but the sandbox.
    """
    from ckfunc.replay.target import Chosen, Deployed, SandboxPairs

    chosen = Chosen.of_options(last, since, app.clock.now(), failed=failed)
    if is_id(selected) and (last is not None or since is not None or failed):
        raise UsageProblem("an id selects one invocation; --last, --since and --failed need a TYPE")
    output, project = app.output, app.project()
    if not is_id(selected):
        require_handler(project, selected)
    with output.progress("reading recorded invocations"):
        target = Deployed.read(app.client(), project)
        trigger_type, version, rows = target.selected(selected, chosen)
    handler = printable(require_handler(project, trigger_type).path)
    output.talk(
        (printable(trigger_type), "title"),
        f": deployed v{version.version_number} against {handler}",
        *([(", which is the same", "muted")] if target.is_same(version, trigger_type) else []),
    )
    pairs = SandboxPairs(app.toolchain(), target, {trigger_type: version}, now=app.clock.now(), network=network)
    with output.progress("replaying"), pairs:
        report = pairs.replay(trigger_type, rows, jobs)
    redaction = target.redaction(app.secrets())
    target_name, number = project.target.name, version.version_number
    document = handler_json(report, redaction, target_name, trigger_type, number, handler)
    output.result(document, replay_lines(report, redaction))
    return EXIT_DIFFERENCES if exit_code and not report.ok else EXIT_OK
