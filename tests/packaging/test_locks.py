"""Lock files: exact versions with hashes, no registry, every declared package."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from support.project_files import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, GROUPS = PYPROJECT["project"], PYPROJECT["dependency-groups"]
RUN = [*PROJECT["dependencies"], *PYPROJECT["build-system"]["requires"], *GROUPS["build"]]
DECLARED = {
    "run.txt": RUN,
    "dev.txt": [*RUN, *PROJECT["optional-dependencies"]["dev"]],
    "docs.txt": [*RUN, *GROUPS["docs"]],
    "release.txt": [*GROUPS["build"], *GROUPS["release"]],
    "conformance.txt": GROUPS["conformance"],
    "uv.txt": GROUPS["lock"],
}
RENEW = "run `make lock`"


@dataclass(frozen=True)
class Locked:
    """One entry of a lock file."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def version(self) -> str:
        (specifier,) = self.requirement.specifier
        return specifier.version


def locked(path: Path) -> dict[str, list[Locked]]:
    """Return the entries of a lock file by name; a name has several where they differ between systems or Pythons."""
    text = re.sub(r"^ *#.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, list[Locked]] = {}
    for line in filter(str.strip, text.splitlines()):
        said, *hashes = line.split(" --hash=")
        entry = Locked(Requirement(said.strip()), tuple(each.strip() for each in hashes))
        found.setdefault(canonicalize_name(entry.requirement.name), []).append(entry)
    return found


LOCKS = {path.name: locked(path) for path in sorted((ROOT / "requirements").glob("*.txt"))}


def test_lock_files_and_declarations_correspond() -> None:
    assert LOCKS.keys() == DECLARED.keys()


@pytest.mark.parametrize("name", DECLARED)
def test_every_entry_is_an_exact_version_with_hashes_and_without_a_url(name: str) -> None:
    for entry in (entry for those in LOCKS[name].values() for entry in those):
        (exactly,) = entry.requirement.specifier
        assert exactly.operator == "==" and "*" not in exactly.version
        assert entry.requirement.url is None
        assert entry.hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in entry.hashes)
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert "://" not in text and "index" not in text.partition("==")[0]


@pytest.mark.parametrize("name", DECLARED)
def test_every_declared_package_is_locked_within_its_range(name: str) -> None:
    for requirement in map(Requirement, DECLARED[name]):
        entries = LOCKS[name].get(canonicalize_name(requirement.name), [])
        assert entries, f"{requirement.name} is not in requirements/{name}: {RENEW}"
        wrong = [
            entry.version for entry in entries if not requirement.specifier.contains(entry.version, prereleases=True)
        ]
        assert wrong == [], f"{requirement.name} {wrong} in requirements/{name} is not {requirement.specifier}: {RENEW}"


@pytest.mark.parametrize("other", ["dev.txt", "docs.txt"])
def test_all_lock_files_have_the_same_versions_of_runtime_packages(other: str) -> None:
    for name, entries in LOCKS["run.txt"].items():
        assert {entry.version for entry in entries} == {entry.version for entry in LOCKS[other][name]}, (
            f"{name}: {RENEW}"
        )


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_each_package_has_at_most_one_version_per_python_and_system(python: str, system: str) -> None:
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)
    here = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": system}
    for entries in LOCKS["dev.txt"].values():
        fitting = [
            entry for entry in entries if entry.requirement.marker is None or entry.requirement.marker.evaluate(here)
        ]
        assert len(fitting) <= 1


NPM = sorted((ROOT / "requirements" / "npm").iterdir())


@pytest.mark.parametrize("directory", NPM, ids=lambda path: path.name)
def test_npm_packages_are_locked_with_hashes_and_without_urls(directory: Path) -> None:
    declared = json.loads((directory / "package.json").read_text(encoding="utf-8"))["dependencies"]
    lock = json.loads((directory / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert lock.pop("")["dependencies"] == declared, RENEW
    for name, wanted in declared.items():
        installed = lock[f"node_modules/{name}"]
        package, _, version = wanted.removeprefix("npm:").rpartition("@")  # "npm:" is for a package under another name
        assert installed["version"] == version, RENEW
        assert installed.get("name", name) == (package or name), RENEW
    for name, entry in lock.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name
