"""The lock of a runtime: npm packages in resolved versions."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from ckfunc.base.frozen import frozen
from ckfunc.base.text import Line, counted, digest, printable

if TYPE_CHECKING:
    from ckfunc.model.outputs import LockChangeJson

LOCK_NAME = "functions.lock"
"""The lock's file, next to functions.yaml."""

_FORMAT = 1
_ROOT = {"name": "handlers", "version": "1.0.0"}
_MODULES = "node_modules/"
_EDGES = ("dependencies", "optionalDependencies", "peerDependencies")
# The fields of npm's package-lock.json that matter to an installation. None of them has an address, and unlike the
# others, all versions of npm write them.
_FIELDS = (
    *("name", "version", "integrity", *_EDGES, "peerDependenciesMeta", "bundleDependencies", "inBundle"),
    *("optional", "peer", "devOptional", "hasInstallScript", "hasShrinkwrap", "bin", "engines", "os", "cpu", "libc"),
)
_NAME = r"(?:@[\w~-][\w.~-]*/)?[\w~-][\w.~-]*"
_PATH = re.compile(rf"{_MODULES}{_NAME}(?:/{_MODULES}{_NAME})*", re.ASCII)
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:[-+][\w.+-]+)?", re.ASCII)
_INTEGRITY = re.compile(r"sha(?:1|256|384|512)-[A-Za-z0-9+/]+={0,2}(?: sha(?:1|256|384|512)-[A-Za-z0-9+/]+={0,2})*")
# A range or tag of a registry, or an alias of one: files, addresses and git repositories have no place in a lock.
_RANGE = re.compile(rf"(?:npm:{_NAME}(?:@|$))?(?!\.)(?!.*\.(?:tgz|tar|tar\.gz)$)[^:/#\\]*", re.ASCII | re.IGNORECASE)


class InvalidLock(ValueError):
    """A lock cannot be used; the message is the end of a sentence about it."""


