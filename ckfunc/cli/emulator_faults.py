"""`ckfunc emulator faults`: list, add and remove faults of a running emulator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import CkfuncError, NotFound, UsageProblem
from ckfunc.base.text import counted
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_operations
from ckfunc.cli.emulator_data import directory
from ckfunc.cli.options import argument, data_dir_option, flag, group, integer, option
from ckfunc.emulator.data_directory import find_running
from ckfunc.model.fault import fault_table
from ckfunc.wire.faults import FaultMistake, read_fault_entry, write_active_fault

if TYPE_CHECKING:
    from ckfunc.api.emulator import FaultControls


@group("""
  ckfunc emulator faults                                        list faults
  ckfunc emulator faults add sendChannelMessage --status 429    fail requests
  ckfunc emulator faults add --status 503 --rate 20%            fail some
  ckfunc emulator faults clear                                  remove all
""")
@data_dir_option
def faults(app: App, data_dir: Path | None) -> None:
    """List the faults of a running emulator.

    Faults are errors, delays and lost responses of the Platform API. AFFECTED counts the requests that a fault has
    affected, out of those that it could have affected. Faults end with the emulator.
    """
    active = _running_faults(app, data_dir).all()
    empty = (("no faults", "muted"), "; `ckfunc emulator faults add --help` shows examples")
    app.output.result([write_active_fault(fault) for fault in active], fault_table(active), empty)


@faults.subcommand("""
  ckfunc emulator faults add sendChannelMessage --status 429 --first 2
  ckfunc emulator faults add --status 503 --rate 20%
  ckfunc emulator faults add createUser --lost
  ckfunc emulator faults add --delay 2s
""")
@argument("operation", "[OPERATION]", complete=complete_operations, required=False)
@option("--status", "STATUS", "Refuse requests with this status: 429, or 500 to 599.", int)
@option("--retry-after", "SECONDS", "Retry-After of the response (default for 429: 1).", int)
@option("--delay", "TIME", "Delay requests, for example by 500ms or 2s.")
@flag("--lost", "Carry requests out, but close the connection without a response.")
@option("--rate", "PERCENT", "Only affect this percentage of the requests, for example 20%.")
@option("--first", "N", "Only affect the first N requests.", int)
@option("--seed", "N", "Seed of the random numbers for --rate (default: 1).", int)
@data_dir_option
def add(app: App, /, data_dir: Path | None, **entry: object) -> None:
    """Add a fault to a running emulator.

    It affects requests to the Platform API. OPERATION is the id of an operation, as /docs lists them; by default, all
    are affected. If several faults apply to a request, the oldest one takes effect.
    """
    try:
        fault = read_fault_entry(entry)
    except FaultMistake as mistake:
        raise UsageProblem(mistake.message, hint=mistake.hint or "see `ckfunc emulator faults add --help`") from None
    active = _running_faults(app, data_dir).add(fault)
    description = f"fault {active.id}: {fault.effect}, {fault.requests} of {fault.operation or 'all operations'}"
    app.output.outcome(write_active_fault(active), ("added ", "success"), description)


@faults.subcommand()
@argument("ids", "[ID]...", integer(1), nargs=-1)
@data_dir_option
def clear(app: App, ids: tuple[int, ...], data_dir: Path | None) -> None:
    """Remove faults of a running emulator, by default all. If an ID does not exist, nothing is removed."""
    running = _running_faults(app, data_dir)
    try:
        removed = running.remove(ids) if ids else running.clear()
    except NotFound as error:
        raise NotFound(error.message, hint="`ckfunc emulator faults` lists the faults", status=error.status) from None
    count = (("removed ", "success"), counted(len(removed), "fault"))
    documents = [write_active_fault(fault) for fault in removed]
    app.output.outcome(documents, *(count if removed else (("no faults", "muted"),)))


def _running_faults(app: App, data_dir: Path | None) -> FaultControls:
    """Return the faults of the emulator that is running. Raises CkfuncError if none is."""
    from ckfunc.api.emulator import FaultControls

    data = directory(app, data_dir)
    url = find_running(data)
    if url is None:
        hint = "start one with `ckfunc emulator` or `ckfunc dev`; faults end with the emulator"
        raise CkfuncError(f"no emulator is running for {app.output.path(data)}", hint=hint)
    return FaultControls(app.connect(app.emulator_connection(url)))
