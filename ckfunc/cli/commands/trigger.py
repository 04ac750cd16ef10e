"""`ckfunc trigger`: make the emulator fire an event for real."""

from __future__ import annotations

from typing import Any

import click

from ckfunc.base.documents import read_data
from ckfunc.base.errors import CkfuncError, UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_data, complete_types
from ckfunc.cli.options import common_options, pass_app

_EXAMPLE = '{"username": "jane"}'


@click.command(
    epilog="""\b
Examples:
  ckfunc trigger user.attempted.start_session --data '{"username": "jane", "authParams": {}}'
  ckfunc trigger user.sent.message --data @event.json
  echo '{"username": "jane"}' | ckfunc trigger user.attempted.start_session --data -"""
)
@click.argument("trigger_type", metavar="TYPE", shell_complete=complete_types)
@click.option(
    "--data",
    metavar="JSON",
    default=None,
    shell_complete=complete_data,
    help="The event: JSON, @FILE, or - for standard input.",
)
@common_options
@pass_app
def trigger(app: App, trigger_type: str, data: str | None) -> int:
    """Make the emulator fire an event of TYPE, and show what its function made of it.

    For user.attempted.start_session it also tells whether the session would be allowed. The exit code is 1 when the
    function fails.
    """
    from ckfunc.api.emulator import trigger as fire
    from ckfunc.cli.invocations import show_triggered

    event = event_from(data)
    if not app.target().emulator:
        raise CkfuncError(
            f"target {app.target().name!r} is the real platform, which fires its events itself",
            hint="use --target local, or any target with `emulator: true`",
        )
    client = app.client()  # which may have to start an emulator: not what takes long here
    with app.output.progress("running"):
        answer = fire(client, trigger_type, event)
    return show_triggered(app, trigger_type, answer)


def event_from(data: str | None) -> dict[str, Any]:
    """Read an event as `--data` takes it; without one, an event that has no fields. Raises UsageProblem."""
    if data is None:
        return {}
    event = read_data(data, "event", _EXAMPLE)
    if not isinstance(event, dict):
        raise UsageProblem("--data is not a JSON object", hint=f"for example --data '{_EXAMPLE}'")
    return event
