"""The subject of a check: scripts, ambient declarations, files that affect types."""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from ckfunc.base.files import lossy_text
from ckfunc.base.frozen import frozen
from ckfunc.base.text import digest
from ckfunc.check.findings import DECLARATION_SUFFIXES, SCRIPT_SUFFIXES, Finding
from ckfunc.model.execution import SyntaxProblem
from ckfunc.model.project import Project, Script

_NOT_FOUND = re.compile(r"^Cannot find module '(\.[^']*)'")
DIRECTORY = ".ckfunc/check"
"""Directory for settings and results of checks, as deep in the project as the editor's stubs, which refer to it."""

Parse: TypeAlias = Callable[[Sequence[Script]], Sequence[SyntaxProblem]]
"""Return the syntax errors that Node finds in scripts."""

Bundle: TypeAlias = Callable[[], Sequence[Finding]]
"""Return the errors that prevent scripts from being bundled with the local files that they import, or from running."""

_MAX_FILES = 20_000
"""In a project with more files, results are not cached."""
_MAX_SCRIPTS_READ = 1_000


@frozen
class Tools:
    """The compiler, and the entry file of the declarations of Node.

    `complete` is False if packages are missing whose types may be needed.
    """

    compiler: Path
    declarations: Path
    complete: bool = True


@frozen
class AmbientTypes:
    """Declarations and settings that apply to all scripts.

    `stubs` generates the declarations of the project (name below DIRECTORY to text). `identity` is a digest of their
    sources, which tells without generating them whether they have changed. `settings` is the tsconfig.json for a
    project that has none.
    """

    stubs: Callable[[], Mapping[str, str]]
    identity: str
    settings: str


@frozen
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


@frozen
class ProjectFiles:
    """The scripts and declarations of a project: an added or removed file may change how an import resolves.

    `digest` covers their names and the installed packages; None if there are too many files.
    """

    scripts: tuple[str, ...]
    digest: str | None

    @property
    def declarations(self) -> tuple[str, ...]:
        """The project's own `.d.ts` files."""
        return tuple(script for script in self.scripts if script.endswith(DECLARATION_SUFFIXES))


def list_files(root: Path, *, max_files: int = _MAX_FILES) -> ProjectFiles:
    """List the files of a project without hidden directories and `node_modules`; stop after `max_files` files."""
    files: list[str] = []
    complete = True
    for seen, (name, stamp) in enumerate(_walk(str(root), "")):
        if seen >= max_files:
            complete = False
            break
        files.append(f"{name}{stamp}")
    scripts = sorted(name for name in files if name.endswith(SCRIPT_SUFFIXES))
    state = json.dumps([sorted(files), _packages(root)])
    return ProjectFiles(tuple(scripts), digest(state) if complete else None)


def any_mentions(root: Path, scripts: Sequence[str], packages: Iterable[str]) -> bool:
    """Return whether any of these scripts contains a package name in quotes, as imports do.

    With more than _MAX_SCRIPTS_READ scripts, assumes so without reading them.
    """
    names = "|".join(re.escape(package) for package in packages)
    if not names or len(scripts) > _MAX_SCRIPTS_READ:
        return bool(names)
    quoted = re.compile(rf"""["'`](?:{names})["'`/]""")
    return any(quoted.search(lossy_text(root / script) or "") for script in scripts)


def _walk(directory: str, prefix: str) -> Iterator[tuple[str, str]]:
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        name = prefix + entry.name
        try:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name != "node_modules":
                    yield from _walk(entry.path, f"{name}/")
            elif entry.name.endswith((*SCRIPT_SUFFIXES, ".json")) and entry.is_file():
                # The content of a package.json decides how imports resolve.
                yield name, _stamp(entry) if entry.name == "package.json" else ""
        except OSError:
            continue


def _packages(root: Path) -> list[str]:
    """Return names and stamps of the packages that imports can resolve to: in the project, and in its parents."""
    packages = []
    for directory in (root, *root.parents):
        modules = directory / "node_modules"
        for parent in (modules, *_scopes(modules)):
            try:
                with os.scandir(parent) as entries:
                    packages += [f"{parent.name}/{entry.name}{_stamp(entry)}" for entry in entries]
            except OSError:
                continue
    return sorted(packages)


def _scopes(modules: Path) -> list[Path]:
    try:
        return [path for path in modules.iterdir() if path.name.startswith("@")]
    except OSError:
        return []


def _stamp(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return f" -> {Path(entry.path).readlink()}"
    status = entry.stat(follow_symlinks=False)
    return f" {status.st_mtime_ns} {status.st_size}"
