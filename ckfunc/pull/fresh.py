"""Contents of a new project for an existing application: manifest, scripts, variable names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ckfunc.base.secrets import Secret
from ckfunc.manifest.edit import scalar_text
from ckfunc.manifest.scalars import scalar
from ckfunc.pull.names import IsJavaScript, handler_paths, script_suffix
from ckfunc.pull.remote import RemoteProject, file_text
from ckfunc.pull.variables import reference_names
from ckfunc.scaffold.types import example_text

_INIT_SCRIPT = "init"
_SCHEMA = "# yaml-language-server: $schema=.ckfunc/functions.schema.json"


@dataclass(frozen=True, slots=True)
class FreshProject:
    """The files of a new project, by path. `values` maps names of references in the manifest to their values."""

    files: Mapping[str, str] = field(repr=False)
    values: Mapping[str, Secret]


def fresh_project(
    remote: RemoteProject,
    target: str,
    application: int | None,
    environ: Mapping[str, str],
    taken: Collection[str] = (),
    *,
    is_javascript: IsJavaScript,
) -> FreshProject:
    """Return the files of a project whose deploy would not change the application that it was created from."""
    names = reference_names(remote.environment or {}, environ)
    scripts = {function.type: function.script for function in remote.functions}
    paths = handler_paths(scripts, taken, is_javascript)
    init_text = remote.initialization_script or ""
    init_path = _INIT_SCRIPT + script_suffix(init_text, is_javascript) if init_text else None
    files = {"functions.yaml": _manifest(remote, target, application, names, paths, init_path)}
    files |= {paths[name]: file_text(script) for name, script in scripts.items()}
    if init_path:
        files[init_path] = file_text(init_text)
    values = {names[name]: value for name, value in (remote.environment or {}).items()}
    files[".env.example"] = example_text(None, ["CHATKITTY_CLIENT_ID", "CHATKITTY_CLIENT_SECRET", *values])
    return FreshProject(files, values)


def _manifest(
    remote: RemoteProject,
    target: str,
    application: int | None,
    names: Mapping[str, str],
    paths: Mapping[str, str],
    init_path: str | None,
) -> str:
    lines = [_SCHEMA, "version: 1", f"default_target: {scalar(target)}"]
    runtime: list[str] = []
    if remote.dependencies:
        runtime += [
            "  dependencies:",
            *(f"    {scalar(k)}: {scalar(v)}" for k, v in sorted(remote.dependencies.items())),
        ]
    if remote.environment:
        runtime += [
            "  environment:",
            *(f"    {scalar(name)}: ${{{names[name]}}}" for name in sorted(remote.environment)),
        ]
    if init_path:
        runtime.append(f"  initialization_script: {init_path}")
    if runtime or not remote.functions:
        # A manifest must manage something: for an empty application, its dependencies.
        lines += ["", "runtime:", *(runtime or ["  dependencies: {}"])]
    if remote.settings:
        lines += ["", "settings:", *(f"  {name}: {scalar_text(enabled)}" for name, enabled in remote.settings.items())]
    if remote.functions:
        lines += ["", "functions:"]
    for function in remote.functions:
        lines += [f"  {scalar(function.type)}:", f"    handler: {scalar(paths[function.type])}"]
        lines += [f"    {key}: {scalar(text)}" for key, text in _descriptive_keys(function.name, function.description)]
    bound = "" if application is None else f"application: {application}, "
    lines += ["", "targets:"]
    lines += ["  local: {emulator: true}"] if target != "local" else []
    lines += [f"  {scalar(target)}: {{{bound}protected: true}}"]
    return "\n".join(lines) + "\n"


def _descriptive_keys(name: str | None, description: str | None) -> list[tuple[str, str]]:
    return [(key, text) for key, text in (("name", name), ("description", description)) if text is not None]
