"""`ckfunc trigger`: fire an event in the emulator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ckfunc.base.documents import read_data
from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, UsageProblem
from ckfunc.base.text import printable
from ckfunc.cli.app import App
from ckfunc.cli.commands.logs import print_item, stacks_of
from ckfunc.cli.completion import complete_data
from ckfunc.cli.options import command, option, type_argument
from ckfunc.logs.entries import LogEntry
from ckfunc.logs.finding import reason_nothing_ran
from ckfunc.logs.format import session_line
from ckfunc.model.application import Status
from ckfunc.wire.applications import read_detail, read_invocation

_EXAMPLE = '{"username": "jane"}'


@command
@type_argument
@option("--data", "JSON", "The event: JSON, @FILE, or - for standard input.", complete=complete_data)
def trigger(app: App, trigger_type: str, data: str | None) -> int:
    """Fire an event of TYPE in the emulator, and show the result of its function.

    For user.attempted.start_session it also shows whether the session would be allowed. The exit code is 1 if the
    function fails.
    """
    from ckfunc.api.emulator import trigger as fire

    event = event_from(data, app.directory)
    if not app.target().emulator:
        raise CkfuncError(
            f"target {app.target().name!r} is the real platform, which fires its events itself",
            hint="use --target local, or any target with `emulator: true`",
        )
    client = app.client()  # may start an emulator, which has a progress message of its own
    with app.output.progress("running"):
        answer = fire(client, trigger_type, event)
    if app.settings.json:
        app.output.document(answer)
    else:
        _print(app, trigger_type, answer)
    run = answer.get("invocation")
    return EXIT_FAILED if run is not None and read_invocation(run).status is Status.FAILED else EXIT_OK


def event_from(data: str | None, directory: Path) -> dict[str, Any]:
    """Return the event of `--data`, by default an empty one; a file is relative to `directory`. Raises UsageProblem."""
    if data is None:
        return {}
    event = read_data(data, directory, "event", _EXAMPLE)
    if not isinstance(event, dict):
        raise UsageProblem("--data is not a JSON object", hint=f"for example, --data '{_EXAMPLE}'")
    return event


def _print(app: App, trigger_type: str, answer: Mapping[str, Any]) -> None:
    from ckfunc.manifest.project import function_types

    run, output = answer.get("invocation"), app.output
    if run is None:
        sentence, hint = reason_nothing_ran(app.client(), trigger_type, lambda: function_types(app.root()))
        output.talk(("nothing ran", "warning"), f": {printable(sentence)}")
        if not output.settings.quiet:
            output.hint(hint)
    else:
        invocation, detail = read_invocation(run), answer.get("detail")
        entry = LogEntry(trigger_type, invocation, read_detail({"id": invocation.id, **detail}) if detail else None)
        print_item(output, entry, stacks=stacks_of(app, app.client(), fresh=True))
    if "allowed" in answer:
        output.line(*session_line(allowed=answer["allowed"], reason=answer.get("reason")))
