"""Test cases made from runs and conversations: drafts for the dashboard, and additions."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path

from ckfunc.api.client import Client
from ckfunc.base.clock import Clock
from ckfunc.base.containment import require_inside
from ckfunc.base.errors import CkfuncError, shown_path
from ckfunc.base.files import write_atomically
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.bundle.project import emulator_workspace
from ckfunc.emulator.options import CaseDraft, ConversationDraft
from ckfunc.logs.finding import read_invocation
from ckfunc.manifest.project import emulator_target
from ckfunc.model.application import Invocation, InvocationDetail
from ckfunc.model.project import Project
from ckfunc.sandbox.acts import RecordedConversation
from ckfunc.sandbox.history import conversation_of_channel, conversation_since, data_of
from ckfunc.testing.conversations import conversation_addition, read_channel_conversation
from ckfunc.testing.recording import Addition, CaseFile, addition_to, case_text, recorded, require_addable, test_file
from ckfunc.testing.running import scope_of

CONVERSATIONS = "conversations"
"""The test file of conversations, without its suffix."""
_CONVERSATIONS = f"tests/{CONVERSATIONS}.yaml"
_NO_FILE = "tests/a new file.yaml"


def draft_case(
    root: Path | None,
    environ: Mapping[str, str],
    invocation: Invocation,
    trigger_type: str,
    detail: InvocationDetail,
    environment: Mapping[str, Secret],
) -> CaseDraft:
    """Draft a case without secrets for a run of the emulator of the project at `root`, None outside of a project.

    `environment` are the runtime's variables. Raises CannotRecord.
    """
    name = f"invocation {invocation.id}"
    addition = recorded(invocation, trigger_type, detail, name=name, environment=environment.items())
    target = None if root is None else emulator_target(root, environ)
    command = f"ckfunc test add --invocation {invocation.id}{'' if target is None else f' --target {target}'}"
    return CaseDraft(command, case_text(addition.case), tuple(map(str, addition.redactions)))


@frozen
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
        replaced = tuple(map(str, addition.redactions))
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
        conversation, start = conversation_of_channel(self.data, channel_id)
        if conversation.running:
            raise CkfuncError("a function is still running", hint="try again when it has ended")
        return conversation_addition(
            conversation,
            CaseFile(path, self.root or path.parent, _CONVERSATIONS),
            name=f"conversation of {start.astimezone():%Y-%m-%d %H:%M}",
            start=start,
            project=self._project(),
        )

    def _project(self) -> Project | None:
        if self.root is None:
            return None
        with closing(emulator_workspace(self.root, self.environ, self.log)) as workspace:
            return workspace.load()


@frozen
class AdditionMaker:
    """Makes the additions of `ckfunc test add` and `record` for a project with the environment of tests.

    `file` and `name` are those that the user wants, None for the usual ones. `secrets` are variables whose values are
    secret. `place` checks the path of a test file, and makes it absolute.
    """

    project: Project
    place: Callable[[Path], Path]
    file: Path | None
    name: str | None
    secrets: tuple[tuple[str, Secret], ...]

    def of_invocation(self, client: Client, invocation_id: int, trigger_type: str | None, *, target: str) -> Addition:
        """Return the addition of an invocation of a target. Only reads.

        Raises NoSuchInvocation, CannotRecord, CannotAddCase, and InvalidCases for an unreadable file.
        """
        entry = read_invocation(client, invocation_id, trigger_type, target=target)
        environment = [*client.runtime().environment.items(), *self.secrets]
        environment += (self.project.runtime.environment or {}).items()
        return addition_to(
            self.file_for(entry.type),
            lambda free: recorded(entry.invocation, entry.type, entry.detail, name=free, environment=environment),
            name=self.name or f"invocation {entry.invocation.id}",
        )

    def of_channel(self, client: Client, channel: str, last: int) -> Addition:
        """Return the addition of the newest `last` messages of a channel. Only reads.

        Raises CannotRecord, CannotAddCase, and InvalidCases for an unreadable file.
        """
        file = self.conversations_file()
        of_channel = read_channel_conversation(client, channel, last)
        return self.of_conversation(of_channel.conversation, file, of_channel.start, f"channel {of_channel.channel_id}")

    def of_conversation(
        self, conversation: RecordedConversation, file: CaseFile, start: datetime, name: str
    ) -> Addition:
        """Return the addition of a conversation, with a `name` unless the user wants another."""
        return conversation_addition(
            conversation, file, name=self.name or name, start=start, project=self.project, secrets=self.secrets
        )

    def conversations_file(self) -> CaseFile:
        """Return the test file for conversations. Raises UsageProblem and LeadsOutside."""
        return self.file_for(CONVERSATIONS)

    def begin_recording(self, file: CaseFile, data: Path, clock: Clock) -> Callable[[], Addition]:
        """Check that a recording can be added to a file, and record what happens on the emulator with data in `data`.

        The returned function waits for running functions, and returns the addition. It raises CannotRecord, and this
        method what the addition would raise.
        """
        require_addable(file, scope_of(self.project), name=self.name)
        before, start = data_of(data), clock.now()

        def finish() -> Addition:
            while (conversation := conversation_since(data, before, start)).running:  # each run has a time limit
                clock.sleep(0.1)
            return self.of_conversation(conversation, file, start, f"conversation of {start:%Y-%m-%d %H:%M}")

        return finish

    def file_for(self, name: str) -> CaseFile:
        """Return the test file for a trigger type, or for CONVERSATIONS. Raises UsageProblem and LeadsOutside."""
        path = self.place(test_file(self.project.root, name, self.file))
        return CaseFile(path, self.project.root, shown_path(path))
