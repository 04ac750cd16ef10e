"""The versions of a project's npm packages: checked, read or resolved again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.containment import require_inside
from ckfunc.base.errors import CkfuncError, InvalidManifest, LockOutdated, Problem, UsageProblem
from ckfunc.base.files import cache_dir, write_atomically
from ckfunc.base.frozen import frozen
from ckfunc.base.text import Line, nearest
from ckfunc.manifest.project import lock_problems, lock_text, managed_packages, read_lock
from ckfunc.model.application import PLATFORM_RANGES
from ckfunc.model.lock import LOCK_NAME, LockChange, PackageLock, lock_changes
from ckfunc.runtime.locks import Audit, audit, resolve
from ckfunc.runtime.policy import InstallPolicy

if TYPE_CHECKING:
    from ckfunc.model.outputs import LockJson


@frozen
class LockUpdate:
    """A lock that was resolved, and its changes; `written` is whether the file has changed."""

    lock: PackageLock
    changes: tuple[LockChange, ...]
    written: bool

    def to_json(self) -> LockJson:
        """Return the update for `--json`."""
        changes = [change.to_json() for change in self.changes]
        return {"file": LOCK_NAME, "written": self.written, "packages": len(self.lock.packages), "changes": changes}

    def lines(self) -> list[Line]:
        """Return the changes as text."""
        return [line for change in self.changes for line in change.lines()]

    def summary_line(self) -> Line:
        """Return whether the file has changed, and the number of packages."""
        verdict = "wrote functions.lock" if self.written else "functions.lock is up to date"
        same = ", no version changed" if self.written and not self.changes else ""
        return [(verdict, "success"), (f": {self.lock.package_count}{same}", "")]


def current_lock(root: Path) -> PackageLock | None:
    """Return the lock of a project; None if it has none. Raises LockOutdated if it does not fit the manifest."""
    if problems := lock_problems(root):
        raise LockOutdated(problems)
    return read_lock(root)


def require_lock(root: Path) -> PackageLock:
    """Return the lock of a project. Raises LockOutdated, and CkfuncError if there is nothing to lock."""
    lock = current_lock(root)
    if lock is None:
        _managed(root)
        raise LockOutdated([Problem(LOCK_NAME, 0, 0, "the file is missing", "run `ckfunc lock`")])
    return lock


def newest_versions(root: Path, policy: InstallPolicy, report: Callable[[str], object]) -> PackageLock:
    """Return the versions that npm would install now. Raises DependenciesFailed."""
    ranges = {**PLATFORM_RANGES, **(managed_packages(root).dependencies or {})}
    return resolve(ranges, cache_dir(), policy, report=report)


def audit_project(
    root: Path, policy: InstallPolicy, notice: Callable[[str], object], report: Callable[[str], object]
) -> Audit:
    """Return the known vulnerabilities of the locked packages, or of those that npm would install without a lock.

    `notice` is called with a message if there is no lock, and `report` with what npm waits for. Raises LockOutdated and
    DependenciesFailed.
    """
    lock = current_lock(root)
    if lock is None:
        notice("there is no functions.lock: auditing the versions that npm would install now")
        lock = newest_versions(root, policy, report)
    return Audit(len(lock.packages), audit(lock, cache_dir(), policy, report))


def update_lock(
    root: Path,
    policy: InstallPolicy,
    report: Callable[[str], object],
    names: Sequence[str] = (),
    *,
    upgrade: bool = False,
) -> LockUpdate:
    """Resolve the dependencies of the manifest, and write functions.lock if that changes it.

    Versions that fit stay, except those of the packages `names`, or all of them with `upgrade`, which also replaces an
    invalid lock. `report` receives what npm waits for. Raises UsageProblem for an unknown name, InvalidManifest,
    DependenciesFailed and LeadsOutside.
    """
    ranges = {**PLATFORM_RANGES, **_managed(root)}
    try:
        before = read_lock(root)
    except InvalidManifest:
        if not upgrade:
            raise
        before = None
    _require_known(names, before)
    if before is not None and before.dependencies == ranges and not (upgrade or names):
        after = before  # npm would not change a version that fits
    else:
        after = resolve(ranges, cache_dir(), policy, None if upgrade else before, names, report)
    if before != after:
        require_inside(root, root / LOCK_NAME)
        write_atomically(root / LOCK_NAME, lock_text(after))
    return LockUpdate(after, lock_changes(before, after), before != after)


def _managed(root: Path) -> dict[str, str]:
    """Return the dependencies in the manifest. Raises CkfuncError if it does not manage them."""
    dependencies = managed_packages(root).dependencies
    if dependencies is None:
        raise CkfuncError(
            "functions.yaml does not manage the packages of the runtime, so there is nothing to lock",
            hint="list the packages in `dependencies` under `runtime`, or add `dependencies: {}`",
        )
    return dict(dependencies)


def _require_known(names: Sequence[str], before: PackageLock | None) -> None:
    """Raise CkfuncError for names of packages that are not in the lock."""
    if not names:
        return
    if before is None:
        raise CkfuncError(f"there is no {LOCK_NAME} to upgrade", hint="`ckfunc lock` writes it")
    versions = before.versions()
    for name in names:
        if name not in versions:
            close = nearest(name, versions)
            hint = f"did you mean {close}?" if close else "`ckfunc lock` adds packages that are new in functions.yaml"
            raise UsageProblem(f"{LOCK_NAME} has no package {name!r}", hint=hint)
