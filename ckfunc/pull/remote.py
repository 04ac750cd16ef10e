"""The parts of an application that can become a project."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from ckfunc.base.secrets import Secret
from ckfunc.manifest.definition import (
    fits_dependency,
    fits_description,
    fits_name,
    fits_script,
    fits_type,
    fits_variable,
)
from ckfunc.model.application import Runtime
from ckfunc.model.function import Function, FunctionVersion
from ckfunc.model.triggers import display_name


@dataclass(frozen=True, slots=True)
class RemoteFunction:
    """A function as a manifest describes it; `name` and `description` are None where the default says the same."""

    type: str
    script: str = field(repr=False)
    version: int
    name: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteProject:
    """What an application holds, as far as a manifest can say it.

    Scripts have plain newlines; an init script that is absent is "". `dependencies` or `environment` is None when a
    manifest cannot hold all of it: a part of it would remove the rest. `notes` say what was left out, and why.
    """

    functions: tuple[RemoteFunction, ...]
    dependencies: Mapping[str, str] | None
    environment: Mapping[str, Secret] | None
    initialization_script: str | None = field(repr=False)
    notes: tuple[str, ...] = ()


def described(
    runtime: Runtime, functions: Collection[Function], versions: Mapping[str, FunctionVersion]
) -> RemoteProject:
    """Return an application as a project. `versions` are the deployed ones, by trigger type."""
    notes: list[str] = []
    found = tuple(_functions(functions, versions, notes))
    dependencies: dict[str, str] | None = runtime.own_dependencies()
    environment: dict[str, Secret] | None = runtime.own_environment()
    if wrong := [name for name, version in (dependencies or {}).items() if not fits_dependency(name, version)]:
        dependencies = None
        notes.append(f"dependencies were left out: a manifest cannot hold {', '.join(map(repr, sorted(wrong)))}")
    if wrong := [name for name in environment or () if not fits_variable(name)]:
        environment = None
        notes.append(f"environment was left out: a manifest cannot hold {', '.join(map(repr, sorted(wrong)))}")
    script: str | None = plain(runtime.initialization_script or "")
    if script is not None and not fits_script(script, blank=True):
        script = None
        notes.append("the init script was left out: no file of a project can hold it")
    return RemoteProject(found, dependencies, environment, script, tuple(notes))


def plain(text: str) -> str:
    """Return `text` with every line ending as a plain newline."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def file_text(script: str) -> str:
    """Return what a file must hold so that reading it gives `script`: readers drop one byte order mark."""
    return f"\ufeff{script}" if script.startswith("\ufeff") else script


def _functions(
    functions: Collection[Function], versions: Mapping[str, FunctionVersion], notes: list[str]
) -> Iterator[RemoteFunction]:
    for one in sorted(functions, key=lambda function: function.type):
        version = versions.get(one.type)
        reason = None
        if version is None:
            reason = "it was never deployed"
        elif not fits_type(one.type):
            reason = "a manifest cannot hold its type"
        elif not fits_script(version.handler_script):
            reason = "its script is blank, or no file of a project can hold it"
        if reason is not None or version is None:
            notes.append(f"{one.type!r} was left out: {reason}")
            continue
        name = one.name if one.name != display_name(one.type) and fits_name(one.name) else None
        description = one.description if one.description and fits_description(one.description) else None
        yield RemoteFunction(one.type, plain(version.handler_script), version.version_number, name, description)