@frozen
class PackageLock:
    """The packages of a runtime, direct and transitive.

    `dependencies` are the version ranges that were resolved, by name: those of functions.yaml and the platform's.
    `packages` are npm's entries by place in the installed tree, such as `node_modules/a/node_modules/b`. They have an
    integrity, but no address of a registry. Packages for other systems are included.
    """

    dependencies: Mapping[str, str]
    packages: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, document: Any) -> Self:
        """Return the lock in a document that `to_json` has returned. Raises InvalidLock."""
        if not isinstance(document, dict) or document.get("version") != _FORMAT:
            raise InvalidLock("is not a lock of this version of ckfunc")
        return cls.of_entries(document.get("dependencies"), document.get("packages"))

    @classmethod
    def of_entries(cls, dependencies: Any, packages: Any) -> Self:
        """Return a lock with the entries of npm's package-lock.json, except that of the root. Raises InvalidLock."""
        if not (isinstance(dependencies, dict) and isinstance(packages, dict)):
            raise InvalidLock("has no dependencies or no packages")
        for name, version in dependencies.items():
            if not isinstance(version, str) or not _RANGE.fullmatch(version):
                raise InvalidLock(f"has no version range of {name[:80]}")
            if f"{_MODULES}{name}" not in packages:
                raise InvalidLock(f"has no version of {name[:80]}")
        entries = {path: _entry(path, entry) for path, entry in sorted(packages.items())}
        lock = cls(dict(sorted(dependencies.items())), entries)
        for path, entry in entries.items():
            optional = entry.get("optionalDependencies", {})
            for name in entry.get("dependencies", {}):
                if name not in optional and lock._place(path, name) is None:
                    raise InvalidLock(f"has no {name[:80]}, which {package_name(path, entry)[:80]} requires")
        return lock

    def to_json(self) -> dict[str, Any]:
        """Return the lock as a document."""
        return {"version": _FORMAT, "dependencies": self.dependencies, "packages": self.packages}

    def to_npm(self) -> dict[str, Any]:
        """Return the lock as the package-lock.json of a package with these dependencies."""
        packages = {"": manifest_of(self.dependencies), **self.packages}
        return {**_ROOT, "lockfileVersion": 3, "requires": True, "packages": packages}

    @property
    def identity(self) -> str:
        """A digest of the lock."""
        return digest(json.dumps(self.to_json(), sort_keys=True))

    @property
    def package_count(self) -> str:
        """The number of packages, with its noun."""
        return counted(len(self.packages), "package")

    def identified(self, dependencies: Mapping[str, str]) -> dict[str, str]:
        """Return dependencies with an entry that identifies the lock, as a key of a cache."""
        return {**dependencies, LOCK_NAME: self.identity}

    def version(self, name: str) -> str:
        """Return the resolved version of a direct dependency."""
        return str(self.packages[f"{_MODULES}{name}"]["version"])

    def covers(self, dependencies: Mapping[str, str]) -> bool:
        """Return whether the lock is one of these dependencies, each given as its range or its resolved version."""
        return dependencies.keys() == self.dependencies.keys() and all(
            version in (self.dependencies[name], self.version(name)) for name, version in dependencies.items()
        )

    def resolved(self, dependencies: Mapping[str, str]) -> dict[str, str]:
        """Return these dependencies with each range replaced by the version that it was resolved to."""
        return {
            name: self.version(name) if self.dependencies.get(name) == version else version
            for name, version in dependencies.items()
        }

    def ranges(self, dependencies: Mapping[str, str]) -> dict[str, str]:
        """Return these dependencies with each resolved version replaced by its range: the reverse of `resolved`."""
        return {
            name: self.dependencies[name] if name in self.dependencies and self.version(name) == version else version
            for name, version in dependencies.items()
        }

    def versions(self) -> dict[str, dict[str, str]]:
        """Return the integrity of each version of each package, by name of the package."""
        versions: dict[str, dict[str, str]] = {}
        for path, entry in self.packages.items():
            versions.setdefault(package_name(path, entry), {})[str(entry["version"])] = str(entry.get("integrity"))
        return versions

    def chains(self, roots: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return for each place that `roots`, direct dependencies, lead to the shortest chain of names to it."""
        chains: dict[str, tuple[str, ...]] = {}
        for name in sorted(roots):
            if (place := self._place("", name)) is not None:
                chains[place] = (name,)
        queue = deque(chains)
        while queue:
            path = queue.popleft()
            for name in self._required(path):
                place = self._place(path, name)
                if place is not None and place not in chains:
                    chains[place] = (*chains[path], name)
                    queue.append(place)
        return chains

    def _required(self, path: str) -> Iterator[str]:
        for kind in _EDGES:
            yield from sorted(self.packages[path].get(kind, ()))

    def _place(self, importer: str, name: str) -> str | None:
        """Return the place that an import of `name` is resolved to: the nearest node_modules that has it."""
        while True:
            place = f"{importer}/{_MODULES}{name}" if importer else f"{_MODULES}{name}"
            if place in self.packages:
                return place
            if not importer:
                return None
            importer = importer.rpartition(f"/{_MODULES}")[0]


@frozen
class LockChange:
    """The versions of a package before and after a change of a lock, or the same ones with other contents."""

    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    def to_json(self) -> LockChangeJson:
        """Return the change for `--json`."""
        return {"name": self.name, "before": list(self.before), "after": list(self.after)}

    def lines(self) -> Iterator[Line]:
        """Yield a `~` line for one version that replaces another, and else a line for each version."""
        name = printable(self.name)
        if self.before == self.after:
            yield [("~ ", "update"), (f"{name} {', '.join(self.after)}", ""), ("  (different contents)", "muted")]
        elif len(self.before) == len(self.after) == 1:
            yield [("~ ", "update"), (f"{name} {self.before[0]} → {self.after[0]}", "")]
        else:
            yield from ([("- ", "remove"), (f"{name} {version}", "")] for version in self.before)
            yield from ([("+ ", "create"), (f"{name} {version}", "")] for version in self.after)


def lock_changes(before: PackageLock | None, after: PackageLock) -> tuple[LockChange, ...]:
    """Return the packages whose versions or contents differ, by name. Without a lock before, all packages are new."""
    had, has = before.versions() if before else {}, after.versions()
    changed = []
    for name in sorted({*had, *has}):
        old, new = had.get(name, {}), has.get(name, {})
        if old != new:
            same = {version for version in old if new.get(version) == old[version]}
            changed.append(LockChange(name, tuple(sorted(old.keys() - same)), tuple(sorted(new.keys() - same))))
    return tuple(changed)


def manifest_of(dependencies: Mapping[str, str]) -> dict[str, Any]:
    """Return the package.json of a package with these dependencies."""
    return {"private": True, **_ROOT, "dependencies": dict(sorted(dependencies.items()))}


def package_name(path: str, entry: Mapping[str, Any]) -> str:
    """Return the name of a package in the registry, which for an alias differs from its directory's."""
    return str(entry.get("name") or path.rpartition(_MODULES)[2])


def _entry(path: str, entry: Any) -> dict[str, Any]:
    """Return the fields of an entry that matter to an installation. Raises InvalidLock."""
    if not _PATH.fullmatch(path) or not isinstance(entry, dict):
        raise InvalidLock(f"has an entry {path[:80]!r} that is no package")
    name = package_name(path, entry)
    if not re.fullmatch(_NAME, name, re.ASCII) or not _VERSION.fullmatch(str(entry.get("version"))):
        raise InvalidLock(f"has no version of {name[:80]} at {path[:200]}")
    if entry.get("inBundle") is not True and not _INTEGRITY.fullmatch(str(entry.get("integrity"))):
        raise InvalidLock(f"has no integrity of {name[:80]}, which does not come from a registry")
    for kind in _EDGES:
        edges = entry.get(kind, {})
        for requirement, version in edges.items() if isinstance(edges, dict) else ((kind, None),):
            if not isinstance(version, str) or not _RANGE.fullmatch(version):
                raise InvalidLock(f"has a requirement of {name[:80]} that is not in a registry: {requirement[:80]}")
    bins = entry.get("bin", {})
    if not isinstance(bins, dict) or not all(_is_inside(path) for pair in bins.items() for path in pair):
        raise InvalidLock(f"has a program of {name[:80]} outside of its directory")
    return {field: entry[field] for field in _FIELDS if field in entry}


def _is_inside(path: object) -> bool:
    return isinstance(path, str) and not path.startswith("/") and ".." not in re.split(r"[/\\:]", path)
