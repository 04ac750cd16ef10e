"""Options of an emulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ckfunc.base.frozen import frozen
from ckfunc.emulator.data_directory import KEPT_INVOCATIONS
from ckfunc.emulator.http.auth import DEFAULT_LIFETIME_S, is_loopback
from ckfunc.model.execution import HandlerError, Limits
from ckfunc.model.job import Seed
from ckfunc.runtime.policy import Policy, no_policy

if TYPE_CHECKING:
    from ckfunc.base.secrets import Secret
    from ckfunc.base.text import Line
    from ckfunc.emulator.dispatch.runtimes import ScriptCompiler
    from ckfunc.model.application import ApiCall, Invocation, InvocationDetail, Status
    from ckfunc.model.execution import Environment, ExecutedRanges


WEB_DIRECTORY = "web"
"""The directory of a project with its web page."""
WEB_PATH = "/web/"
"""The path of the page."""


@frozen
class CaseDraft:
    """A test case for a run, as YAML, and the command that adds it. `redactions` describe the replaced secrets."""

    command: str
    text: str
    redactions: tuple[str, ...] = ()


DraftCase: TypeAlias = "Callable[[Invocation, str, InvocationDetail, Mapping[str, Secret]], CaseDraft]"
"""Takes a run, its trigger type, its details, and the runtime's environment. Raises CkfuncError."""


@frozen
class ConversationDraft:
    """A conversation as a test case: a test file with it alone, in YAML, and what was replaced.

    `file` is the test file of the project to which it can be added, relative to the project; None outside of one.
    """

    text: str
    replaced: tuple[str, ...]
    file: str | None


class ConversationDrafts(Protocol):
    """Makes test cases of the conversations of an emulator. Methods run on other threads, and raise CkfuncError."""

    def draft(self, channel_id: int) -> ConversationDraft:
        """Return the conversation of a channel, without secrets and personal details."""

    def add(self, channel_id: int) -> str:
        """Add the conversation of a channel to the project's tests; return the command that runs it."""


@frozen
class ComparedSide:
    """A run of one side of a comparison. `result` is `{"payload": …}` or `{"error": …}`, as on the platform."""

    status: Status
    result: Mapping[str, Any]
    calls: tuple[ApiCall, ...] = ()


@frozen
class RunComparison:
    """An invocation, run by the version that ran then and by the working copy; `lines` are the differences."""

    handler: str
    same: bool
    lines: tuple[Line, ...]
    deployed: ComparedSide
    working: ComparedSide


class WorkingCopy(Protocol):
    """The project whose functions an emulator runs. Methods run on other threads, and raise CkfuncError."""

    def run(self, invocation: Invocation, trigger_type: str) -> tuple[Invocation, InvocationDetail]:
        """Run the working copy of a function with the event of an invocation; nothing changes in the emulator."""

    def compare(self, invocation: Invocation, trigger_type: str, url: str) -> RunComparison:
        """Compare an invocation of the emulator at `url` with the working copy, as `ckfunc replay ID` does."""


@frozen
class EmulatorOptions:
    """Options of an emulator, with the defaults of a project's own emulator."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes any free port."""
    limits: Limits = field(default_factory=Limits)
    """Limits of each run of a handler."""
    on_event: Callable[[str], None] | None = None
    """Called on the emulator's thread with a line for each event that a developer may want to see."""
    token_lifetime_s: float = DEFAULT_LIFETIME_S
    seed: Seed | None = None
    """Added to the data before the first answer."""
    copy_of: Path | None = None
    """The data directory of another emulator, running or not: data in memory begins as a copy of its data."""
    unwritable: str | None = None
    """Requests that would change anything are refused with this reason."""
    keep_invocations: int = KEPT_INVOCATIONS
    """The number of invocations, of all functions, that are kept."""
    compiler: ScriptCompiler | None = None
    """Used instead of the emulator's own compiler, and not closed."""
    spares: bool = True
    """Boot processes and load new versions before they are needed."""
    inspect_port: int | None = None
    """Runs wait for a debugger at this port."""
    ahead: Callable[[str], Environment | HandlerError] | None = None
    """Returns, for the base URL, the environment of the first function, whose process is booted immediately."""
    owner: Path | None = None
    """The project whose handlers run; by default, the data directory identifies it."""
    policy: Policy = no_policy
    """The project's policy for installing packages."""
    on_coverage: Callable[[ExecutedRanges], None] | None = None
    """Called on the emulator's thread with what a script has executed; without it, coverage is not measured."""
    draft_case: DraftCase | None = None
    """Drafts test cases for the dashboard; None if the emulator does not belong to a command."""
    conversations: Callable[[], ConversationDrafts] | None = None
    """Returns what makes test cases of conversations for the dashboard; None if no data is saved."""
    working_copy: Callable[[], WorkingCopy] | None = None
    """Returns the project's working copy for the dashboard; None outside of a project."""
    web: Path | None = None
    """The directory of the project's web page."""

    @property
    def is_public(self) -> bool:
        """Whether other machines can reach the emulator."""
        return not is_loopback(self.host)
