"""How the working copy of a handler is run once, on an event from anywhere, and how that is told."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckfunc.base.documents import read_document
from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, Busy, UsageProblem
from ckfunc.base.files import read_file
from ckfunc.base.text import nearest, printable
from ckfunc.cli.app import App
from ckfunc.cli.output import USUAL_COLUMNS, Segment
from ckfunc.logs.format import call_lines, console_lines, failure_lines
from ckfunc.model.function import ConsoleLine, Status
from ckfunc.wire.functions import write_call

if TYPE_CHECKING:
    from ckfunc.model.function import Invocation
    from ckfunc.sandbox.scripts import Ran, Scripts

_RECORD_FIELDS = ("versionNumber", "version_number", "version", "status")


def invoke(
    app: App, trigger_type: str, *, event: str | None, from_invocation: int | None, inspect_port: int | None
) -> int:
    """Run the working copy's handler of a type once and print what came of it; the exit code is 1 when it failed."""
    from ckfunc.sandbox.mentions import seed_of
    from ckfunc.sandbox.sandbox import Sandbox
    from ckfunc.sandbox.scripts import scripts_of

    scripts = scripts_of(app.project())
    _require_handler(scripts, trigger_type)
    given = _event(app, trigger_type, event, from_invocation)
    if inspect_port is not None:
        _require_free(inspect_port)
    live = _Live(app, inspect_port)
    made = Sandbox.for_one_run(app.toolchain(), scripts, data=_data(app), inspect_port=inspect_port)
    with live.waiting(), made as sandbox:
        sandbox.add(seed_of([given]))
        live.begins()
        ran = sandbox.run(trigger_type, given, live.console)
    _show(app, trigger_type, ran)
    return EXIT_FAILED if ran.invocation.status is Status.FAILED else EXIT_OK


def _require_handler(scripts: Scripts, trigger_type: str) -> None:
    if trigger_type in scripts.handlers:
        return
    close = nearest(trigger_type, scripts.handlers)
    there = ", ".join(scripts.handlers) or f"no functions; `ckfunc new {trigger_type}` adds one"
    raise UsageProblem(
        f"functions.yaml has no function of type {trigger_type!r}",
        hint=f"did you mean {close}?" if close else f"it has: {there}",
    )


def _data(app: App) -> Path | None:
    """Return where the data of the project's emulator is, if there is any."""
    from ckfunc.emulator.data_directory import DATABASE

    return app.emulator_data if (app.emulator_data / DATABASE).is_file() else None


# -- where the event comes from ----------------------------------------------------------------------------------------


def _event(app: App, trigger_type: str, event: str | None, from_invocation: int | None) -> Mapping[str, Any]:
    if event is not None and from_invocation is not None:
        raise UsageProblem("--event and --from-invocation exclude each other")
    if from_invocation is not None:
        return _recorded(app, trigger_type, from_invocation).args
    if event is not None:
        return event_of(_read(app, event), trigger_type)
    from ckfunc.model.triggers import BY_TYPE
    from ckfunc.scaffold.samples import sample_event

    if trigger_type not in BY_TYPE:
        raise UsageProblem(f"there is no sample event for {trigger_type!r}", hint="give one: --event FILE")
    return sample_event(trigger_type)


def _recorded(app: App, trigger_type: str, invocation_id: int) -> Invocation:
    from ckfunc.logs.finding import read_invocation

    with app.output.progress("reading"):
        return read_invocation(app.client(), invocation_id, trigger_type, target=app.target().name).invocation


def _read(app: App, event: str) -> Any:
    shown = "standard input" if event == "-" else app.output.path(app.directory / event)
    try:
        # Bytes in any UTF, with or without a byte order mark: what shells write.
        return read_document(sys.stdin.buffer.read() if event == "-" else read_file(app.directory / event, pipe=True))
    except OSError as error:
        raise UsageProblem(f"cannot read the event: {shown}: {error.strerror}", hint="--event FILE, or -") from None
    except ValueError as error:
        raise UsageProblem(f"{shown} is not JSON: {error}", hint="an event is a JSON object") from None


