"""Links in `node_modules` to the packages that handlers run with, for editors.

TypeScript uses the types that a package declares (mainly with `exports` in its package.json) only for packages in a
`node_modules` directory, not for packages in `paths` of a tsconfig.json. So ckfunc links each package in the cache.
Packages that the user has installed there are not changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ckfunc.base.documents import read_object
from ckfunc.base.errors import CkfuncError, DependenciesFailed, PackageUnknown
from ckfunc.base.files import link_directory, link_target
from ckfunc.base.frozen import frozen
from ckfunc.model.application import PLATFORM_RANGES
from ckfunc.runtime.install import install, is_installed, runtime_directory
from ckfunc.runtime.policy import NO_POLICY, InstallPolicy
from ckfunc.runtime.tools import PACKAGE as NODE_TYPES_PACKAGE
from ckfunc.scaffold.writing import CannotWrite, FileAction, Written

NODE_MODULES = "node_modules"

_CACHED = re.compile(r"[0-9a-f]{32}")
_UNTYPED = "no-types"
"""Directory of the cache with a mark for each package without types in DefinitelyTyped."""


@frozen
class Packages:
    """Installed packages. `targets` are directories by package name; `missing` is the reason if some are missing."""

    targets: Mapping[str, Path]
    missing: CkfuncError | None = None


def installed_packages(
    dependencies: Mapping[str, str],
    cache: Path,
    on_progress: Callable[[str], None] | None = None,
    policy: InstallPolicy = NO_POLICY,
) -> Packages:
    """Install the packages that handlers run with, including the platform's own, and types for those without any.

    They are installed into the directory that handlers use. Errors of npm are not raised, but returned as `missing`.
    """
    packages = all_packages(dependencies)
    try:
        directory = install(packages, cache, on_progress, policy=policy)
    except (CkfuncError, OSError) as error:
        return Packages({}, error if isinstance(error, CkfuncError) else DependenciesFailed(str(error)))
    # Dependencies of packages are in the same directory; of these, only @types/node applies to every script.
    targets = _existing_directories((*packages, NODE_TYPES_PACKAGE), directory)
    missing: CkfuncError | None = None
    for name, version in _untyped(targets):
        try:
            targets |= _installed_types(name, version, cache, on_progress, policy)
        except CkfuncError as error:  # the package is then `any`, like a package that has no types at all
            missing = error
    return Packages(dict(sorted(targets.items())), missing)


def known_packages(dependencies: Mapping[str, str], cache: Path, policy: InstallPolicy = NO_POLICY) -> Packages | None:
    """Return the packages that `installed_packages` has installed; None if there are none."""
    packages = all_packages(dependencies)
    directory = runtime_directory(packages, cache, policy)
    if not is_installed(directory):
        return None
    # Dependencies of packages are in the same directory; of these, only @types/node applies to every script.
    targets = _existing_directories((*packages, NODE_TYPES_PACKAGE), directory)
    missing: CkfuncError | None = None
    for name, version in _untyped(targets):
        types = runtime_directory(_types_of(name, version), cache, policy)
        if is_installed(types):
            targets |= _existing_directories(_types_of(name, version), types)
        elif not _no_types_mark(name, version, cache).is_file():
            missing = DependenciesFailed(f"the types of {name} are not installed")
    return Packages(dict(sorted(targets.items())), missing)


def with_node_types(packages: Packages, directory: Path | None) -> Packages:
    """Add `directory`, that of @types/node, unless the packages include it; None adds nothing."""
    if directory is None or NODE_TYPES_PACKAGE in packages.targets:
        return packages
    return replace(packages, targets=dict(sorted({**packages.targets, NODE_TYPES_PACKAGE: directory}.items())))


def link_packages(root: Path, packages: Packages) -> tuple[Written, ...]:
    """Link these packages in `node_modules` of the project; return the result for each link.

    ckfunc's own links are replaced if they lead elsewhere, and removed if their package is not in use (unless some
    packages are missing). Everything else belongs to the user and is not changed. Raises CannotWrite.
    """
    if not packages.targets:
        return ()
    modules = root / NODE_MODULES
    if link_target(modules) is not None:
        return (Written(modules, FileAction.KEPT, note="it is a link, whose target ckfunc does not change"),)
    try:
        if not modules.exists():
            modules.mkdir()
            # ckfunc created the directory, so it also excludes it from git, independent of the user's .gitignore.
            (modules / ".gitignore").write_text("*\n", encoding="utf-8")
        written = [_link(modules, name, target) for name, target in packages.targets.items()]
        for link in _own_links(modules) if packages.missing is None else ():
            if link.relative_to(modules).as_posix() not in packages.targets:
                link.unlink()
                written.append(Written(link, FileAction.REMOVED))
    except OSError as error:
        raise CannotWrite(
            f"cannot link packages into {modules}: {error.strerror or error}",
            hint="check its permissions, and that its disk supports links; all other commands work without them",
        ) from error
    return tuple(written)


def stale_links(root: Path, packages: Packages) -> Iterator[Path]:
    """Yield the links that `link_packages` would create or remove."""
    modules = root / NODE_MODULES
    if link_target(modules) is not None:
        return
    for name, target in packages.targets.items():
        link = modules / name
        if link_target(link) != target and (_is_own(link) or not link.exists()):
            yield link
    for link in _own_links(modules):
        if link.relative_to(modules).as_posix() not in packages.targets:
            yield link


def has_links(root: Path) -> bool:
    """Return whether the project has links that `link_packages` created."""
    return bool(_own_links(root / NODE_MODULES))


def all_packages(dependencies: Mapping[str, str]) -> dict[str, str]:
    """Return the packages that handlers run with: these, and the platform's own."""
    return {**PLATFORM_RANGES, **dependencies}


