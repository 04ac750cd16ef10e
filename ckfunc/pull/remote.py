"""The parts of an application that become a project, and their files."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, field
from typing import TypeAlias

from dotenv.parser import Binding, parse_stream

from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.base.text import newlines
from ckfunc.manifest.definition import (
    ENVIRONMENT,
    FUNCTION_DESCRIPTION,
    FUNCTION_NAME,
    FUNCTION_TYPE,
    fits,
    fits_dependency,
    fits_script,
)
from ckfunc.model.application import ApplicationSettings, Function, FunctionVersion, Runtime
from ckfunc.model.triggers import display_name, file_stem

JAVASCRIPT_SUFFIXES = (".js", ".mjs", ".cjs")
_BUNDLED = "// Bundled by ckfunc "
"""The first characters of a bundle, in all versions of ckfunc."""
IsJavaScript: TypeAlias = Callable[[str], bool]
"""Returns whether a script is JavaScript without TypeScript syntax."""


@frozen
class RemoteFunction:
    """A function as a manifest describes it. `name` and `description` are None if they equal the defaults."""

    type: str
    script: str
    version: int
    name: str | None = None
    description: str | None = None


@frozen
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
    if wrong := [name for name in environment or () if not fits(ENVIRONMENT.key_rules, name)]:
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
        elif not fits(FUNCTION_TYPE, function.type):
            reason = "a manifest cannot contain its type"
        elif not fits_script(version.handler_script):
            reason = "its script is blank, or a file of a project cannot contain it"
        if reason is not None or version is None:
            notes.append(f"{function.type!r} was left out: {reason}")
            continue
        chosen = function.name != display_name(function.type) and fits(FUNCTION_NAME, function.name)
        name = function.name if chosen else None
        described = function.description and fits(FUNCTION_DESCRIPTION, function.description)
        description = function.description if described else None
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


@frozen
class EnvFile:
    """The text of a `.env` file, and the names whose values it cannot contain."""

    text: str = field(repr=False)
    unwritable: tuple[str, ...] = ()


def reference_names(environment: Mapping[str, Secret], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the reference for each variable: its own name, unless the shell has a different value of that name.

    The shell takes precedence over `.env` files, so `HOME: ${HOME}` would deploy the home directory of the user.
    """
    names: dict[str, str] = {}
    for name, value in environment.items():
        other = name
        while (other in environ and Secret(environ[other]) != value) or (other != name and other in environment):
            other = f"APP_{other}"
        names[name] = other
    return names


def env_text(text: str, values: Mapping[str, str]) -> EnvFile:
    """Return a `.env` file with `values` set, and all other lines unchanged."""
    lines = {name: _line(name, value) for name, value in values.items()}
    unwritable = tuple(sorted(name for name, line in lines.items() if line is None))
    parts: list[str] = []
    written: set[str] = set()
    for binding in parse_stream(io.StringIO(text)):
        line = lines.get(binding.key or "") if not binding.error else None
        if line is None or (binding.value or "").replace("\r\n", "\n") == values[binding.key or ""]:
            parts.append(binding.original.string)
        else:
            parts.append(_leading(binding) + line)
        if binding.key and not binding.error:
            written.add(binding.key)
    updated = "".join(parts)
    added = "".join(line for name, line in lines.items() if line is not None and name not in written)
    return EnvFile(f"{_ended(updated)}{added}", unwritable)


def _leading(binding: Binding) -> str:
    """Return the empty lines before a binding, which the parser adds to the binding."""
    string = binding.original.string
    return string[: len(string) - len(string.lstrip("\r\n"))]


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _line(name: str, value: str) -> str | None:
    """Return `NAME=VALUE` with the first kind of quotes that preserves the value, or None if there is none."""
    single = value.replace("\\", "\\\\").replace("'", "\\'")
    double = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    for written in (value, f"'{single}'", f'"{double}"', f"'{value}'", f'"{value}"'):
        line = f"{name}={written}\n"
        # The next line shows whether a quote was left open.
        if _bindings(line + "NEXT='x'\n") == [(name, value), ("NEXT", "x")]:
            return line
    return None


def _bindings(text: str) -> list[tuple[str | None, str | None]]:
    try:
        return [
            (binding.key, None if binding.error else binding.value)
            for binding in parse_stream(io.StringIO(text, newline=""))
        ]
    except UnicodeError:
        return []
