"""How an application becomes a project, or meets the one that is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckfunc.base.containment import require_own_state
from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, NoProject, UsageProblem
from ckfunc.base.files import read_file, write_atomically
from ckfunc.base.text import Line, printable
from ckfunc.cli.app import App
from ckfunc.cli.asking import confirmed

if TYPE_CHECKING:
    from ckfunc.api import Client
    from ckfunc.model.function import FunctionVersion
    from ckfunc.model.project import Project
    from ckfunc.pull.remote import RemoteProject
    from ckfunc.pull.update import Update

NEW_TARGET = "production"
"""What the target of a new project is called unless --target names it."""

_MOST_VERSIONS = 100
"""How many old versions of a function are looked through for the working copy."""


class Exists(CkfuncError):
    """Files are in the way of a new project."""


def pull_project(app: App, *, application: str | None, with_values: bool, yes: bool) -> int:
    """Make a project of an application, or bring its changes into the one that is here; return the exit code."""
    try:
        root = app.root()
    except NoProject:
        return _pull_new(app, application, with_values=with_values)
    if application is not None:
        raise UsageProblem(
            f"--application is for a new project; there is one in {app.output.path(root)}",
            hint="bind its target with `application` in functions.yaml",
        )
    return _pull_into(app, with_values=with_values, yes=yes)


# -- a new project -----------------------------------------------------------------------------------------------------


def _pull_new(app: App, application: str | None, *, with_values: bool) -> int:
    from ckfunc.model.project import Target
    from ckfunc.pull.fresh import env_file, fresh_project
    from ckfunc.scaffold.render import render
    from ckfunc.scaffold.writing import FilesExist, require_file_place, written_or_undone

    root, name = app.directory, app.settings.target or NEW_TARGET
    require_own_state(root)
    if name == "local":
        raise UsageProblem("`local` is the emulator's name", hint="give the application another one with --target NAME")
    target = Target(name, application=application)
    client = app.connect(app.credentials(root, target).connection)
    with app.output.progress("reading"):
        remote, bound = _read(client, target, root)
    taken = [path.relative_to(root).as_posix() for path in (root / "handlers").glob("*")]
    made = fresh_project(remote, name, bound, app.environ, taken, is_javascript=_is_javascript(app))
    files = {**made.files, "tsconfig.json": render("project/tsconfig.json"), ".gitignore": render("project/gitignore")}
    kept = [path for path in (".gitignore", "tsconfig.json", ".env.example") if (root / path).exists()]
    files = {path: text for path, text in files.items() if path not in kept}
    unwritable: tuple[str, ...] = ()
    env, env_path = "", root / ".env"
    if with_values:
        require_file_place(env_path)
        env, unwritable = env_file(_text(env_path), made.values)
    try:
        with written_or_undone(root, files, force=False):
            if with_values and made.values:
                write_atomically(env_path, env, mode=0o600)
    except FilesExist as problem:
        raise Exists(problem.message, hint="pull into an empty directory: -C DIR") from None
    _finish_new(app, root, remote, client.identity)
    rows = [(path, "created") for path in sorted(files)] + [(path, "kept") for path in kept]
    rows += [(".env", "written")] if with_values and made.values else []
    _say_files(app, root, rows, notes=_notes(remote.notes, unwritable), conflicts=0)
    if not app.output.json:
        missing = [name for name in made.values if name not in app.environ] if not with_values else list(unwritable)
        if missing:
            app.output.talk(("next: ", "title"), f"give {', '.join(sorted(missing))} a value in .env, then ckfunc diff")
        else:
            app.output.talk(("next: ", "title"), "ckfunc diff, which should show nothing")
    return EXIT_OK


def _finish_new(app: App, root: Path, remote: RemoteProject, identity: str | None) -> None:
    """Write what editors need, and remember what was pulled; a missing value of a variable is no obstacle to either."""
    from ckfunc.cli.scaffolding import schema, tests_schema
    from ckfunc.manifest import load
    from ckfunc.pull.base import keep_base
    from ckfunc.pull.update import agreed
    from ckfunc.scaffold.stubs import scope_of, write_stubs

    environ = {**(dict.fromkeys(_references(root), "")), **app.environ}
    project = load(root, app.settings.target, environ)
    write_stubs(root, schema=schema(), scope=scope_of(project), tests_schema=tests_schema())
    keep_base(root, project.target.name, identity, agreed(project, remote))


def _references(root: Path) -> list[str]:
    from ckfunc.manifest import environment_texts
    from ckfunc.manifest.variables import whole_reference

    texts, _ = environment_texts(root, "")
    return [name for text in (texts or {}).values() if (name := whole_reference(text))]


# -- an existing project -----------------------------------------------------------------------------------------------


def _pull_into(app: App, *, with_values: bool, yes: bool) -> int:
    from ckfunc.manifest import environment_texts
    from ckfunc.pull.base import keep_base, read_base
    from ckfunc.pull.update import Said, agreed, update

    client, target = app.client(), app.target()
    project = replace(app.scripts(), target=target)
    root = project.root
    with app.output.progress("comparing"):
        remote, _ = _read(client, target, root)
        base = read_base(root, target.name, client.identity)
        said = Said(*environment_texts(root, target.name))
        taken = [path.relative_to(root).as_posix() for path in (root / "handlers").glob("*")]
        past = _Past(client, root)
        found = update(project, said, remote, base, past, app.environ, taken, is_javascript=_is_javascript(app))
    files = _texts(project, found)
    env_path = _env_path(root, target.name)
    env, unwritable = _env(env_path, found, with_values=with_values)
    notes = _notes(found.notes, unwritable)
    if found.is_empty and env is None:
        if not found.conflicts:
            keep_base(root, target.name, client.identity, agreed(project, remote))
        _say_files(app, root, [], notes=notes, conflicts=found.conflicts, quarrels=found.quarrels)
        if not app.output.json and not found.quarrels:
            app.output.talk(("nothing to pull", "muted"))
        return EXIT_FAILED if found.conflicts else EXIT_OK
    shown = list(_update_lines(found, env is not None, env_path.name))
    if yes or not app.output.interactive:
        app.output.talks(shown)
    if not yes and not confirmed(app, "Write this?", shown=shown, hint="pass --yes to write it"):
        return EXIT_FAILED
    _write(root, files, env_path, env)
    both = agreed(app.reload_scripts(), remote)
    # What is not decided yet is no common ground: the next pull asks again.
    keep_base(root, target.name, client.identity, replace(both, dependencies=None) if found.quarrels else both)
    rows = [(path, "updated") for path in files] + ([(env_path.name, "written")] if env is not None else [])
    _say_files(app, root, rows, notes=notes, conflicts=found.conflicts, quarrels=found.quarrels)
    return EXIT_FAILED if found.conflicts else EXIT_OK


def _is_javascript(app: App) -> Callable[[str], bool]:
    """Return what tells JavaScript from TypeScript; Node starts when it is first called."""
    return lambda script: app.compiler().is_javascript(script)


class _Past:
    """Tells whether a function ever had a script; asks only when that matters."""

    def __init__(self, client: Client, root: Path) -> None:
        from ckfunc.deploy.cache import VersionCache

        self._client = client
        self._cache = VersionCache(root)

    def __call__(self, trigger_type: str, script: str) -> bool:
        from itertools import islice

        from ckfunc.deploy.history import function_of, versions_of
        from ckfunc.deploy.resources import newlines

        function = function_of(self._client, trigger_type)
        past = islice(versions_of(self._client, function, self._cache), _MOST_VERSIONS)
        return any(newlines(one.handler_script) == script for one in past)


def _texts(project: Project, found: Update) -> dict[str, str | bytes]:
    """Return what is to be written, by path: scripts with the newlines that their files have, and the manifest."""
    from ckfunc.manifest.change import with_changes
    from ckfunc.manifest.definition import MANIFEST_NAME
    from ckfunc.manifest.project import example_text

    root = project.root
    files: dict[str, str | bytes] = {}
    for one in found.files:
        windows = b"\r\n" in (_bytes(root / one.path) or b"")
        files[one.path] = one.after.replace("\n", "\r\n") if windows else one.after
    if found.manifest:
        text = (_bytes(root / MANIFEST_NAME) or b"").decode("utf-8")
        mark, bare = ("\ufeff", text[1:]) if text.startswith("\ufeff") else ("", text)
        files[MANIFEST_NAME] = mark + with_changes(bare, found.manifest)
    new = [name for name in found.values if name in _added(found)]
    if new:
        example = _bytes(root / ".env.example")
        files[".env.example"] = example_text(None if example is None else example.decode("utf-8", "replace"), new)
    return files


def _added(found: Update) -> set[str]:
    """Return the variables that the manifest refers to from now on."""
    from ckfunc.manifest.variables import whole_reference

    texts = (one.value for one in found.manifest if isinstance(one.value, str) and "environment" in one.path)
    return {name for text in texts if (name := whole_reference(text))}


def _env_path(root: Path, target: str) -> Path:
    """Return which file takes a target's values: its own if it has one."""
    own = root / f".env.{target}"
    return own if own.exists() else root / ".env"


