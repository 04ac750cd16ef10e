"""Types for editors: stubs, schemas, and links to packages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from ckfunc.base.errors import CkfuncError, DependenciesFailed, InvalidManifest
from ckfunc.base.files import cache_dir
from ckfunc.manifest.env_example import EXAMPLE_NAME, missing_example
from ckfunc.model.project import Project
from ckfunc.runtime.policy import InstallPolicy
from ckfunc.runtime.tools import known_node_types, node_types
from ckfunc.scaffold.packages import (
    NODE_MODULES,
    Packages,
    has_links,
    installed_packages,
    known_packages,
    link_packages,
    stale_links,
    with_node_types,
)
from ckfunc.scaffold.stubs import TYPES_DIR, Schemas, scope_of, stale_stubs, write_stubs
from ckfunc.scaffold.writing import Written, write_all


@dataclass(frozen=True, slots=True)
class Progress:
    """Callbacks that show progress: a long step, a detail, a warning."""

    step: Callable[[str], AbstractContextManager[None]]
    detail: Callable[[str], None]
    warn: Callable[[str], None]


def update_example(root: Path) -> tuple[Written, ...]:
    """Add missing variables to `.env.example`; do nothing if the manifest is not YAML."""
    with suppress(InvalidManifest):
        if (text := missing_example(root)) is not None:
            return write_all(root, {EXAMPLE_NAME: text}, force=True)
    return ()


def refresh_types(project: Project, schemas: Schemas) -> None:
    """Update the stubs of a project that has stubs, without output, and link packages that are installed.

    Write errors are ignored; `ckfunc types` reports them.
    """
    if not (project.root / TYPES_DIR).is_dir():
        return
    with suppress(OSError):
        if wanted := project.runtime.dependencies:
            known = known_packages(wanted, cache_dir(), policy_of(project))
            if known is not None:
                link_packages(project.root, with_node_types(known, known_node_types(cache_dir())))
        write_stubs(project.root, schemas, scope_of(project))


def write_types(
    root: Path, load: Callable[[], Project], schemas: Schemas, progress: Progress, *, install: bool
) -> tuple[tuple[Written, ...], tuple[Written, ...]]:
    """Write stubs and schemas and link packages; return the written files, and the links.

    If the manifest that `load` reads is invalid, the parts that depend on it are left out, with a warning.
    """
    scope = None
    links: tuple[Written, ...] = ()
    try:
        project = load()
        scope = scope_of(project)
        # Links come first: whether they lead to the declarations of Node decides what the stubs say of it.
        links = link_types(project, progress, install=install)
    except InvalidManifest as problem:
        progress.warn(f"{problem.message}: the types do not include what the project adds to them")
    return write_stubs(root, schemas, scope) + update_example(root), links


def link_types(project: Project, progress: Progress, *, install: bool) -> tuple[Written, ...]:
    """Link packages for their types; with `install`, install missing ones first. Return the links."""
    wanted = project.runtime.dependencies or {}
    node = _node_types(policy_of(project), progress) if install else known_node_types(cache_dir())
    if install and wanted:
        with progress.step("installing packages for their types"):
            packages = installed_packages(wanted, cache_dir(), progress.detail, policy_of(project))
        if (missing := packages.missing) is not None:
            progress.warn(f"{missing.message}: packages without types are `any` in the editor")
        return link_packages(project.root, with_node_types(packages, node))
    # The platform's own packages alone are not installed for this: they are linked once handlers have run here.
    known = known_packages(wanted, cache_dir(), policy_of(project))
    if known is None and wanted:
        progress.warn("packages are not installed: they are `any` in the editor until you run `ckfunc types`")
    unknown = Packages({}, DependenciesFailed("packages are not installed"))
    return link_packages(project.root, with_node_types(known or unknown, node))


def _node_types(policy: InstallPolicy, progress: Progress) -> Path | None:
    """Return the directory of the declarations of Node, installed if needed; None if that fails."""
    try:
        with progress.step("installing the types of Node"):
            return node_types(cache_dir(), progress.detail, policy)
    except CkfuncError as problem:
        progress.warn(
            f"{problem.message}: the editor knows only a part of Node until `ckfunc types` can install its types"
        )
        return None


def stale_types(project: Project, schemas: Schemas) -> dict[str, str]:
    """Return the files that `ckfunc types` would write, each with the reason."""
    stale = stale_stubs(project.root, schemas, scope_of(project))
    if missing_example(project.root) is not None:
        stale[EXAMPLE_NAME] = "does not list all variables of functions.yaml"
    wanted = project.runtime.dependencies or {}
    if wanted or has_links(project.root):
        known = known_packages(wanted, cache_dir(), policy_of(project))
        linked = with_node_types(known, known_node_types(cache_dir())) if known else None
        links = stale_links(project.root, linked) if linked else ()
        stale |= {link.relative_to(project.root).as_posix(): "does not lead to the package" for link in links}
        if known is None or (known.missing and wanted):
            stale[NODE_MODULES] = known.missing.message if known and known.missing else "packages are not installed"
    return stale


def policy_of(project: Project) -> InstallPolicy:
    """Return the install policy of a loaded project."""
    runtime = project.runtime
    return InstallPolicy(project.root, runtime.dependencies or {}, runtime.allow_scripts, runtime.lock)
