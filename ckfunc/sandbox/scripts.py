"""Scripts to run, the conditions of a run, and its result."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckfunc.base.documents import read_document
from ckfunc.base.errors import UsageProblem, shown_path
from ckfunc.base.files import read_file
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.model.application import Invocation, InvocationDetail
from ckfunc.model.execution import Determinism, ExecutedRanges, Limits
from ckfunc.model.project import Project, Script
from ckfunc.model.triggers import BY_TYPE
from ckfunc.runtime.compiler import CachingCompiler
from ckfunc.runtime.policy import Policy
from ckfunc.scaffold.templates import sample_event
from ckfunc.wire.applications import write_call

if TYPE_CHECKING:
    from ckfunc.model.outputs import HandlerRunJson

_RECORD_FIELDS = ("versionNumber", "version_number", "version", "status")
"""A document with one of them next to `args` is an invocation."""


@frozen
class Scripts:
    """Handlers by trigger type, and their runtime without the platform's own entries.

    The `path` of a script is its name in stack traces.
    """

    handlers: Mapping[str, Script]
    dependencies: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Secret] = field(default_factory=dict)
    initialization_script: Script | None = None


@frozen
class Ran:
    """A finished run. `allowed` is only set for user.attempted.start_session; `reason` explains a refusal."""

    invocation: Invocation
    detail: InvocationDetail
    allowed: bool | None = None
    reason: str | None = None

    def to_json(self, trigger_type: str) -> HandlerRunJson:
        """Return the run of a handler for `--json`."""
        row, detail = self.invocation, self.detail
        document: HandlerRunJson = {
            "type": trigger_type,
            "status": row.status.value,
            "durationMs": detail.duration_ms,
            "args": row.args,
            "result": row.result,
            "console": [{"level": line.level, "text": line.text} for line in detail.console],
            "calls": [write_call(call) for call in detail.calls],
            "callsOmitted": detail.calls_omitted,
        }
        if self.allowed is not None:
            document["allowed"], document["reason"] = self.allowed, self.reason
        return document


@frozen
class Toolchain:
    """The parts of a project's setup that sandboxes use.

    `root` is the project directory, `policy` its settings for package installs. `log` is called with a line for each
    event in a sandbox for a single run.
    """

    root: Path
    compiler: CachingCompiler
    policy: Policy
    log: Callable[[str], None]


@frozen
class Conditions:
    """The conditions under which handlers run.

    `determinism` sets the clock and the random numbers of runs. Without `network`, handlers can only reach the sandbox.
    `renewable` is required for `Sandbox.reset_hosts`. `on_coverage` is called on another thread with what a script has
    executed; without it, coverage is not measured.
    """

    limits: Limits | None = None
    determinism: Determinism | None = None
    network: bool = True
    renewable: bool = False
    on_coverage: Callable[[ExecutedRanges], None] | None = None


def scripts_of(project: Project) -> Scripts:
    """Return the working copy, in the runtime of the project's target."""
    runtime = project.runtime
    return Scripts(
        {function.type: function.handler for function in project.functions or ()},
        runtime.exact_dependencies or {},
        runtime.environment or {},
        runtime.initialization_script,
    )


def usual_event(trigger_type: str) -> Mapping[str, Any]:
    """Return the sample event of a type. Raises UsageProblem if there is none."""
    if trigger_type not in BY_TYPE:
        raise UsageProblem(f"there is no sample event for {trigger_type!r}", hint="pass an event: --event FILE")
    return sample_event(trigger_type)


def read_event(file: Path | None, trigger_type: str) -> Mapping[str, Any]:
    """Return the event in a JSON file, or on standard input. Raises UsageProblem."""
    shown = "standard input" if file is None else shown_path(file)
    try:
        # Shells write UTF-8 or UTF-16, with or without a byte order mark.
        document = read_document(sys.stdin.buffer.read() if file is None else read_file(file, pipe=True))
    except OSError as error:
        raise UsageProblem(
            f"cannot read the event: {shown}: {error.strerror}", hint="pass a JSON file, or - for stdin"
        ) from None
    except ValueError as error:
        raise UsageProblem(f"{shown} is not JSON: {error}", hint="an event is a JSON object") from None
    return event_of(document, trigger_type)


def event_of(document: Any, trigger_type: str) -> Mapping[str, Any]:
    """Return the event in a document: the document itself, {"type", "event"} (or "data"), or an invocation.

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
    declared = document.get("type")
    if inner is not document and isinstance(declared, str) and declared != trigger_type:
        raise UsageProblem(
            f"the event is of type {declared}, not {trigger_type}", hint=f"run `ckfunc invoke {declared}`"
        )
    return inner
