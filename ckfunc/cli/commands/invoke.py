"""`ckfunc invoke`: run the working copy of a handler once, here."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import common_options, pass_app

_DEBUGGERS_LOOK_AT = 9229


@click.command(
    epilog="""\b
Examples:
  ckfunc invoke user.sent.message                         with a sample event
  ckfunc invoke user.sent.message --event event.json
  echo '{"username": "jane"}' | ckfunc invoke user.attempted.start_session --event -
  ckfunc invoke user.sent.message --from-invocation 4711 --target production
  ckfunc invoke user.sent.message --inspect               wait for a debugger first"""
)
@click.argument("trigger_type", metavar="TYPE", shell_complete=complete_types)
@click.option("--event", metavar="FILE", help="The event as JSON; - is standard input. Default: a sample of the type.")
@click.option(
    "--from-invocation",
    type=click.IntRange(1),
    metavar="ID",
    help="Use the event of a recorded invocation (`ckfunc logs` shows the ids).",
)
@click.option(
    "--inspect",
    type=click.IntRange(1, 65535),
    is_flag=False,
    flag_value=_DEBUGGERS_LOOK_AT,
    metavar="[PORT]",
    help=f"Open Node's debugger port on 127.0.0.1 (default: {_DEBUGGERS_LOOK_AT}) and wait, without a time limit.",
)
@common_options
@pass_app
def invoke(app: App, trigger_type: str, event: str | None, from_invocation: int | None, inspect: int | None) -> int:
    """Run the working copy of the handler of TYPE once, and show what it did.

    It runs on this machine, in the environment of the target, on an emulator that lives for the run alone. That one
    begins with a copy of the data of the project's emulator, so that the handler finds your users and channels; nothing
    is changed there, nor on the target. What the event mentions is there too. Functions that the handler's own calls
    would set off are not run. The exit code is 1 when the handler fails.
    """
    from ckfunc.cli.invoking import invoke as invoke_handler

    return invoke_handler(app, trigger_type, event=event, from_invocation=from_invocation, inspect_port=inspect)