def _env(path: Path, found: Update, *, with_values: bool) -> tuple[str | None, tuple[str, ...]]:
    """Return the text of the `.env` file if it changes, and the names whose values it cannot hold."""
    from ckfunc.pull.fresh import env_file
    from ckfunc.scaffold.writing import require_file_place

    if not with_values or not found.values:
        return None, ()
    require_file_place(path)
    text = _text(path)
    made, unwritable = env_file(text, found.values)
    return (made if made != text else None), unwritable


def _write(root: Path, files: Mapping[str, str | bytes], env_path: Path, env: str | None) -> None:
    from ckfunc.scaffold.writing import require_file_place, written_or_undone

    texts = {path: text if isinstance(text, str) else text.decode("utf-8") for path, text in files.items()}
    if env is not None:
        require_file_place(env_path)
    with written_or_undone(root, texts, force=True):
        if env is not None:
            write_atomically(env_path, env, mode=0o600)


# -- reading and saying ------------------------------------------------------------------------------------------------


def _read(client: Client, target: Any, root: Path) -> tuple[RemoteProject, int | None]:
    """Return what the application holds, and its id. Raises WrongApplication, AmbiguousFunction, ApiFailure."""
    from ckfunc.deploy.cache import VersionCache
    from ckfunc.deploy.plan.snapshot import application_key, overview, require_application, with_versions
    from ckfunc.pull.remote import described

    cache = VersionCache(root)
    seen = overview(client)
    number = seen.runtime.application_id
    if target.application is not None and not target.application.isdecimal():
        require_application(target, application_key(client, cache))
    else:
        number = client.application().id if number is None else number
        require_application(target, str(number))
    seen = with_versions(seen, [one.type for one in seen.functions], client, cache)
    versions: Mapping[str, FunctionVersion] = seen.versions
    return described(seen.runtime, seen.functions, versions), number


