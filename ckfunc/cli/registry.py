"""Find out whether npm can install the packages that functions.yaml names."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import CkfuncError, DependenciesFailed, InvalidManifest, PackageUnknown, Problem
from ckfunc.base.files import cache_dir
from ckfunc.base.text import digest
from ckfunc.cli.app import App

if TYPE_CHECKING:
    from ckfunc.deploy.plan.plan import Plan
    from ckfunc.model.project import Project

_NAMED = re.compile(r"((?:@[\w.~-]+/)?[\w.~-]+)@")


@dataclass(frozen=True, slots=True)
class Installable:
    """What npm says of the packages: `problem` is a mistake in functions.yaml, `failure` why it could not tell."""

    problem: Problem | None = None
    failure: CkfuncError | None = None


def installable(app: App, project: Project) -> Installable:
    """Ask npm, once for each list of dependencies that it can install: the answer is kept in the cache."""
    from ckfunc.scaffold.packages import installed_packages

    wanted = project.runtime.dependencies
    if not wanted:
        return Installable()
    note = note_of(wanted, cache_dir())
    if note.exists():
        return Installable()
    # Installed into the directory that handlers run with, where it is needed next.
    failure = installed_packages(wanted, cache_dir(), app.output.detail).missing
    if isinstance(failure, PackageUnknown):
        return Installable(_placed(project.root, failure), failure)
    if failure is None:
        with contextlib.suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()
    return Installable(failure=failure)


def require_installable(app: App, project: Project, plan: Plan) -> None:
    """Refuse a plan whose new dependencies the registry does not have, before anything is written.

    Raises InvalidManifest. When the registry cannot be asked, that is a warning.
    """
    from ckfunc.deploy.plan.diff import Action
    from ckfunc.deploy.resources import DEPENDENCIES

    if not any(one.kind == DEPENDENCIES and one.action is not Action.REMOVE for one in plan.changes):
        return
    found = installable(app, project)
    if found.problem is not None:
        raise InvalidManifest("functions.yaml names a package that cannot be installed", (found.problem,))
    if found.failure is not None:
        app.output.warn(f"{found.failure.message}: {UNCHECKED}")


UNCHECKED = "it was not checked that the packages can be installed"


def _placed(root: Path, failure: DependenciesFailed) -> Problem:
    """Return a failure at the entry of functions.yaml that it is about; another package's need is all entries'."""
    from ckfunc.manifest import dependency_places

    named = _NAMED.search(failure.message)
    places = dependency_places(root)
    line, column = places.get(named[1] if named else "", places[""])
    return Problem("functions.yaml", line, column, failure.message, failure.hint)


def note_of(wanted: Mapping[str, str], cache: Path) -> Path:
    """Return the file in `cache` that exists once npm has installed these packages."""
    return cache / "installable" / digest(json.dumps(sorted(wanted.items())))
