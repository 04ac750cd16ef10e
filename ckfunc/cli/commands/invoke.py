"""`ckfunc invoke`: run the working copy of a handler once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.options import FILE, command, integer, option, type_argument
from ckfunc.deploy.history import require_handler
from ckfunc.logs.finding import read_invocation
from ckfunc.logs.format import console_lines, run_lines, session_line
from ckfunc.model.application import ConsoleLine, Status

_DEBUGGERS_LOOK_AT = 9229


@command
@type_argument
@option("--event", "FILE", "File with the event as JSON, or - for standard input (default: a sample event).", FILE)
@option("--from-invocation", "ID", "Use the event of a recorded invocation (`ckfunc logs` shows its ID).", integer(1))
@option(
    "--inspect",
    "[PORT]",
    f"Open Node's debugger port on 127.0.0.1 (default: {_DEBUGGERS_LOOK_AT}) and wait, without a time limit.",
    integer(1, 65535),
    is_flag=False,
    flag_value=_DEBUGGERS_LOOK_AT,
)
def invoke(app: App, trigger_type: str, event: Path | None, from_invocation: int | None, inspect: int | None) -> int:
    """Run the working copy of a handler once, and show the result.

    The handler runs on this machine with the target's environment, against a temporary copy of the project's emulator:
    it finds your users and channels and whatever the event mentions, and nothing changes in the emulator or on the
    target. Functions that the handler's own calls would trigger do not run. Exits 1 if the handler fails.
    """
    from ckfunc.sandbox.sandbox import Sandbox, debugger_lines
    from ckfunc.sandbox.scripts import scripts_of

    project = app.project()
    require_handler(project, trigger_type)
    event_data = _event(app, trigger_type, event, from_invocation)
    sandboxed = Sandbox.for_one_run(app.toolchain(), scripts_of(project), data=app.emulator_data, inspect_port=inspect)
    with app.output.progress("running") as end_progress, sandboxed as sandbox:

        def print_console(line: ConsoleLine) -> None:
            end_progress()
            if not app.settings.json:
                app.output.lines(console_lines(line))
                app.output.flush()

        sandbox.add_mentioned(event_data)
        if inspect is not None:
            end_progress()
            app.output.talks(debugger_lines(inspect))
        ran = sandbox.run(trigger_type, event_data, print_console)
    session = [] if ran.allowed is None else [session_line(allowed=ran.allowed, reason=ran.reason)]
    lines = [*run_lines(ran.invocation, ran.detail, app.output.width()), *session]
    app.output.result(ran.to_json(trigger_type), lines)
    return EXIT_FAILED if ran.invocation.status is Status.FAILED else EXIT_OK


def _event(app: App, trigger_type: str, event: Path | None, from_invocation: int | None) -> Mapping[str, Any]:
    if event is not None and from_invocation is not None:
        raise UsageProblem("--event and --from-invocation can't be used together", hint="use only one of them")
    if from_invocation is not None:
        with app.output.progress("reading"):
            target = app.target().name
            return read_invocation(app.client(), from_invocation, trigger_type, target=target).invocation.args
    from ckfunc.sandbox.scripts import read_event, usual_event

    if event is None:
        return usual_event(trigger_type)
    return read_event(None if event == Path("-") else app.directory / event, trigger_type)
