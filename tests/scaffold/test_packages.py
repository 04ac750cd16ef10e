"""Links to a project's packages, checked with the real compiler and the scaffolded tsconfig.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.loopback import Reply, Request, serve
from support.npm_registry import answers
from support.typescript import tsc

from ckfunc.base.errors import DependenciesFailed
from ckfunc.base.files import cache_dir, link_directory, link_target
from ckfunc.model.application import DEFAULT_PACKAGES
from ckfunc.runtime.install import install
from ckfunc.scaffold.packages import (
    Packages,
    all_packages,
    has_links,
    installed_packages,
    known_packages,
    link_packages,
    stale_links,
)
from ckfunc.scaffold.project import init
from ckfunc.scaffold.stubs import Schemas, Scope, write_stubs
from ckfunc.scaffold.writing import CannotWrite, FileAction

# One declares its types only in `exports`, one has a file per part, one includes none, and one has none anywhere.
DEPENDENCIES = {"got": "14.4.5", "date-fns": "2.30.0", "ms": "2.1.3"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    init(root, Schemas("{}"))
    return root


def package(directory: Path, name: str, **more: object) -> Path:
    directory.mkdir(parents=True)
    (directory / "package.json").write_text(json.dumps({"name": name, "version": "1.2.3", **more}))
    (directory / "index.js").write_text("module.exports = {};\n")
    return directory


def cached(tmp_path: Path, *names: str, runtime: str = "a" * 32) -> Packages:
    """Return packages in a cache, created without npm."""
    place = tmp_path / "cache" / "runtimes" / runtime / "node_modules"
    return Packages({name: package(place / name, name) for name in names})


def actions(project: Path, packages: Packages) -> dict[str, FileAction]:
    place = project / "node_modules"
    return {link.path.relative_to(place).as_posix(): link.action for link in link_packages(project, packages)}


@pytest.mark.slow
def test_types_of_packages_are_found_for_every_form_of_declaration(project: Path) -> None:
    packages = installed_packages(DEPENDENCIES, cache_dir())
    assert packages.missing is None
    link_packages(project, packages)
    write_stubs(project, Schemas("{}"), Scope(packages=tuple(DEPENDENCIES)))
    (project / "handlers" / "wrong.ts").write_text(
        """\
import got from "got";
import addDays from "date-fns/addDays";
import ms from "ms";
import axios from "axios";
import { stringify } from "qs";
import { UsersApi } from "chatkitty-platform-sdk";

