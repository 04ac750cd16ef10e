"""How `init`, `new` and `types` put files in place and say so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, DependenciesFailed, InvalidManifest
from ckfunc.base.files import cache_dir
from ckfunc.base.nearest import nearest
from ckfunc.cli.app import App

if TYPE_CHECKING:
    from ckfunc.model.project import Project
    from ckfunc.runtime.policy import InstallPolicy
    from ckfunc.scaffold.writing import Written


def init_project(
    app: App,
    directory: Path,
    *,
    ci: str | None = None,
    branch: str | None = None,
    install: str | None = None,
    force: bool,
) -> None:
    """Start a project in `directory`, or with `ci` add a pipeline to an existing one.

    Nothing is written when a file of it exists and `force` is not given.
    """
    from ckfunc.scaffold.project import init

    written: tuple[Written, ...] = ()
    steps: tuple[str, ...] = ()
    directory = directory.resolve()
    if not (ci and (directory / "functions.yaml").is_file()):
        written = init(directory, schema=schema(), tests_schema=tests_schema(), force=force)
    top = directory
    if ci is not None:
        top = _repository(directory)
        pipeline, steps = _pipeline(app, top, directory, ci, branch, install, force=force)
        written += pipeline
    _say(app, top, written)
    if app.output.json:
        return
    if ci is not None:
        app.output.talk()
        app.output.talk(("next:", "title"))
        for one in steps:
            app.output.talk(f"  {one}")
    else:
        here = app.output.path(directory)
        app.output.talk()
        app.output.talk(("next:", "title"), "" if here == "." else f" cd {here} &&", " ckfunc deploy")


def _pipeline(
    app: App, top: Path, directory: Path, ci: str, branch: str | None, install: str | None, *, force: bool
) -> tuple[tuple[Written, ...], tuple[str, ...]]:
    """Write the pipeline; return the file, and what is left for the user to set up."""
    from ckfunc import __version__
    from ckfunc.deploy.show.markdown import MARK
    from ckfunc.manifest import is_protected, referenced_variables, targets
    from ckfunc.scaffold.ci import Pipeline, deployed_branch, installed_from, next_steps, write_pipeline

    names = targets(directory)
    remote = [name for name in names if name != "local"]
    target = app.settings.target or (remote[0] if len(remote) == 1 else "production")
    found = install or installed_from()
    pipeline = Pipeline(
        target=target,
        mark=MARK,
        directory=directory.relative_to(top).as_posix(),
        variables=referenced_variables(directory, target),
        branch=branch or deployed_branch(top),
        install=found or f"ckfunc=={__version__}",
        manual=target not in names or is_protected(directory, target),
    )
    written = write_pipeline(top, ci, pipeline, force=force)
    if target not in names:
        app.output.warn(f"functions.yaml has no target {target!r} yet: add it before the pipeline runs")
    if found is None:
        app.output.warn(
            f"the pipeline installs ckfunc=={__version__} from the package index, but this ckfunc comes from a local "
            "directory (--install SPEC names another source, such as a git address)"
        )
    return written, tuple(next_steps(ci, pipeline))


def _repository(directory: Path) -> Path:
    """Return the top of the git repository that `directory` is in; without one, `directory`."""
    return next((one for one in (directory, *directory.parents) if (one / ".git").exists()), directory)


def new_function(app: App, trigger_type: str, *, force: bool) -> None:
    """Add a handler and its manifest entry, both or neither."""
    from ckfunc.manifest import add_function
    from ckfunc.model.triggers import BY_TYPE
    from ckfunc.scaffold.handler import new_handler

    root = app.root()
    if trigger_type not in BY_TYPE:
        meant = nearest(trigger_type, BY_TYPE)
        advice = f"did you mean {meant}?" if meant else "the platform may know it, ckfunc does not"
        app.output.warn(f"unknown trigger type {trigger_type!r} ({advice})")
    written = new_handler(root, trigger_type, register=lambda name, path: add_function(root, name, path), force=force)
    _say(app, root, (*written, *_update_example(root)), also=[("functions.yaml", "updated")])


def write_types(app: App, *, install: bool = True) -> None:
    """Write the stubs and the schema, and link packages; a manifest that is broken lacks what the project itself adds.

    Without `install`, packages that are not installed yet are left out.
    """
    from ckfunc.scaffold.editor import advice
    from ckfunc.scaffold.stubs import scope_of, write_stubs

    root = app.root()
    scope = project = None
    try:
        project = app.load_project(lenient=True)
        scope = scope_of(project)
    except InvalidManifest as problem:
        app.output.warn(f"{problem.message}: the types lack what the project adds to them")
    # Links come first: whether they lead to the declarations of Node decides what the stubs say of it.
    links = _linked(app, project, install=install) if project else ()
    written = write_stubs(root, schema=schema(), scope=scope, tests_schema=tests_schema()) + _update_example(root)
    if not app.output.json:
        links = tuple(one for one in links if one.action != "unchanged")
    _say(app, root, (*written, *links))
    for one in advice(root):
        app.output.warn(one)


def _update_example(root: Path) -> tuple[Written, ...]:
    """Add the variables that `.env.example` lacks; of a manifest that is not YAML, none are known."""
    from ckfunc.manifest.project import EXAMPLE_NAME, missing_example
    from ckfunc.scaffold.writing import write_all

    with suppress(InvalidManifest):
        if (text := missing_example(root)) is not None:
            return write_all(root, {EXAMPLE_NAME: text}, force=True)
    return ()


def refresh_types(project: Project) -> None:
    """Write the stubs of a project that has some again, silently; packages are linked if they are installed.

    Failing to is no error: `ckfunc types` says what is in the way.
    """
    from ckfunc.runtime.tools import known_node_types
    from ckfunc.scaffold.packages import known_packages, link_packages, with_node_types
    from ckfunc.scaffold.stubs import TYPES_DIR, scope_of, write_stubs

    if not (project.root / TYPES_DIR).is_dir():
        return
    with suppress(OSError):
        if wanted := project.runtime.dependencies:
            known = known_packages(wanted, cache_dir(), policy_of(project))
            if known is not None:
                link_packages(project.root, with_node_types(known, known_node_types(cache_dir())))
        write_stubs(project.root, schema=schema(), scope=scope_of(project), tests_schema=tests_schema())


def _linked(app: App, project: Project, *, install: bool) -> tuple[Written, ...]:
    from ckfunc.runtime.tools import known_node_types
    from ckfunc.scaffold.packages import Packages, installed_packages, known_packages, link_packages, with_node_types

    wanted = project.runtime.dependencies or {}
    node = _node_types(app) if install else known_node_types(cache_dir())
    if install and wanted:
        with app.output.progress("fetching packages for their types"):
            packages = installed_packages(wanted, cache_dir(), app.output.detail, policy_of(project))
        if (missing := packages.missing) is not None:
            app.output.warn(f"{missing.message}: packages without types are `any` to the editor")
        return link_packages(project.root, with_node_types(packages, node))
    # The platform's own packages alone are not worth a wait: they are linked once handlers have run here.
    known = known_packages(wanted, cache_dir(), policy_of(project))
    if known is None and wanted:
        app.output.warn("packages are not installed: they are `any` to the editor until `ckfunc types` is run")
    unknown = Packages({}, DependenciesFailed("packages are not installed"))
    return link_packages(project.root, with_node_types(known or unknown, node))


def _node_types(app: App) -> Path | None:
    """Return where the declarations of Node are, fetched if need be; None when they cannot be."""
    from ckfunc.runtime.tools import node_types

    try:
        with app.output.progress("fetching the types of Node"):
            return node_types(cache_dir(), app.output.detail, app.install_policy())
    except CkfuncError as problem:
        app.output.warn(
            f"{problem.message}: the editor knows only a part of Node until `ckfunc types` can fetch its types"
        )
        return None


def policy_of(project: Project) -> InstallPolicy:
    """Return the say of a project that was read already in installs."""
    from ckfunc.runtime.policy import InstallPolicy

    runtime = project.runtime
    return InstallPolicy(project.root, runtime.dependencies or {}, runtime.allow_scripts)


def check_types(app: App) -> int:
    """Tell which files are not as `write_types` would leave them, write nothing, and return the exit code."""
    from ckfunc.manifest.project import EXAMPLE_NAME, missing_example
    from ckfunc.runtime.tools import known_node_types
    from ckfunc.scaffold.editor import advice
    from ckfunc.scaffold.packages import PLACE, has_links, known_packages, stale_links, with_node_types
    from ckfunc.scaffold.stubs import scope_of, stale_stubs

    project = app.load_project(lenient=True)
    stale = stale_stubs(project.root, schema=schema(), scope=scope_of(project), tests_schema=tests_schema())
    if missing_example(project.root) is not None:
        stale[EXAMPLE_NAME] = "lacks variables of functions.yaml"
    wanted = project.runtime.dependencies or {}
    if wanted or has_links(project.root):
        known = known_packages(wanted, cache_dir(), policy_of(project))
        linked = with_node_types(known, known_node_types(cache_dir())) if known else None
        links = stale_links(project.root, linked) if linked else ()
        stale |= {one.relative_to(project.root).as_posix(): "does not lead to the package" for one in links}
        if known is None or (known.missing and wanted):
            stale[PLACE] = known.missing.message if known and known.missing else "packages are not installed"
    _say_stale(app, stale)
    for one in advice(project.root):
        app.output.warn(one)
    return EXIT_FAILED if stale else EXIT_OK


def _say_stale(app: App, stale: Mapping[str, str]) -> None:
    if app.output.json:
        found = [{"path": name, "reason": why} for name, why in stale.items()]
        app.output.document({"current": not stale, "stale": found})
        return
    for name, why in stale.items():
        app.output.line(name, (f"  ({why})", "muted"))
    if stale:
        app.output.talk(("the types are not current", "failure"), ": run `ckfunc types`")
    else:
        app.output.talk(("the types are current", "success"))


def schema() -> str:
    """Return the manifest's JSON schema as text."""
    from ckfunc.manifest import json_schema

    return json.dumps(json_schema(), indent=2, ensure_ascii=False)


def tests_schema() -> str:
    """Return the JSON schema of test files as text."""
    from ckfunc.manifest.schema import schema_of
    from ckfunc.testing.definition import CASES

    return json.dumps(schema_of(CASES, "ckfunc tests (tests/*.yaml)"), indent=2, ensure_ascii=False)


def _say(app: App, root: Path, written: Iterable[Written], also: Iterable[tuple[str, str]] = ()) -> None:
    rows = [(one.path.relative_to(root).as_posix(), one.action.value, one.note) for one in written]
    rows += [(name, action, None) for name, action in also]
    if app.output.json:
        found = [{"path": name, "action": action, **({"note": note} if note else {})} for name, action, note in rows]
        app.output.document({"directory": str(root), "files": found})
        return
    for name, action, note in rows:
        style = {"created": "create", "updated": "update", "overwritten": "update"}.get(action, "muted")
        app.output.talk(("  ", ""), (f"{action:<12}", style), name, (f"  ({note})" if note else "", "muted"))
