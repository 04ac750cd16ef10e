"""Drafts of test cases for runs in an emulator's dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ckfunc.base.secrets import Secret
from ckfunc.emulator.options import CaseDraft
from ckfunc.manifest import emulator_target
from ckfunc.model.function import Invocation, InvocationDetail
from ckfunc.testing.recording import recorded
from ckfunc.testing.writing import case_text


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
