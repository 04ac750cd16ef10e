"""Links in `node_modules` to the packages that handlers run with, for editors.

TypeScript reads what a package says of its types (`exports` in its package.json above all) for packages in a
`node_modules` directory alone, not for those that `paths` of a tsconfig.json names. So there is a link for each, to the
cache; packages that the user installed there himself are his.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ckfunc.base.errors import CkfuncError, DependenciesFailed, PackageUnknown
from ckfunc.base.files import link_directory, link_target, read_file
from ckfunc.model.application import DEFAULT_PACKAGES
from ckfunc.runtime.install import install, is_installed, runtime_directory
from ckfunc.runtime.policy import NO_POLICY, InstallPolicy
from ckfunc.runtime.tools import PACKAGE as NODE_TYPES_PACKAGE
from ckfunc.scaffold.writing import CannotWrite, FileAction, Written

PLACE = "node_modules"

_CACHED = re.compile(r"[0-9a-f]{32}")
_UNTYPED = "no-types"
"""Where the cache remembers the packages that nobody wrote types for."""


@dataclass(frozen=True, slots=True)
class Packages:
    """Packages that are installed. `targets` are directories by package name; `missing` says why some are not there."""

    targets: Mapping[str, Path]
    missing: CkfuncError | None = None


def installed_packages(
    dependencies: Mapping[str, str],
    cache: Path,
    on_progress: Callable[[str], None] | None = None,
    policy: InstallPolicy = NO_POLICY,
) -> Packages:
    """Return the packages that handlers run with, the platform's own among them, and types for those without any.

    What is not there is installed, into the directory that handlers run with. Never raises for what npm cannot do.
    """
    wanted = all_packages(dependencies)
    try:
        directory = install(wanted, cache, on_progress, policy=policy)
    except (CkfuncError, OSError) as error:
        return Packages({}, error if isinstance(error, CkfuncError) else DependenciesFailed(str(error)))
    # What a package needs itself lies beside it: of that, the declarations of Node are everybody's.
    targets = _targets((*wanted, NODE_TYPES_PACKAGE), directory)
    missing: CkfuncError | None = None
    for name, version in _untyped(targets):
        try:
            targets |= _types(name, version, cache, on_progress, policy)
        except CkfuncError as error:  # such a package is `any` then, as one is whose types nobody wrote
            missing = error
    return Packages(dict(sorted(targets.items())), missing)


def known_packages(dependencies: Mapping[str, str], cache: Path, policy: InstallPolicy = NO_POLICY) -> Packages | None:
    """Return what `installed_packages` would, as far as it is there already; None when no package is."""
    wanted = all_packages(dependencies)
    directory = runtime_directory(wanted, cache, policy)
    if not is_installed(directory):
        return None
    # What a package needs itself lies beside it: of that, the declarations of Node are everybody's.
    targets = _targets((*wanted, NODE_TYPES_PACKAGE), directory)
    missing: CkfuncError | None = None
    for name, version in _untyped(targets):
        types = runtime_directory(_types_of(name, version), cache, policy)
        if is_installed(types):
            targets |= _targets(_types_of(name, version), types)
        elif not _nobodys(name, version, cache).is_file():
            missing = DependenciesFailed(f"the types of {name} were not fetched yet")
    return Packages(dict(sorted(targets.items())), missing)


def with_node_types(packages: Packages, directory: Path | None) -> Packages:
    """Add the directory of @types/node, if there is one, unless packages bring their own."""
    if directory is None or NODE_TYPES_PACKAGE in packages.targets:
        return packages
    return replace(packages, targets=dict(sorted({**packages.targets, NODE_TYPES_PACKAGE: directory}.items())))


def link_packages(root: Path, packages: Packages) -> tuple[Written, ...]:
    """Make `node_modules` of the project lead to these packages, and return what became of each link.

    Links of ours that lead elsewhere are replaced, those to packages that are wanted no more are removed (unless some
    are missing: then nobody knows); everything else is the user's, and kept. Raises CannotWrite.
    """
    if not packages.targets:
        return ()
    place = root / PLACE
    if link_target(place) is not None:
        return (Written(place, FileAction.KEPT, note="it is a link: what is behind it is not ours to change"),)
    try:
        if not place.exists():
            place.mkdir()
            # Made by us, so that it is ours to keep it out of git, whatever the user's own .gitignore says.
            (place / ".gitignore").write_text("*\n", encoding="utf-8")
        written = [_link(place, name, target) for name, target in packages.targets.items()]
        for link in _ours(place) if packages.missing is None else ():
            if link.relative_to(place).as_posix() not in packages.targets:
                link.unlink()
                written.append(Written(link, FileAction.REMOVED))
    except OSError as error:
        raise CannotWrite(f"cannot link packages into {place}: {error.strerror or error}") from error
    return tuple(written)


def stale_links(root: Path, packages: Packages) -> Iterator[Path]:
    """Yield the links that `link_packages` would make or remove."""
    place = root / PLACE
    if link_target(place) is not None:
        return
    for name, target in packages.targets.items():
        link = place / name
        if link_target(link) != target and (_is_ours(link) or not link.exists()):
            yield link
    for link in _ours(place):
        if link.relative_to(place).as_posix() not in packages.targets:
            yield link


def has_links(root: Path) -> bool:
    """Tell whether the project has links that `link_packages` made."""
    return bool(_ours(root / PLACE))


def all_packages(dependencies: Mapping[str, str]) -> dict[str, str]:
    """Return the packages that handlers run with: these, and the platform's own."""
    return {**{one.name: one.version for one in DEFAULT_PACKAGES}, **dependencies}