export async function handleEvent() {
  const page: string = got("http://x");
  addDays("today");
  const time: string = ms("1 day");
  axios.nothing();
  stringify({}, { nothing: 1 });
  new UsersApi().nothing();
}
"""
    )
    lines = [line for line in tsc(project) if not line.startswith(" ")]
    assert [line.partition(",")[0] for line in lines] == [f"handlers/wrong.ts({line}" for line in range(9, 15)]
    assert known_packages(DEPENDENCIES, cache_dir()) == packages
    assert list(stale_links(project, packages)) == []


def test_packages_without_types_and_missing_packages_are_any(project: Path, tmp_path: Path) -> None:
    link_packages(project, cached(tmp_path, "pizza"))
    write_stubs(project, Schemas("{}"), Scope(packages=("pizza", "pasta")))
    (project / "handlers" / "eat.ts").write_text(
        'import pizza from "pizza";\nimport { boil } from "pasta/boil";\n'
        "export const handleEvent = () => [pizza.slice(1).crust, boil()];\n"
    )
    assert tsc(project) == []


def test_links_follow_the_packages_and_leave_packages_of_the_user_unchanged(project: Path, tmp_path: Path) -> None:
    own = package(project / "node_modules" / "own", "own")
    package(project / "node_modules" / "@mine" / "own", "@mine/own")
    elsewhere = package(tmp_path / "linked", "linked")
    link_directory(project / "node_modules" / "linked", elsewhere)
    first = cached(tmp_path, "a", "b", "@s/c", "own", "linked")
    assert list(stale_links(project, first)) == [project / "node_modules" / name for name in ("a", "b", "@s/c")]
    assert actions(project, first) == {
        "a": FileAction.CREATED,
        "b": FileAction.CREATED,
        "@s/c": FileAction.CREATED,
        "own": FileAction.KEPT,
        "linked": FileAction.KEPT,
    }
    assert set(actions(project, first).values()) == {FileAction.UNCHANGED, FileAction.KEPT}
    assert not (project / "node_modules" / ".gitignore").exists()  # the directory existed, so ckfunc did not create it

    second = cached(tmp_path, "a", "own", runtime="b" * 32)
    stale = [project / "node_modules" / name for name in ("a", "b", "@s/c")]
    assert list(stale_links(project, second)) == stale
    assert actions(project, second) == {
        "a": FileAction.OVERWRITTEN,
        "own": FileAction.KEPT,
        "b": FileAction.REMOVED,
        "@s/c": FileAction.REMOVED,
    }
    assert list(stale_links(project, second)) == []
    assert link_target(own) is None
    assert link_target(project / "node_modules" / "linked") == elsewhere


def test_a_created_node_modules_excludes_itself_from_git(project: Path, tmp_path: Path) -> None:
    assert not has_links(project)
    link_packages(project, cached(tmp_path, "a"))
    assert (project / "node_modules" / ".gitignore").read_text() == "*\n"
    assert has_links(project)


def test_a_node_modules_that_is_a_link_is_not_changed(project: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    link_directory(project / "node_modules", shared)
    packages = cached(tmp_path, "a")
    [kept] = link_packages(project, packages)
    assert kept.action is FileAction.KEPT
    assert list(stale_links(project, packages)) == []
    assert list(shared.iterdir()) == []


def test_links_into_a_removed_cache_are_replaced(project: Path, tmp_path: Path) -> None:
    gone = Packages({"a": tmp_path / "old" / "runtimes" / ("c" * 32) / "node_modules" / "a"})
    link_packages(project, gone)
    assert actions(project, cached(tmp_path, "a")) == {"a": FileAction.OVERWRITTEN}
    assert (project / "node_modules" / "a" / "index.js").is_file()


def test_a_file_in_place_of_node_modules_is_an_error(project: Path, tmp_path: Path) -> None:
    (project / "node_modules").write_text("not a directory")
    with pytest.raises(CannotWrite, match="cannot link packages into"):
        link_packages(project, cached(tmp_path, "a"))


def test_packages_that_cannot_be_installed_are_reported_and_links_are_unchanged(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link_packages(project, cached(tmp_path, "a"))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    packages = installed_packages({"a": "1"}, tmp_path / "empty")
    assert isinstance(packages.missing, DependenciesFailed)
    assert link_packages(project, packages) == ()
    assert has_links(project)
    assert known_packages({"a": "1"}, tmp_path / "empty") is None


def test_missing_types_of_a_package_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platforms = [
        {"name": default.name, "version": default.version.lstrip("^"), "types": "index.d.ts"}
        for default in DEFAULT_PACKAGES
    ]
    untyped = {"name": "pizza-untyped", "version": "1.0.0", "exports": {".": "./index.js"}}
    typed = {"name": "pizza-typed", "version": "1.0.0", "main": "lib"}
    answer = answers(*platforms, untyped, typed, files={"pizza-typed": {"lib.d.ts": "export {};\n"}})
    dependencies = {"pizza-untyped": "1.0.0", "pizza-typed": "1.0.0"}
    cache = tmp_path / "cache"
    refused = True

    def registry(request: Request) -> Reply:
        return Reply(401, {}) if refused and "@types" in request.path else answer(request)

    with serve(registry) as server:
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
        monkeypatch.setenv("npm_config_registry", server.url)
        install(all_packages(dependencies), cache)
        early = known_packages(dependencies, cache)
        assert early is not None
        assert "are not installed" in str(early.missing)
        without = installed_packages(dependencies, cache)
        assert "refused access" in str(without.missing)
        assert {"pizza-untyped", "pizza-typed"} <= without.targets.keys()

        refused = False
        packages = installed_packages(dependencies, cache)
        first = len(server.requests)
        assert packages.missing is None
        assert {"pizza-untyped", "pizza-typed"} <= packages.targets.keys()
        assert installed_packages(dependencies, cache) == known_packages(dependencies, cache) == packages
        asked = [request.path for request in server.requests if "@types" in request.path]
    assert any("pizza-untyped" in path for path in asked)
    assert not any("pizza-typed" in path for path in asked)
    assert len(server.requests) == first


def test_types_in_the_manifest_are_not_installed_again(tmp_path: Path) -> None:
    dependencies = {"ms": "2.1.3", "@types/ms": "0.7.34"}
    packages = installed_packages(dependencies, cache_dir())
    installed = json.loads((packages.targets["@types/ms"] / "package.json").read_text())
    assert installed["version"] == "0.7.34"