def event_of(document: Any, trigger_type: str) -> Mapping[str, Any]:
    """Return the event in a document: it alone, {"type", "event"} (or "data"), or an invocation with its args.

    Raises UsageProblem when it is no object, or of another type.
    """
    if not isinstance(document, dict):
        raise UsageProblem("the event is not a JSON object", hint="""for example {"username": "jane"}""")
    inner, keys = document, set(document)
    for name in ("event", "data"):
        if keys == {"type", name} and isinstance(document["type"], str) and isinstance(document[name], dict):
            inner = document[name]
    if isinstance(document.get("args"), dict) and any(name in document for name in _RECORD_FIELDS):
        inner = document["args"]
    told = document.get("type")
    if inner is not document and isinstance(told, str) and told != trigger_type:
        raise UsageProblem(f"the event is one of {told}, not of {trigger_type}")
    return inner


# -- what is said ------------------------------------------------------------------------------------------------------


class _Live:
    """Tells what happens while it happens; with --json, nothing."""

    def __init__(self, app: App, inspect_port: int | None) -> None:
        self._output = app.output
        self._inspect_port = inspect_port
        self._waiting = ExitStack()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Show that something is under way until there is more to show."""
        with self._waiting:
            self._waiting.enter_context(self._output.progress("running"))
            yield

    def begins(self) -> None:
        """Say where the debugger is waited for."""
        if self._inspect_port is None:
            return
        self._waiting.close()
        where = f"127.0.0.1:{self._inspect_port}"
        self._output.talk(("waiting for a debugger ", "title"), f"at {where}; Ctrl-C gives up")
        self._output.talk("  Chrome: chrome://inspect, then `inspect` under Remote Target")
        self._output.talk(
            f"  VS Code: the command `Debug: Attach to Node Process`, or a launch entry with port {where}"
        )
        self._output.talk("  it stops at the line that calls your handler: step into it")

    def console(self, line: ConsoleLine) -> None:
        """Print what the handler prints."""
        self._waiting.close()
        if not self._output.json:
            self._output.lines(console_lines(line))
            self._output.flush()


def _show(app: App, trigger_type: str, ran: Ran) -> None:
    row, detail, output = ran.invocation, ran.detail, app.output
    if output.json:
        output.document(_document(trigger_type, ran))
        return
    failed = row.status is Status.FAILED
    took = f" {detail.duration_ms:.0f} ms" if detail.duration_ms is not None else ""
    output.line((row.status.value, "failure" if failed else "success"), (took, "muted"))
    if failed:
        output.lines(failure_lines(row))
    else:
        output.lines(_result_lines(row.result.get("payload"), output.width()))
    output.lines(call_lines(detail, output.width()))
    if ran.allowed is not None:
        verdict, style = ("allowed", "success") if ran.allowed else ("denied", "failure")
        output.line("session ", (verdict, style), f": {printable(ran.reason)}" if ran.reason else "")


def _result_lines(payload: Any, width: int | None) -> Iterator[list[Segment]]:
    """Yield a result as JSON: on one line where it fits, else on many."""
    text = json.dumps(payload, ensure_ascii=False)
    if len(text) > (width or USUAL_COLUMNS) - 4:
        text = json.dumps(payload, ensure_ascii=False, indent=2)
    for number, line in enumerate(text.split("\n")):
        yield [("  → " if number == 0 else "    ", "muted"), printable(line)]


def _document(trigger_type: str, ran: Ran) -> dict[str, Any]:
    row, detail = ran.invocation, ran.detail
    made: dict[str, Any] = {
        "type": trigger_type,
        "status": row.status.value,
        "durationMs": detail.duration_ms,
        "args": row.args,
        "result": row.result,
        "console": [{"level": line.level, "text": line.text} for line in detail.console],
        "calls": [write_call(one) for one in detail.calls],
        "callsOmitted": detail.calls_omitted,
    }
    if ran.allowed is not None:
        made |= {"allowed": ran.allowed, "reason": ran.reason}
    return made


def _require_free(port: int) -> None:
    """Raise Busy when something listens on the port: Node itself would go on without a debugger."""
    with socket.socket() as probe:
        if hasattr(signal, "SIGHUP"):  # POSIX: a port in TIME_WAIT is free; on Windows this would share a taken one
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise Busy(
                f"cannot listen on 127.0.0.1:{port}: something else does", hint="choose another: --inspect PORT"
            ) from None