def _targets(wanted: Iterable[str], directory: Path) -> dict[str, Path]:
    found = {name: directory / PLACE / name for name in wanted}
    return {name: target for name, target in found.items() if target.is_dir()}


def _link(place: Path, name: str, target: Path) -> Written:
    link = place / name
    if link_target(link) == target:
        return Written(link, FileAction.UNCHANGED)
    action = FileAction.CREATED
    if _is_ours(link):
        link.unlink()
        action = FileAction.OVERWRITTEN
    elif link.exists() or link.is_symlink():
        return Written(link, FileAction.KEPT, note="installed by you: its types may be another version's")
    if link_target(link.parent) is not None:
        return Written(link, FileAction.KEPT, note=f"{link.parent.name} is a link, which is left alone")
    link.parent.mkdir(exist_ok=True)
    link_directory(link, target)
    return Written(link, action)


def _ours(place: Path) -> list[Path]:
    """Return the links below `place` that lead to packages in a cache of ckfunc."""
    try:
        entries = sorted(place.iterdir())
    except OSError:
        return []
    scopes = [one for one in entries if one.name.startswith("@") and link_target(one) is None]
    return [one for one in (*entries, *(inner for scope in scopes for inner in _ours(scope))) if _is_ours(one)]


def _is_ours(link: Path) -> bool:
    """Tell a link of ours by where it leads: a cache that has moved, or is gone, is recognised too."""
    target = link_target(link)
    if target is None:
        return False
    triples = zip(target.parts, target.parts[1:], target.parts[2:], strict=False)
    return any(one == "runtimes" and _CACHED.fullmatch(two) and three == PLACE for one, two, three in triples)


def _untyped(targets: Mapping[str, Path]) -> list[tuple[str, str]]:
    """Return name and major version of the packages that ship no types."""
    found = []
    for name, target in targets.items():
        package = _package(target)
        if not _ships_types(target, package) and f"@types/{_mangled(name)}" not in targets:
            found.append((name, str(package.get("version", "")).partition(".")[0]))
    return found


def _package(directory: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_file(directory / "package.json"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _ships_types(directory: Path, package: Mapping[str, Any]) -> bool:
    if package.get("types") or package.get("typings") or '"types"' in json.dumps(package.get("exports")):
        return True
    main = directory / str(package.get("main") or "index.js")
    return any(one.with_suffix(".d.ts").is_file() for one in (main, main / "index.js", directory / "index.js"))


def _mangled(name: str) -> str:
    """Return how DefinitelyTyped calls a package: @scope/name is scope__name."""
    return name.removeprefix("@").replace("/", "__")


def _types_of(name: str, major: str) -> dict[str, str]:
    return {f"@types/{_mangled(name)}": major or "*"}


def _types(
    name: str, major: str, cache: Path, on_progress: Callable[[str], None] | None, policy: InstallPolicy
) -> dict[str, Path]:
    """Return where the types are of a package that ships none, as a part of `targets`. Raises what npm cannot do."""
    nobodys = _nobodys(name, major, cache)
    if nobodys.is_file():
        return {}
    wanted = _types_of(name, major)
    try:
        return _targets(wanted, install(wanted, cache, on_progress, policy=policy))
    except PackageUnknown:
        with suppress(OSError):
            nobodys.parent.mkdir(parents=True, exist_ok=True)
            nobodys.touch()
        return {}


def _nobodys(name: str, major: str, cache: Path) -> Path:
    return cache / _UNTYPED / f"{_mangled(name)}@{major}"
