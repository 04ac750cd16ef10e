"""A test that npm can install the packages of functions.yaml."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ckfunc.base.errors import CkfuncError, DependenciesFailed, InvalidManifest, PackageUnknown, Problem
from ckfunc.base.files import cache_dir
from ckfunc.base.text import digest
from ckfunc.deploy.plan.diff import ChangeAction
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.resources import DEPENDENCIES
from ckfunc.model.project import Project

_NAMED = re.compile(r"((?:@[\w.~-]+/)?[\w.~-]+)@")


@dataclass(frozen=True, slots=True)
class Installable:
    """The answer of npm: `problem` is a mistake in functions.yaml, `failure` why npm could not answer."""

    problem: Problem | None = None
    failure: CkfuncError | None = None


def installable(project: Project, detail: Callable[[str], None]) -> Installable:
    """Ask npm whether it can install the dependencies; a positive answer is cached."""
    from ckfunc.scaffold.packages import installed_packages  # brings npm along, which most deploys do not run

    wanted = project.runtime.dependencies
    if not wanted:
        return Installable()
    note = installed_mark(wanted, cache_dir())
    if note.exists():
        return Installable()
    # Installed into the directory that handlers run with, where it is needed next.
    failure = installed_packages(wanted, cache_dir(), detail).missing
    if isinstance(failure, PackageUnknown):
        return Installable(_placed(project.root, failure), failure)
    if failure is None:
        with contextlib.suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()
    return Installable(failure=failure)


def require_installable(
    project: Project, plan: Plan, detail: Callable[[str], None], warn: Callable[[str], None]
) -> None:
    """Raise InvalidManifest when the plan adds dependencies that the registry does not have.

    When the registry cannot be asked, that is a warning.
    """
    if not any(one.kind == DEPENDENCIES and one.action is not ChangeAction.REMOVE for one in plan.changes):
        return
    found = installable(project, detail)
    if found.problem is not None:
        raise InvalidManifest("functions.yaml names a package that cannot be installed", (found.problem,))
    if found.failure is not None:
        warn(f"{found.failure.message}: {UNCHECKED}")


UNCHECKED = "it was not checked that the packages can be installed"


def _placed(root: Path, failure: DependenciesFailed) -> Problem:
    """Return a failure at the entry of functions.yaml that it is about; another package's need is all entries'."""
    from ckfunc.manifest import dependency_places  # brings YAML, which only a failure needs here

    named = _NAMED.search(failure.message)
    places = dependency_places(root)
    line, column = places.get(named[1] if named else "", places[""])
    return Problem("functions.yaml", line, column, failure.message, failure.hint)


def installed_mark(wanted: Mapping[str, str], cache: Path) -> Path:
    """Return the file in `cache` that exists once npm has installed these packages."""
    return cache / "installable" / digest(json.dumps(sorted(wanted.items())))
