"""The subject of a check: scripts and their ambient declarations."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ckfunc.check.findings import SCRIPT_SUFFIXES, Finding
from ckfunc.model.execution import SyntaxProblem
from ckfunc.model.project import Project, Script

_NOT_FOUND = re.compile(r"^Cannot find module '(\.[^']*)'")
DIRECTORY = ".ckfunc/check"
"""Directory for settings and results of checks, as deep in the project as the editor's stubs, which refer to it."""

Parse: TypeAlias = Callable[[Sequence[Script]], Sequence[SyntaxProblem]]
"""Return the syntax errors that Node finds in scripts."""


Bundle: TypeAlias = Callable[[], Sequence[Finding]]
"""Return the errors that prevent scripts from being bundled with the local files that they import, or from running."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The compiler, and the entry file of the declarations of Node.

    `complete` is False if packages are missing whose types may be needed.
    """

    compiler: Path
    declarations: Path
    complete: bool = True


@dataclass(frozen=True, slots=True)
class AmbientTypes:
    """Declarations and settings that apply to all scripts.

    `stubs` generates the declarations of the project (name below DIRECTORY to text). `identity` is a digest of their
    sources, which tells without generating them whether they have changed. `settings` is the tsconfig.json for a
    project that has none.
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
    ambient: AmbientTypes

    @property
    def scripts(self) -> tuple[Script, ...]:
        """All scripts, each once."""
        first = (self.initialization_script,) if self.initialization_script else ()
        return (*first, *(handler for handler in self.handlers if handler not in first))


def subject_of(project: Project, ambient: AmbientTypes) -> Subject:
    """Return the scripts of `project`, which must not be bundled yet."""
    handlers = tuple({function.handler.path: function.handler for function in project.functions or ()}.values())
    return Subject(project.root, handlers, project.runtime.initialization_script, ambient)


def candidate_paths(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the paths, below the project, that would resolve the relative imports reported as not found."""
    paths: dict[str, None] = {}
    for finding in findings:
        if message := _NOT_FOUND.match(finding.message):
            base = posixpath.normpath(posixpath.join(posixpath.dirname(finding.path), message[1]))
            stem, suffix = posixpath.splitext(base)
            bases = (base, stem) if suffix in SCRIPT_SUFFIXES else (base,)
            paths[base] = None
            paths.update((path + end, None) for path in bases for end in (*SCRIPT_SUFFIXES, ".d.ts", "/index.ts"))
    return tuple(paths)
