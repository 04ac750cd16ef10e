"""Read an application for a pull, and write its project's files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.api import Client
from ckfunc.base.errors import CkfuncError, UsageProblem
from ckfunc.base.files import lossy_text, read_file, write_atomically
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret, revealed
from ckfunc.base.text import Line, newlines, printable, styled_diff, unified
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.history import function_of, versions_of
from ckfunc.deploy.plan.snapshot import application_key, overview, require_application, with_versions
from ckfunc.deploy.resources import SETTINGS
from ckfunc.manifest.definition import MANIFEST_NAME
from ckfunc.manifest.edit import scalar_text, with_changes
from ckfunc.manifest.project import environment_texts, load, setting_paths
from ckfunc.manifest.tree import scalar
from ckfunc.manifest.variables import whole_reference
from ckfunc.model.project import Project, Target
from ckfunc.pull.merge import read_base, store_base
from ckfunc.pull.remote import (
    IsJavaScript,
    RemoteProject,
    described,
    env_text,
    file_text,
    handler_paths,
    reference_names,
    script_suffix,
)
from ckfunc.pull.update import ManifestSections, Update, shared_state, update
from ckfunc.scaffold.stubs import Schemas, scope_of, write_stubs
from ckfunc.scaffold.templates import render
from ckfunc.scaffold.types import example_text
from ckfunc.scaffold.writing import FilesExist, require_file_place, written_or_undone

if TYPE_CHECKING:
    from ckfunc.model.outputs import PulledJson

_MOST_VERSIONS = 100
"""How many old versions of a function are compared with the local script."""
NEW_TARGET = "production"
"""The default name of a new project's target."""
_INIT_SCRIPT = "init"
_SCHEMA = "# yaml-language-server: $schema=.ckfunc/functions.schema.json"


class PullObstacle(CkfuncError):
    """Existing files prevent the creation of a new project."""


class SavedDuringPull(CkfuncError):
    """Files were saved while a pull read the application or waited for confirmation."""


@frozen
class Pulled:
    """The result of a pull into `root`: the files with the action for each, notes, and conflicts.

    `unmarked_conflicts` describes those that are not marked in a file; they are part of `conflicts`.
    """

    root: Path
    files: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    conflicts: int = 0
    unmarked_conflicts: tuple[str, ...] = ()

    def to_json(self) -> PulledJson:
        """Return the result for `--json`."""
        return {
            "directory": str(self.root),
            "files": [{"path": path, "action": action} for path, action in self.files],
            "conflicts": self.conflicts,
            "unmarked_conflicts": [printable(conflict) for conflict in self.unmarked_conflicts],
            "notes": [printable(note) for note in self.notes],
        }

    def file_lines(self) -> Iterator[Line]:
        """Yield a line for each file."""
        for path, action in self.files:
            yield [("  ", ""), (f"{action:<12}", "muted" if action == "kept" else "create"), (path, "")]

    def conflict_lines(self) -> Iterator[Line]:
        """Yield the conflicts that are not marked in a file, and the way to resolve the others."""
        for conflict in self.unmarked_conflicts:
            yield [("conflict: ", "failure"), (printable(conflict), "")]
        if self.conflicts > len(self.unmarked_conflicts):
            advice = "resolve the conflicts marked with <<<<<<< in the files above, then run `ckfunc deploy`"
            yield [("conflict: ", "failure"), (advice, "")]


@frozen
class CreatedProject:
    """A new project, and its variables that need a value in `.env`."""

    pulled: Pulled
    missing: tuple[str, ...]

    @property
    def next_step(self) -> str:
        """The next step of the user."""
        if self.missing:
            return f"give {', '.join(sorted(self.missing))} a value in .env, then ckfunc diff"
        return "ckfunc diff, which should show nothing"


