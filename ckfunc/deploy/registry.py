"""A test that npm can install the packages of functions.yaml."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import CkfuncError, DependenciesFailed, InvalidManifest, PackageUnknown, Problem
from ckfunc.base.files import cache_dir
from ckfunc.base.text import digest
from ckfunc.deploy.plan.diff import ChangeAction
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.resources import DEPENDENCIES

if TYPE_CHECKING:
    from ckfunc.model.project import Project

_NAMED = re.compile(r"((?:@[\w.~-]+/)?[\w.~-]+)@")


@dataclass(frozen=True, slots=True)
class Installable:
    """Npm's answer: `problem` is a mistake in functions.yaml, `failure` the error if npm could not install."""

    problem: Problem | None = None
    failure: CkfuncError | None = None


def installable(project: Project, detail: Callable[[str], None]) -> Installable:
    """Ask npm whether it can install the dependencies; a positive answer is cached."""
    # Imports npm code, which most deploys do not need.
    from ckfunc.scaffold.packages import installed_packages
    from ckfunc.scaffold.types import policy_of

    wanted = project.runtime.dependencies
    if not wanted:
        return Installable()
    lock = project.runtime.lock
    marker = installed_marker(wanted if lock is None else lock.identified(wanted), cache_dir())
    if marker.exists():
        return Installable()
    # Installed into the directory that handlers run with, so that a later run finds the packages.
    failure = installed_packages(wanted, cache_dir(), detail, policy_of(project)).missing
    if isinstance(failure, PackageUnknown):
        return Installable(_located(project.root, failure), failure)
    if failure is None:
        with contextlib.suppress(OSError):
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
    return Installable(failure=failure)


def require_installable(
    project: Project, plan: Plan, detail: Callable[[str], None], warn: Callable[[str], None]
) -> None:
    """Raise InvalidManifest if the plan adds dependencies that the registry does not have.

    An unreachable registry is only a warning.
    """
    if not any(change.kind == DEPENDENCIES and change.action is not ChangeAction.REMOVE for change in plan.changes):
        return
    found = installable(project, detail)
    if found.problem is not None:
        raise InvalidManifest("a package in functions.yaml cannot be installed", (found.problem,))
    if found.failure is not None:
        warn(f"{found.failure.message}: {UNCHECKED}")


UNCHECKED = "the packages were not checked"


def _located(root: Path, failure: DependenciesFailed) -> Problem:
    """Return a failure as a problem at its entry of functions.yaml, or at the whole section if no entry matches."""
    from ckfunc.manifest import dependency_places  # imports YAML, which is only needed after a failure

    named = _NAMED.search(failure.message)
    places = dependency_places(root)
    line, column = places.get(named[1] if named else "", places[""])
    return Problem("functions.yaml", line, column, failure.message, failure.hint)


def installed_marker(wanted: Mapping[str, str], cache: Path) -> Path:
    """Return the path in `cache` of the file that exists once npm has installed these packages."""
    return cache / "installable" / digest(json.dumps(sorted(wanted.items())))
