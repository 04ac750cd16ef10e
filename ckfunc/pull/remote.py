"""The parts of an application that become a project, and their files."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TypeAlias

from ckfunc.base.secrets import Secret
from ckfunc.deploy.resources import newlines
from ckfunc.manifest.definition import (
    fits_dependency,
    fits_description,
    fits_name,
    fits_script,
    fits_type,
    fits_variable,
)
from ckfunc.model.application import ApplicationSettings, Function, FunctionVersion, Runtime
from ckfunc.model.triggers import display_name, file_stem

JAVASCRIPT_SUFFIXES = (".js", ".mjs", ".cjs")
_BUNDLED = "// Bundled by ckfunc "
"""The first characters of a bundle, in all versions of ckfunc."""
IsJavaScript: TypeAlias = Callable[[str], bool]
"""Returns whether a script is JavaScript without TypeScript syntax."""


@dataclass(frozen=True, slots=True)
class RemoteFunction:
    """A function as a manifest describes it. `name` and `description` are None if they equal the defaults."""

    type: str
    script: str
    version: int
    name: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteProject:
    """The parts of an application that a manifest can represent.

    Scripts have plain newlines; "" is an absent init script. `dependencies` or `environment` is None if a manifest
    cannot contain all of it, because deploying a part would remove the rest. `notes` explain omissions.
    `settings` are None if they were not read.
    """

    functions: tuple[RemoteFunction, ...]
    dependencies: Mapping[str, str] | None
    environment: Mapping[str, Secret] | None
    initialization_script: str | None
    notes: tuple[str, ...] = ()
    settings: Mapping[str, bool] | None = None


def described(
    runtime: Runtime,
    functions: Collection[Function],
    versions: Mapping[str, FunctionVersion],
    settings: ApplicationSettings | None = None,
) -> RemoteProject:
    """Return an application as a project. `versions` are the deployed ones, by trigger type."""
    notes: list[str] = []
    described_functions = tuple(_functions(functions, versions, notes))
    dependencies: dict[str, str] | None = runtime.own_dependencies()
    environment: dict[str, Secret] | None = runtime.own_environment()
    if wrong := [name for name, version in (dependencies or {}).items() if not fits_dependency(name, version)]:
        dependencies = None
        notes.append(f"dependencies were left out: a manifest cannot contain {', '.join(map(repr, sorted(wrong)))}")
    if wrong := [name for name in environment or () if not fits_variable(name)]:
        environment = None
        notes.append(f"environment was left out: a manifest cannot contain {', '.join(map(repr, sorted(wrong)))}")
    script: str | None = newlines(runtime.initialization_script or "")
    if script is not None and not fits_script(script, blank=True):
        script = None
        notes.append("the init script was left out: a file of a project cannot contain it")
    switches = None if settings is None else asdict(settings)
    return RemoteProject(described_functions, dependencies, environment, script, tuple(notes), switches)


def file_text(script: str) -> str:
    """Return the text of a file that is read as `script`: readers drop a byte order mark."""
    return f"\ufeff{script}" if script.startswith("\ufeff") else script


def _functions(
    functions: Collection[Function], versions: Mapping[str, FunctionVersion], notes: list[str]
) -> Iterator[RemoteFunction]:
    for function in sorted(functions, key=lambda function: function.type):
        version = versions.get(function.type)
        reason = None
        if version is None:
            reason = "it was never deployed"
        elif not fits_type(function.type):
            reason = "a manifest cannot contain its type"
        elif not fits_script(version.handler_script):
            reason = "its script is blank, or a file of a project cannot contain it"
        if reason is not None or version is None:
            notes.append(f"{function.type!r} was left out: {reason}")
            continue
        name = function.name if function.name != display_name(function.type) and fits_name(function.name) else None
        description = function.description if function.description and fits_description(function.description) else None
        yield RemoteFunction(function.type, newlines(version.handler_script), version.version_number, name, description)


def is_bundle(script: str) -> bool:
    """Return whether ckfunc bundled a script from several files."""
    return script.startswith(_BUNDLED)


def script_suffix(script: str, is_javascript: IsJavaScript) -> str:
    """Return the file name extension of a script. JavaScript gets .js, because type checks would only report noise."""
    return ".js" if is_javascript(script) else ".ts"


def handler_paths(scripts: Mapping[str, str], taken: Collection[str], is_javascript: IsJavaScript) -> dict[str, str]:
    """Return a path below the project for the script of each trigger type.

    Paths differ from those in `taken` even if letter case and extensions are ignored.
    """
    used = {posixpath.splitext(path)[0].casefold() for path in taken}
    paths: dict[str, str] = {}
    for trigger_type in sorted(scripts):
        stem = file_stem(trigger_type)
        path, number = f"handlers/{stem}", 1
        while path.casefold() in used:
            number += 1
            path = f"handlers/{stem}-{number}"
        used.add(path.casefold())
        paths[trigger_type] = path + script_suffix(scripts[trigger_type], is_javascript)
    return paths