@frozen
class Pull:
    """A pull into an existing project: its changes, and the texts to write. `env` is None if `.env` does not change.

    `before` is the content of the existing files that the texts are based on.
    """

    project: Project
    remote: RemoteProject
    identity: str | None
    update: Update
    before: Mapping[str, bytes] = field(repr=False)
    texts: Mapping[str, str | bytes]
    env_file: Path
    env: str | None
    notes: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return self.update.is_empty and self.env is None

    @property
    def pulled(self) -> Pulled:
        """The result after it was written."""
        env = () if self.env is None else ((self.env_file.name, "written"),)
        files = (*((path, "updated") for path in self.texts), *env)
        return Pulled(self.project.root, files, self.notes, self.update.conflicts, self.update.unmarked_conflicts)

    def lines(self) -> Iterator[Line]:
        """Yield the changes as styled lines."""
        for file in self.update.files:
            if file.before is None:
                yield (("  + ", "create"), (file.path, "create"), ("  new", "plain"))
                continue
            merge = f"conflicts marked: {file.conflicts}" if file.conflicts else "merged" if file.merged else ""
            yield (
                ("  ~ ", "update"),
                (file.path, "update"),
                (f"  {merge}", "failure" if file.conflicts else "muted"),
            )
            for line in styled_diff(unified(file.before, file.after, file.path, f"{file.path} (pulled)")):
                yield (("    ", "plain"), line)
        for change in self.update.manifest:
            sign, style = ("-", "remove") if change.value is None else ("~", "update")
            shown = f": {scalar_text(change.value)}" if isinstance(change.value, (str, bool)) else ""
            yield ((f"  {sign} ", style), ("functions.yaml  ", style), (printable(f"{change.name}{shown}"), "plain"))
        if self.env is not None:
            names = ", ".join(sorted(self.update.values))
            yield (("  ~ ", "update"), (self.env_file.name, "update"), (f"  values of {names}", "plain"))

    def write(self) -> None:
        """Write all files, or none if one of them cannot be written. Raises CannotWrite and SavedDuringPull."""
        root = self.project.root
        names = (*self.texts, *(() if self.env is None else (self.env_file.name,)))
        if saved := [name for name in names if _bytes(root / name) != self.before.get(name, b"")]:
            raise SavedDuringPull(
                f"{', '.join(saved)} {'was' if len(saved) == 1 else 'were'} saved during the pull; nothing was written",
                hint="run `ckfunc pull` again",
            )
        texts = {path: text if isinstance(text, str) else text.decode("utf-8") for path, text in self.texts.items()}
        if self.env is not None:
            require_file_place(self.env_file)
        with written_or_undone(root, texts, force=True):
            if self.env is not None:
                write_atomically(self.env_file, self.env, mode=0o600)

    def remember(self, project: Project) -> None:
        """Store the state that both sides share now that `project` is on disk, as the base of later pulls."""
        shared = shared_state(project, self.remote)
        # Conflicts are not part of the base, so the next pull reports them again.
        shared = replace(shared, dependencies=None, settings=None) if self.update.unmarked_conflicts else shared
        store_base(project.root, project.target.name, self.identity, shared)


def _read_application(
    client: Client, target: Target, root: Path, *, settings: bool = True
) -> tuple[RemoteProject, int | None]:
    """Return the application as a project, and its id, with or without `settings`.

    Raises WrongApplication, AmbiguousFunction, ApiFailure.
    """
    cache = VersionCache(root)
    snapshot = overview(client, (SETTINGS,) if settings else ())
    number = snapshot.runtime.application_id
    if target.application is not None and not target.application.isdecimal():
        require_application(target, application_key(client, cache))
    else:
        number = client.application().id if number is None else number
        require_application(target, str(number))
    snapshot = with_versions(snapshot, [function.type for function in snapshot.functions], client, cache)
    return described(snapshot.runtime, snapshot.functions, snapshot.versions, snapshot.settings), number


def new_target(name: str | None, application: str | None) -> Target:
    """Return the target of a new project, for an application with this id or key. Raises UsageProblem."""
    if name == "local":
        raise UsageProblem("`local` is the name of the emulator target", hint="choose another name with --target NAME")
    return Target(name or NEW_TARGET, application=application)


def create_project(
    client: Client,
    target: Target,
    root: Path,
    environ: Mapping[str, str],
    *,
    is_javascript: IsJavaScript,
    with_values: bool,
    schemas: Schemas,
) -> CreatedProject:
    """Write a new project from the application into `root`.

    Raises PullObstacle, CannotWrite, WrongApplication, AmbiguousFunction, ApiFailure.
    """
    remote, application = _read_application(client, target, root)
    fresh = fresh_project(remote, target.name, application, environ, _handlers(root), is_javascript=is_javascript)
    files = {**fresh.files, "tsconfig.json": render("project/tsconfig.json"), ".gitignore": render("project/gitignore")}
    existing = [path for path in (".gitignore", "tsconfig.json", ".env.example") if (root / path).exists()]
    files = {path: text for path, text in files.items() if path not in existing}
    env_file, env = root / ".env", env_text("", {})
    if with_values:
        require_file_place(env_file)
        env = env_text(lossy_text(env_file) or "", revealed(fresh.values))
    try:
        with written_or_undone(root, files, force=False):
            if with_values and fresh.values:
                write_atomically(env_file, env.text, mode=0o600)
    except FilesExist as problem:
        raise PullObstacle(problem.message, hint="pull into an empty directory: -C DIR") from None
    # Types and base do not need values of variables.
    references = (whole_reference(text) for text in (environment_texts(root, "")[0] or {}).values())
    project = load(root, target.name, {**dict.fromkeys(filter(None, references), ""), **environ})
    write_stubs(root, schemas, scope_of(project))
    store_base(root, project.target.name, client.identity, shared_state(project, remote))
    rows = [(path, "created") for path in sorted(files)] + [(path, "kept") for path in existing]
    rows += [(".env", "written")] if with_values and fresh.values else []
    missing = env.unwritable if with_values else tuple(name for name in fresh.values if name not in environ)
    return CreatedProject(Pulled(root, tuple(rows), _notes(remote.notes, env.unwritable)), missing)