def _update_lines(found: Update, env: bool, env_name: str) -> Iterable[Line]:
    from ckfunc.base.diffs import styled_diff, unified

    for one in found.files:
        if one.before is None:
            yield (("  + ", "create"), (one.path, "create"), ("  new", "plain"))
            continue
        how = f"{one.conflicts} conflicts, marked" if one.conflicts else "merged" if one.merged else ""
        yield (("  ~ ", "update"), (one.path, "update"), (f"  {how}", "failure" if one.conflicts else "muted"))
        for line in styled_diff(unified(one.before, one.after, one.path, f"{one.path} (pulled)")):
            yield (("    ", "plain"), line)
    for change in found.manifest:
        sign, style = ("-", "remove") if change.value is None else ("~", "update")
        shown = f": {change.value}" if isinstance(change.value, str) else ""
        yield ((f"  {sign} ", style), ("functions.yaml  ", style), (printable(f"{change.name}{shown}"), "plain"))
    if env:
        yield (("  ~ ", "update"), (env_name, "update"), (f"  values of {', '.join(sorted(found.values))}", "plain"))


def _notes(notes: tuple[str, ...], unwritable: tuple[str, ...]) -> tuple[str, ...]:
    if not unwritable:
        return notes
    return (*notes, f"no .env file can hold the value of {', '.join(unwritable)}: set it in the shell")


def _say_files(
    app: App,
    root: Path,
    rows: list[tuple[str, str]],
    *,
    notes: tuple[str, ...],
    conflicts: int,
    quarrels: tuple[str, ...] = (),
) -> None:
    if app.output.json:
        app.output.document(
            {
                "directory": str(root),
                "files": [{"path": path, "action": action} for path, action in rows],
                "conflicts": conflicts,
                "quarrels": [printable(one) for one in quarrels],
                "notes": [printable(one) for one in notes],
            }
        )
        return
    for path, action in rows:
        app.output.talk("  ", (f"{action:<12}", "muted" if action == "kept" else "create"), path)
    for note in notes:
        app.output.warn(note)
    for one in quarrels:
        app.output.talk(("conflict: ", "failure"), printable(one))
    if conflicts > len(quarrels):
        app.output.talk(
            ("conflict: ", "failure"), "look for <<<<<<< in the files above, and decide; then `ckfunc deploy`"
        )


def _bytes(path: Path) -> bytes | None:
    try:
        return read_file(path)
    except OSError:
        return None


def _text(path: Path) -> str:
    return (_bytes(path) or b"").decode("utf-8", "replace")


def remember_deployed(app: App, project: Project, results: Mapping[tuple[str, str], str]) -> None:
    """Note for later pulls what a deploy made both sides agree on; `results` are its items', by kind and name."""
    from ckfunc.pull.base import keep_base
    from ckfunc.pull.update import deployed

    good = {"created", "updated", "removed", "unchanged"}
    types = {name for (kind, name), result in results.items() if kind == "functions" and result in good}
    kinds = {"dependencies", "environment", "initialization_script"}
    kinds -= {kind for (kind, _), result in results.items() if result not in good}
    keep_base(project.root, project.target.name, app.client().identity, deployed(project, types, kinds))