def _existing_directories(names: Iterable[str], directory: Path) -> dict[str, Path]:
    directories = {name: directory / NODE_MODULES / name for name in names}
    return {name: target for name, target in directories.items() if target.is_dir()}


def _link(modules: Path, name: str, target: Path) -> Written:
    link = modules / name
    if link_target(link) == target:
        return Written(link, FileAction.UNCHANGED)
    action = FileAction.CREATED
    if _is_own(link):
        link.unlink()
        action = FileAction.OVERWRITTEN
    elif link.exists() or link.is_symlink():
        return Written(link, FileAction.KEPT, note="you installed this package: its types may be of another version")
    if link_target(link.parent) is not None:
        return Written(link, FileAction.KEPT, note=f"{link.parent.name} is a link, which ckfunc does not change")
    link.parent.mkdir(exist_ok=True)
    link_directory(link, target)
    return Written(link, action)


def _own_links(modules: Path) -> list[Path]:
    """Return the links below `modules` to packages in a cache of ckfunc."""
    try:
        entries = sorted(modules.iterdir())
    except OSError:
        return []
    scopes = [entry for entry in entries if entry.name.startswith("@") and link_target(entry) is None]
    return [link for link in (*entries, *(inner for scope in scopes for inner in _own_links(scope))) if _is_own(link)]


def _is_own(link: Path) -> bool:
    """Return whether the form of a link's target is that of a cache of ckfunc, which may have been moved or removed."""
    target = link_target(link)
    if target is None:
        return False
    triples = zip(target.parts, target.parts[1:], target.parts[2:], strict=False)
    return any(top == "runtimes" and _CACHED.fullmatch(key) and last == NODE_MODULES for top, key, last in triples)


def _untyped(targets: Mapping[str, Path]) -> list[tuple[str, str]]:
    """Return name and major version of the packages that include no types."""
    untyped = []
    for name, target in targets.items():
        package = read_object(target / "package.json")
        if not _ships_types(target, package) and f"@types/{_types_name(name)}" not in targets:
            untyped.append((name, str(package.get("version", "")).partition(".")[0]))
    return untyped


def _ships_types(directory: Path, package: Mapping[str, Any]) -> bool:
    if package.get("types") or package.get("typings") or '"types"' in json.dumps(package.get("exports")):
        return True
    main = directory / str(package.get("main") or "index.js")
    files = (main, main / "index.js", directory / "index.js")
    return any(file.with_suffix(".d.ts").is_file() for file in files)


def _types_name(name: str) -> str:
    """Return the name of a package in DefinitelyTyped: scope__name for @scope/name."""
    return name.removeprefix("@").replace("/", "__")


def _types_of(name: str, major: str) -> dict[str, str]:
    return {f"@types/{_types_name(name)}": major or "*"}


def _installed_types(
    name: str, major: str, cache: Path, on_progress: Callable[[str], None] | None, policy: InstallPolicy
) -> dict[str, Path]:
    """Install the types of a package that includes none; return their directory for `targets`. Raises errors of npm."""
    mark = _no_types_mark(name, major, cache)
    if mark.is_file():
        return {}
    types = _types_of(name, major)
    try:
        return _existing_directories(types, install(types, cache, on_progress, policy=policy))
    except PackageUnknown:
        with suppress(OSError):
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        return {}


def _no_types_mark(name: str, major: str, cache: Path) -> Path:
    return cache / _UNTYPED / f"{_types_name(name)}@{major}"