def prepare_pull(
    client: Client, project: Project, environ: Mapping[str, str], *, is_javascript: IsJavaScript, with_values: bool
) -> Pull:
    """Compare the project with its application, and return the pull. Only reads."""
    root, target = project.root, project.target
    own = root / f".env.{target.name}"
    env_file = own if own.exists() else root / ".env"
    before = _contents(project, env_file)
    remote, _ = _read_application(client, target, root, settings=project.settings is not None)
    result = update(
        project,
        ManifestSections(*environment_texts(root, target.name), setting_paths(root, target.name)),
        remote,
        read_base(root, target.name, client.identity),
        partial(_deployed_before, client, root),
        environ,
        _handlers(root),
        is_javascript=is_javascript,
    )
    env, unwritable = _env_change(env_file, result) if with_values and result.values else (None, ())
    texts = _file_texts(project, result, before)
    return Pull(
        project, remote, client.identity, result, before, texts, env_file, env, _notes(result.notes, unwritable)
    )


def _handlers(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in (root / "handlers").glob("*")]


def _env_change(path: Path, result: Update) -> tuple[str | None, tuple[str, ...]]:
    """Return the new text of the `.env` file (None: unchanged), and the names whose values it cannot contain."""
    require_file_place(path)
    text = lossy_text(path) or ""
    change = env_text(text, revealed(result.values))
    return (change.text if change.text != text else None), change.unwritable


def _notes(notes: tuple[str, ...], unwritable: tuple[str, ...]) -> tuple[str, ...]:
    if not unwritable:
        return notes
    return (*notes, f"a .env file cannot contain the value of {', '.join(unwritable)}: set it in the shell")


def _deployed_before(client: Client, root: Path, trigger_type: str, script: str) -> bool:
    """Return whether an earlier version of a function has this script."""
    versions = versions_of(client, function_of(client, trigger_type), VersionCache(root))
    return any(newlines(version.handler_script) == script for version in islice(versions, _MOST_VERSIONS))


def _contents(project: Project, env_file: Path) -> dict[str, bytes]:
    """Return the content of the files that a pull may change; b"" for a missing file."""
    init = project.runtime.initialization_script
    scripts = [*(function.handler for function in project.functions or ()), *([init] if init else [])]
    names = (MANIFEST_NAME, ".env.example", env_file.name, *(script.path for script in scripts))
    return {name: _bytes(project.root / name) for name in names}


def _file_texts(project: Project, result: Update, before: Mapping[str, bytes]) -> dict[str, str | bytes]:
    """Return the texts to write, by path: scripts, with the line endings of their files, and the manifest."""
    root = project.root
    files: dict[str, str | bytes] = {}
    for change in result.files:
        windows = b"\r\n" in before.get(change.path, b"")
        files[change.path] = change.after.replace("\n", "\r\n") if windows else change.after
    if result.manifest:
        text = before[MANIFEST_NAME].decode("utf-8")
        mark, bare = ("\ufeff", text[1:]) if text.startswith("\ufeff") else ("", text)
        files[MANIFEST_NAME] = mark + with_changes(bare, result.manifest)
    new = [name for name in result.values if name in _new_references(result)]
    if new:
        files[".env.example"] = example_text(lossy_text(root / ".env.example"), new)
    return files


def _new_references(result: Update) -> set[str]:
    """Return the variables that the changes of the manifest refer to."""
    changed = [change for change in result.manifest if isinstance(change.value, str) and "environment" in change.path]
    return {name for change in changed if (name := whole_reference(str(change.value)))}


def _bytes(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError:
        return b""


@frozen
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
        runtime.append("  dependencies:")
        runtime += (f"    {scalar(name)}: {scalar(text)}" for name, text in sorted(remote.dependencies.items()))
    if remote.environment:
        runtime.append("  environment:")
        runtime += (f"    {scalar(name)}: ${{{names[name]}}}" for name in sorted(remote.environment))
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
        described_by = (("name", function.name), ("description", function.description))
        lines += [f"    {key}: {scalar(text)}" for key, text in described_by if text is not None]
    bound = "" if application is None else f"application: {application}, "
    lines += ["", "targets:"]
    lines += ["  local: {emulator: true}"] if target != "local" else []
    lines += [f"  {scalar(target)}: {{{bound}protected: true}}"]
    return "\n".join(lines) + "\n"
