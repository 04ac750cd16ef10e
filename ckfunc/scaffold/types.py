"""Types for editors: stubs and schemas as written, compared with the disk, and packages linked for them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from ckfunc.base.errors import CkfuncError, DependenciesFailed, InvalidManifest
from ckfunc.base.files import cache_dir
from ckfunc.manifest.project import EXAMPLE_NAME, missing_example
from ckfunc.model.project import Project
from ckfunc.runtime.policy import InstallPolicy
from ckfunc.runtime.tools import known_node_types, node_types
from ckfunc.scaffold.packages import (
    PLACE,
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
    """Callbacks that show what is going on: a long step, a detail, a warning."""

    step: Callable[[str], AbstractContextManager[None]]
    detail: Callable[[str], None]
    warn: Callable[[str], None]


def update_example(root: Path) -> tuple[Written, ...]:
    """Add the variables that `.env.example` lacks; of a manifest that is not YAML, none are known."""
    with suppress(InvalidManifest):
        if (text := missing_example(root)) is not None:
            return write_all(root, {EXAMPLE_NAME: text}, force=True)
    return ()


def refresh_types(project: Project, schemas: Schemas) -> None:
    """Update the stubs of a project that has stubs, silently; packages are linked if they are installed.

    A failure is no error: `ckfunc types` reports it.
    """
    if not (project.root / TYPES_DIR).is_dir():
        return
    with suppress(OSError):
        if wanted := project.runtime.dependencies:
            known = known_packages(wanted, cache_dir(), policy_of(project))
            if known is not None:
                link_packages(project.root, with_node_types(known, known_node_types(cache_dir())))
        write_stubs(project.root, schemas, scope_of(project))


def link_types(project: Project, policy: InstallPolicy, progress: Progress, *, install: bool) -> tuple[Written, ...]:
    """Link packages for their types, installing those that are missing if `install`; return the links."""
    wanted = project.runtime.dependencies or {}
    node = _node_types(policy, progress) if install else known_node_types(cache_dir())
    if install and wanted:
        with progress.step("fetching packages for their types"):
            packages = installed_packages(wanted, cache_dir(), progress.detail, policy_of(project))
        if (missing := packages.missing) is not None:
            progress.warn(f"{missing.message}: packages without types are `any` to the editor")
        return link_packages(project.root, with_node_types(packages, node))
    # The platform's own packages alone are not worth a wait: they are linked once handlers have run here.
    known = known_packages(wanted, cache_dir(), policy_of(project))
    if known is None and wanted:
        progress.warn("packages are not installed: they are `any` to the editor until `ckfunc types` is run")
    unknown = Packages({}, DependenciesFailed("packages are not installed"))
    return link_packages(project.root, with_node_types(known or unknown, node))


def _node_types(policy: InstallPolicy, progress: Progress) -> Path | None:
    """Return the directory of the declarations of Node, fetched if need be; None when they cannot be fetched."""
    try:
        with progress.step("fetching the types of Node"):
            return node_types(cache_dir(), progress.detail, policy)
    except CkfuncError as problem:
        progress.warn(
            f"{problem.message}: the editor knows only a part of Node until `ckfunc types` can fetch its types"
        )
        return None


def stale_types(project: Project, schemas: Schemas) -> dict[str, str]:
    """Return the files that `ckfunc types` would write, each with the reason."""
    stale = stale_stubs(project.root, schemas, scope_of(project))
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
    return stale


def policy_of(project: Project) -> InstallPolicy:
    """Return the install policy of a project that was already read."""
    runtime = project.runtime
    return InstallPolicy(project.root, runtime.dependencies or {}, runtime.allow_scripts)
