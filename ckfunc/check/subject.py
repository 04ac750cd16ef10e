"""The subject of a check: scripts, and declarations of their surroundings."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ckfunc.check.findings import Finding
from ckfunc.model.execution import SyntaxProblem
from ckfunc.model.project import Project, Script

TYPESCRIPT_SUFFIXES = (".ts", ".mts", ".cts", ".tsx")
SCRIPT_SUFFIXES = (*TYPESCRIPT_SUFFIXES, ".js", ".mjs", ".cjs", ".jsx")
_NOT_FOUND = re.compile(r"^Cannot find module '(\.[^']*)'")
DIRECTORY = ".ckfunc/check"
"""Where a check keeps what is its own: as deep in the project as the stubs of the editor, which name its files."""

Parse: TypeAlias = Callable[[Sequence[Script]], Sequence[SyntaxProblem]]
"""Returns what Node does not parse of scripts."""


Bundle: TypeAlias = Callable[[], Sequence[Finding]]
"""Returns what keeps scripts from being put together with the local files that they import."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the types are judged with. `whole` is False when packages are missing whose types may matter.

    `declarations` are of Node itself, and stand for all that they refer to.
    """

    compiler: Path
    declarations: Path
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the types of scripts depend on beside themselves.

    `stubs` makes the declarations of the project (name below DIRECTORY to text) and `identity` names what they are made
    from, so that they need not be made to know that nothing changed. `settings` is the tsconfig.json of a project that
    has none.
    """

    stubs: Callable[[], Mapping[str, str]]
    identity: str
    settings: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Scripts to check. Paths are relative to `root`, with forward slashes."""

    root: Path
    handlers: tuple[Script, ...]
    initialization_script: Script | None
    surroundings: Surroundings

    @property
    def scripts(self) -> tuple[Script, ...]:
        """All scripts, each once."""
        first = (self.initialization_script,) if self.initialization_script else ()
        return (*first, *(one for one in self.handlers if one not in first))


def subject_of(project: Project, surroundings: Surroundings) -> Subject:
    """Return what there is to check of `project`, whose scripts are as they are written."""
    handlers = tuple({one.handler.path: one.handler for one in project.functions or ()}.values())
    return Subject(project.root, handlers, project.runtime.initialization_script, surroundings)


def sought(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the paths, below the project, that relative imports without a file may have meant."""
    found: dict[str, None] = {}
    for one in findings:
        if said := _NOT_FOUND.match(one.message):
            base = posixpath.normpath(posixpath.join(posixpath.dirname(one.path), said[1]))
            stem, suffix = posixpath.splitext(base)
            bases = (base, stem) if suffix in SCRIPT_SUFFIXES else (base,)
            found[base] = None
            found.update((path + end, None) for path in bases for end in (*SCRIPT_SUFFIXES, ".d.ts", "/index.ts"))
    return tuple(found)
