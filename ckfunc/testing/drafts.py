"""Drafts of test cases for an emulator's dashboard: runs and conversations."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ckfunc.base.containment import require_inside
from ckfunc.base.errors import CkfuncError
from ckfunc.base.files import write_atomically
from ckfunc.base.secrets import Secret
from ckfunc.bundle.workspace import Selection, Workspace
from ckfunc.emulator.options import CaseDraft, ConversationDraft
from ckfunc.manifest import emulator_target
from ckfunc.model.function import Invocation, InvocationDetail
from ckfunc.model.project import Project
from ckfunc.sandbox.history import past_of_channel
from ckfunc.testing.past import PublicText, past_conversation, public_text
from ckfunc.testing.recording import Addition, addition_to, recorded
from ckfunc.testing.writing import case_text

_CONVERSATIONS = "tests/conversations.yaml"
_NO_FILE = "tests/a new file.yaml"


@dataclass(frozen=True, slots=True)
class CaseDrafter:
    """Drafts cases for runs of the emulator of the project at `root`, None outside of a project."""

    root: Path | None
    environ: Mapping[str, str]

    def __call__(
        self, invocation: Invocation, trigger_type: str, detail: InvocationDetail, environment: Mapping[str, Secret]
    ) -> CaseDraft:
        """Return a draft without secrets. `environment` are the runtime's variables. Raises CannotRecord."""
        name = f"invocation {invocation.id}"
        made = recorded(invocation, trigger_type, detail, name=name, environment=environment.items())
        replaced = tuple(f"{one.place}: {one.reason} (replaced by {one.placeholder})" for one in made.redactions)
        return CaseDraft(self._command(invocation.id), case_text(made.case), replaced)

    def _command(self, invocation_id: int) -> str:
        name = None if self.root is None else emulator_target(self.root, self.environ)
        return f"ckfunc test add --invocation {invocation_id}{'' if name is None else f' --target {name}'}"


@dataclass(frozen=True, slots=True)
class ConversationDrafter:
    """Makes cases of conversations on the emulator with data in `data`, for the project at `root`, None without one."""

    root: Path | None
    environ: Mapping[str, str]
    data: Path
    log: Callable[[str], None]

    def draft(self, channel_id: int) -> ConversationDraft:
        """Return the conversation of a channel as a case, without secrets and personal details. Raises CkfuncError."""
        root = self.root or self.data
        addition = self._addition(channel_id, root / _NO_FILE)
        replaced = tuple(f"{one.place}: {one.reason} (replaced by {one.placeholder})" for one in addition.redactions)
        return ConversationDraft(addition.text, replaced, None if self.root is None else _CONVERSATIONS)

    def add(self, channel_id: int) -> str:
        """Add the conversation of a channel to tests/conversations.yaml; return the command that runs it.

        Raises CkfuncError.
        """
        if self.root is None:
            raise CkfuncError("this emulator does not run in a project", hint="download the conversation instead")
        path = self.root.joinpath(*_CONVERSATIONS.split("/"))
        require_inside(self.root, path)
        addition = self._addition(channel_id, path)
        try:
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, addition.text)
        except OSError as error:
            raise CkfuncError(f"cannot write {_CONVERSATIONS}: {error.strerror or error}") from None
        return f"ckfunc test {_CONVERSATIONS} --filter {shlex.quote(addition.case['name'])}"

    def _addition(self, channel_id: int, path: Path) -> Addition:
        past, start = past_of_channel(self.data, channel_id)
        if past.running:
            raise CkfuncError("a function is still running", hint="try again when it has ended")
        environment, public = list(past.environment), PublicText()
        project = self._project()
        if project is not None:
            environment += (project.runtime.environment or {}).items()
            public = public_text(project)
        return addition_to(
            path,
            lambda free: past_conversation(past, name=free, start=start, environment=environment, public=public),
            root=self.root or path.parent,
            shown=_CONVERSATIONS,
            name=f"conversation of {start.astimezone():%Y-%m-%d %H:%M}",
        )

    def _project(self) -> Project | None:
        if self.root is None:
            return None
        root, target = self.root, emulator_target(self.root, self.environ)
        with closing(Workspace(Selection(lambda: root, lambda: target, self.environ), self.log, self.log)) as workspace:
            return workspace.load()
