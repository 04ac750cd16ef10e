"""Installations of npm packages, one for each list of dependencies.

An installation is verified to be complete right after npm, and each time before it is used.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from platform import machine
from typing import Any

from ckfunc.base.clock import elapsed_text
from ckfunc.base.documents import read_object
from ckfunc.base.errors import DependenciesFailed, PackageUnknown
from ckfunc.base.files import locked
from ckfunc.base.frozen import frozen
from ckfunc.base.text import counted, digest
from ckfunc.model.lock import LOCK_NAME, PackageLock
from ckfunc.runtime.cache import MARKER, CacheRefused, hold, prune_old
from ckfunc.runtime.node import node_major
from ckfunc.runtime.npm import (
    EDIT,
    INSTALL,
    INSTALL_LOCKED,
    NpmRun,
    Supervision,
    explained,
    failure_of,
    not_unpacked,
    run_npm,
    run_scripts,
    write_packages,
)
from ckfunc.runtime.policy import NO_POLICY, InstallPolicy, NpmSettings, npm_settings

_FORMAT = 2
_SHOWN = 3
_NOT_UNPACKED = re.compile(r"TAR_ENTRY_ERROR (.+)")
# A name, and a version, range or tag of a registry. Files, folders, addresses, aliases and git repositories, which npm
# also accepts, could run code of their own. The manifest's rules are stricter.
_NAME = re.compile(r"(?:@[\w.~-]+/)?[\w.~-]+", re.ASCII)
_VERSION = re.compile(r"(?!\.)(?!.*\.(?:tgz|tar|tar\.gz)$)[^:/#\\]*", re.ASCII | re.IGNORECASE)

_MARKER_FORMAT = 2
_MODULES = "node_modules"
_SCRIPTS = ("preinstall", "install", "postinstall")


def runtime_directory(dependencies: Mapping[str, str], cache: Path, policy: InstallPolicy = NO_POLICY) -> Path:
    """Return the directory of these dependencies, installed or not. Its name is a digest of all inputs.

    Raises NodeMissing and NpmrcProblem.
    """
    return _directory(dependencies, cache, policy, npm_settings(policy.project))


def install(
    dependencies: Mapping[str, str],
    cache: Path,
    on_progress: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
    policy: InstallPolicy = NO_POLICY,
    integrity: Mapping[str, str] | None = None,
) -> Path:
    """Return a directory whose node_modules has `dependencies` (npm name to version range); installs them if needed.

    If the policy has a lock of these dependencies, exactly its packages are installed. An incomplete installation is
    replaced. With `integrity` (of NAME@VERSION), other contents are refused. Safe to call
    from several threads and processes at once; setting `stop` ends npm. Raises DependenciesFailed, CacheRefused and
    NodeMissing.
    """
    settings = npm_settings(policy.project)
    directory = _directory(dependencies, cache, policy, settings, tool=integrity is not None)
    with CacheRefused.reported(cache):
        hold(directory)
        if is_installed(directory):
            return directory
        report = on_progress or (lambda _: None)
        waiting = partial(report, "waiting for another process that installs these packages")
        with locked(directory.with_name(f"{directory.name}.lock"), on_wait=waiting):
            if is_installed(directory):
                return directory
            if (directory / MARKER).exists():
                report("installed packages are incomplete: installing them again")
            work = _Installation(dependencies, cache, policy, settings, report, stop or threading.Event(), integrity)
            work.install_into(directory)
        prune_old(cache)
    return directory


@frozen
class _Installation:
    """An installation to perform."""

    dependencies: Mapping[str, str]
    cache: Path
    policy: InstallPolicy
    settings: NpmSettings
    report: Callable[[str], None]
    stop: threading.Event
    integrity: Mapping[str, str] | None

    def install_into(self, directory: Path) -> None:
        """Install, and replace `directory` with the result."""
        for leftover in directory.parent.glob(f"{directory.name}.new-*"):  # of an installation that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        started = time.monotonic()
        fresh = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f"{directory.name}.new-"))
        try:
            lock = self._lock
            write_packages(fresh, self.dependencies if lock is None else lock.dependencies, lock)
            skipped: tuple[str, ...] = ()
            if self.dependencies:
                packages = counted(len(self.dependencies), "package")
                self.report(f"installing {packages} with npm")
                self._run_npm(fresh)
                skipped = self._run_scripts(fresh)
                self.report(f"installed {packages} in {elapsed_text((time.monotonic() - started) * 1000)}")
                if skipped and self.integrity is None:
                    self.report("{}: {}".format(*scripts_note(skipped)))
            write_marker(fresh, skipped)
            shutil.rmtree(directory, ignore_errors=True)
            fresh.rename(directory)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    @property
    def _lock(self) -> PackageLock | None:
        return self.policy.lock_of(self.dependencies) if self.integrity is None else None

    def _run_npm(self, directory: Path) -> None:
        for name, version in self.dependencies.items():
            if not (_NAME.fullmatch(name) and _VERSION.fullmatch(version)):
                raise DependenciesFailed(f"{name[:80]}@{version[:80]} is not a package of a registry", hint=EDIT)
        command = INSTALL if self._lock is None else INSTALL_LOCKED
        supervision = Supervision(self.report, self.stop, self.dependencies)
        ran = run_npm(command, directory, self.cache, self.settings, supervision)
        if ran.status and failure_of(ran.output).get("code") == "ETARGET":  # npm's cache may be out of date
            ran = run_npm((*command, "--prefer-online"), directory, self.cache, self.settings, supervision)
        self._require_not_stopped()
        if (failure := ran.failure) is not None:
            problem = explained(failure, self.settings)
            raise problem if self._lock is None else _of_lock(problem, self._lock, failure)
        # If the disk is full, npm still reports success, with truncated files.
        if match := _NOT_UNPACKED.search(ran.log):
            raise not_unpacked(match[1])
        if missing := missing_packages(directory, self.dependencies):
            more = " …" if len(missing) > _SHOWN else ""
            raise DependenciesFailed(
                f"npm reported success, but did not install {', '.join(missing[:_SHOWN])}{more}",
                hint="run the command again",
            )
        if self.integrity is not None and (wrong := altered_packages(directory, self.integrity)):
            raise DependenciesFailed(
                f"the registry's contents of {wrong[0]} differ from the published ones",
                hint="check the registry in .npmrc: ckfunc runs this package, and only accepts the published contents",
            )

    def _run_scripts(self, directory: Path) -> tuple[str, ...]:
        """Run the install scripts that are allowed, and return the packages whose scripts did not run."""
        allowed = self.policy.scripts_for(self.dependencies) if self.integrity is None else ()
        with_scripts = [package for package in packages_of(directory) if package.has_script]
        to_run = [
            package
            for package in with_scripts
            if package.name in allowed or f"{package.name}@{package.version}" in allowed
        ]
        if to_run:
            names = sorted({f"{package.name}@{package.version}" for package in to_run})
            ran = run_scripts(directory, self.cache, names, self.stop)
            self._require_not_stopped()
            if ran.status:
                raise _script_failed(ran)
        return tuple(sorted({package.name for package in with_scripts} - {package.name for package in to_run}))

    def _require_not_stopped(self) -> None:
        if self.stop.is_set():
            raise DependenciesFailed("the installation of the packages was stopped")


def scripts_note(skipped: Collection[str]) -> tuple[str, str]:
    """Return a sentence about packages whose install scripts did not run, and the hint with the line to add."""
    names = ", ".join(json.dumps(name) if name.startswith("@") else name for name in skipped)
    which = "the install script" if len(skipped) == 1 else "the install scripts"
    return (
        f"{which} of {', '.join(skipped)} did not run",
        f"if handlers need their results, add `allow_scripts: [{names}]` under `runtime` in functions.yaml",
    )


def scripts_warning(dependencies: Mapping[str, str], cache: Path, policy: InstallPolicy) -> tuple[str, str] | None:
    """Return the note about skipped install scripts of these dependencies; None without any.

    Raises NodeMissing and NpmrcProblem.
    """
    skipped = skipped_scripts(runtime_directory(dependencies, cache, policy))
    return scripts_note(skipped) if skipped else None


@frozen
class Installed:
    """A package of an installation. `path` is relative to the parent of node_modules."""

    name: str
    version: str
    path: str
    has_script: bool


def missing_packages(directory: Path, dependencies: Mapping[str, str]) -> tuple[str, ...]:
    """Return the packages that npm should have installed into `directory`, but did not.

    npm lists the packages that it installed, including dependencies, in node_modules/.package-lock.json.
    """
    listed = _listed(directory)
    names = [f"{_MODULES}/{name}" for name in dependencies]
    names += [path for path, entry in listed.items() if not entry.get("link")]
    absent = [path for path in dict.fromkeys(names) if not (directory / path / "package.json").is_file()]
    return tuple(path.rpartition(f"{_MODULES}/")[2] for path in absent)


def altered_packages(directory: Path, integrity: Mapping[str, str]) -> tuple[str, ...]:
    """Return the packages of an installation, as NAME@VERSION, whose integrity differs from the given one."""
    listed = {
        f"{path.rpartition(f'{_MODULES}/')[2]}@{entry.get('version')}": entry
        for path, entry in _listed(directory).items()
    }
    return tuple(
        name for name, entry in listed.items() if integrity.get(name, "") not in str(entry.get("integrity")).split()
    )


def packages_of(directory: Path) -> Iterator[Installed]:
    """Yield the packages of an installation."""
    for path, entry in sorted(_listed(directory).items()):
        if entry.get("link"):
            continue
        package = read_object(directory / path / "package.json")
        name = path.rpartition(f"{_MODULES}/")[2]
        yield Installed(name, str(package.get("version", "")), path, _has_script(directory / path, package))


def write_marker(directory: Path, skipped: tuple[str, ...]) -> None:
    """Record the files of an installation and the packages whose install scripts were not run. Raises OSError."""
    top = directory / _MODULES
    files = {os.path.relpath(file, directory): size for file, size in _files(top)}
    document = {"format": _MARKER_FORMAT, "skipped": list(skipped), "files": files}
    (directory / MARKER).write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")


def is_installed(directory: Path) -> bool:
    """Return whether all files of an installation exist with their original sizes. Takes microseconds per file."""
    files = read_object(directory / MARKER).get("files")
    if not isinstance(files, dict):
        return False
    before, lstat = f"{directory}{os.sep}", os.lstat
    try:
        return all(lstat(before + name).st_size == size for name, size in files.items())
    except OSError:
        return False


def skipped_scripts(directory: Path) -> tuple[str, ...]:
    """Return the packages of an installation whose install scripts were not run."""
    skipped = read_object(directory / MARKER).get("skipped")
    return tuple(skipped) if isinstance(skipped, list) else ()


def _directory(
    dependencies: Mapping[str, str], cache: Path, policy: InstallPolicy, settings: NpmSettings, *, tool: bool = False
) -> Path:
    machines = [f"v{node_major()}", sys.platform, machine(), _libc()]
    allowed = policy.scripts_for(dependencies)
    # The contents of a tool are the same from every registry.
    chosen = settings.identity if dependencies and not tool else ()
    lock = None if tool else policy.lock_of(dependencies)
    packages = sorted(dependencies.items()) if lock is None else lock.identity
    identity = [_FORMAT, machines, packages, chosen, allowed, tool]
    return cache.resolve() / "runtimes" / digest(json.dumps(identity))[:32]


def _script_failed(ran: NpmRun) -> DependenciesFailed:
    failure = failure_of(ran.output)
    output = f"{failure.get('detail') or ''}\n{failure.get('summary') or ''}\n{ran.log}"
    package = re.search(r"node_modules[/\\]((?:@[^/\\\s]+[/\\])?[^/\\\s]+)", output)
    reasons = [line.strip() for line in output.splitlines() if re.search(r"\b[A-Za-z]*Error\b|not found", line)]
    name = f" of {package[1]}" if package else ""
    return DependenciesFailed(
        f"the install script{name} failed{f': {reasons[0][:300]}' if reasons else ''}",
        hint="scripts get no secrets and have a home directory of their own; "
        "remove the package from runtime.allow_scripts if handlers work without its script",
    )


def _of_lock(problem: DependenciesFailed, lock: PackageLock, failure: Mapping[str, object]) -> DependenciesFailed:
    """Return a failure to install the packages of a lock, with the command that changes the lock if that helps."""
    if isinstance(problem, PackageUnknown):
        return PackageUnknown(problem.message, hint="`ckfunc lock --upgrade` locks versions that the registry has")
    if failure.get("code") != "EINTEGRITY":
        return problem
    summary = str(failure.get("summary"))
    known = {
        integrity: f"{name}@{version}" for name, each in lock.versions().items() for version, integrity in each.items()
    }
    names = (name for integrity, name in known.items() if integrity in summary)
    return DependenciesFailed(
        f"the registry's contents of {next(names, 'a package')} differ from {LOCK_NAME} (EINTEGRITY)",
        hint="check the registry in .npmrc; if you trust its contents, `ckfunc lock --upgrade` accepts them",
    )


def _libc() -> str:
    """Return the C library of this system: npm installs other packages for musl than for glibc."""
    if sys.platform == "linux":
        try:
            return (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")[0]
        except (ValueError, OSError):
            return "other"
    else:
        return ""


def _has_script(directory: Path, package: Mapping[str, Any]) -> bool:
    scripts = package.get("scripts")
    named = [script for script in _SCRIPTS if isinstance(scripts, dict) and scripts.get(script)]
    # Source: npm's node-gyp rule: binding.gyp alone means `install: node-gyp rebuild`.
    built = package.get("gypfile") is not False and (directory / "binding.gyp").is_file()
    return bool(named) or built


def _files(top: Path) -> Iterator[tuple[str, int]]:
    for directory, _, names in os.walk(top):
        for name in names:
            file = os.path.join(directory, name)  # noqa: PTH118 - thousands of them
            yield file, os.lstat(file).st_size


def _listed(directory: Path) -> dict[str, dict[str, Any]]:
    packages = read_object(directory / _MODULES / ".package-lock.json").get("packages")
    entries = packages.items() if isinstance(packages, dict) else ()
    return {path: entry for path, entry in entries if isinstance(entry, dict)}
