"""`ckfunc lock`: exact package versions in git, used by every command that installs or deploys."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Ckfunc, written
from support.commands import Command
from support.npm_registry import Serve, own_npm, package

from ckfunc.cli.main import run
from ckfunc.model.application import DEFAULT_PACKAGES

TYPE = "user.attempted.start_session"
HANDLER = """\
const tiny = require("tiny");

function handleEvent() {
  return [tiny.version, tiny.inner];
}
"""
CASES = f"""\
type: {TYPE}
cases:
  - name: it runs with the locked packages
    sample: true
    expect: {{result: ["1.0.0", "1.0.0"]}}
"""
SHOWS_VERSIONS = "exports.version = require('./package.json').version; exports.inner = require('inner').version;"


def tiny(version: str, inner: str = "^1.0.0") -> dict[str, Any]:
    return package("tiny", version, dependencies={"inner": inner})


PLATFORM = [package(default.name, default.version.removeprefix("^")) for default in DEFAULT_PACKAGES]
NATIVE = [package(f"@native/{system}", "1.0.0", os=[system]) for system in ("linux", "darwin", "win32")]
FIRST = (
    *PLATFORM,
    package("inner", "1.0.0"),
    tiny("1.0.0"),
    package("native", "1.0.0", optionalDependencies={native["name"]: "1.0.0" for native in NATIVE}),
    *NATIVE,
)
LATER = (*FIRST, package("inner", "1.1.0"), tiny("1.1.0"), package("extra", "2.0.0"))
FILES = {
    "tiny": {"index.js": SHOWS_VERSIONS},
    "inner": {"index.js": "exports.version = require('./package.json').version;"},
    "chatkitty-platform-sdk": {"index.js": "exports.ChatKitty = class {};"},
}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return a function that replaces npm's registry with one that serves the given packages."""
    with own_npm(tmp_path, FILES) as use:
        yield use


@pytest.fixture
def chat(tmp_path: Path, serve: Serve) -> Path:
    """A project with a package that requires another one, and a registry that has only their first versions."""
    serve(*FIRST)
    return written(tmp_path / "chat", {"functions.yaml": manifest("tiny: ^1.0.0"), "handlers/start.js": HANDLER})


@pytest.fixture(scope="module")
def first_lock(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The lock of the project, resolved once."""
    place = tmp_path_factory.mktemp("lock")
    root = written(place / "chat", {"functions.yaml": manifest("tiny: ^1.0.0")})
    with own_npm(place, FILES) as use:
        use(*FIRST)
        assert run(["-C", str(root), "lock"]) == 0
    return (root / "functions.lock").read_text()


@pytest.fixture
def locked_chat(chat: Path, first_lock: str) -> Path:
    """The project with a lock of the first versions."""
    (chat / "functions.lock").write_text(first_lock)
    return chat


def manifest(*dependencies: str) -> str:
    lines = ["version: 1", "default_target: local", "targets: {local: {emulator: true}}", "runtime:"]
    lines += ["  dependencies:", *(f"    {dependency}" for dependency in dependencies)]
    return "\n".join([*lines, "functions:", f"  {TYPE}: {{handler: handlers/start.js}}", ""])


def locked(root: Path) -> dict[str, str]:
    """Return the version of each package in the lock, by place in the tree."""
    packages = json.loads((root / "functions.lock").read_text())["packages"]
    return {path.removeprefix("node_modules/"): entry["version"] for path, entry in packages.items()}


def deployed(ckfunc: Ckfunc, root: Path) -> dict[str, str]:
    """Return the packages of the application, except the platform's own."""
    runtime = json.loads(ckfunc("-C", root, "api", "GET", "/v1/runtimes/nodejs", "--json").out)
    return {
        dependency["name"]: dependency["version"]
        for dependency in runtime["dependencies"]
        if not dependency.get("defaultDependency")
    }


def tree_of(directory: Path) -> str:
    """Return a digest of the paths and contents of all files below a directory."""
    found = hashlib.sha256()
    for file in sorted(path for path in directory.rglob("*") if path.is_file()):
        if file.name != ".package-lock.json":  # contains the registry's URL
            found.update(f"{file.relative_to(directory).as_posix()}\0".encode() + file.read_bytes())
    return found.hexdigest()


def test_a_lock_lists_every_package_with_its_checksum_and_no_url(ckfunc: Ckfunc, chat: Path) -> None:
    ran = ckfunc("-C", chat, "lock")
    assert ran.code == 0, ran.err
    assert "+ inner 1.0.0\n" in ran.out and "+ tiny 1.0.0\n" in ran.out
    assert ran.err == "wrote functions.lock: 6 packages\n"
    text = (chat / "functions.lock").read_text()
    assert locked(chat) == {
        **{default["name"]: default["version"] for default in PLATFORM},
        "inner": "1.0.0",
        "tiny": "1.0.0",
    }
    assert text.count('"integrity": "sha512-') == 6
    assert "127.0.0.1" not in text and "http" not in text


def test_every_command_uses_the_locked_versions(ckfunc: Ckfunc, locked_chat: Path, serve: Serve) -> None:
    (locked_chat / "tests").mkdir()
    (locked_chat / "tests/start.yaml").write_text(CASES)
    serve(*LATER)  # the versions that would run without the lock
    assert ckfunc("-C", locked_chat, "check").code == 0
    invoked = ckfunc("-C", locked_chat, "invoke", TYPE)
    assert invoked.code == 0, invoked.out + invoked.err
    assert '["1.0.0", "1.0.0"]' in invoked.out
    tested = ckfunc("-C", locked_chat, "test")
    assert tested.code == 0, tested.out
    deploy = ckfunc("-C", locked_chat, "deploy", "--gate", "check,test")
    assert deploy.code == 0, deploy.err
    assert deployed(ckfunc, locked_chat) == {"tiny": "1.0.0"}
    assert "No changes" in ckfunc("-C", locked_chat, "diff").out
    ckfunc("-C", locked_chat, "trigger", TYPE, "--data", '{"username": "jane"}')
    assert json.loads(ckfunc("-C", locked_chat, "logs", "--json").out)["result"]["payload"] == ["1.0.0", "1.0.0"]
    installations = list((locked_chat.parent / "cache/runtimes").glob("*/node_modules/tiny"))
    assert len(installations) == 1
    (locked_chat / "functions.lock").unlink()
    assert '["1.1.0", "1.1.0"]' in ckfunc("-C", locked_chat, "invoke", TYPE).out


def test_locking_changes_a_deploy_from_ranges_to_exact_versions(ckfunc: Ckfunc, chat: Path) -> None:
    assert ckfunc("-C", chat, "deploy").code == 0
    assert deployed(ckfunc, chat) == {"tiny": "^1.0.0"}
    assert ckfunc("-C", chat, "lock").code == 0
    difference = ckfunc("-C", chat, "diff")
    assert "~ dependency tiny  ^1.0.0 → 1.0.0" in difference.out
    assert ckfunc("-C", chat, "deploy").code == 0
    assert deployed(ckfunc, chat) == {"tiny": "1.0.0"}
    assert ckfunc("-C", chat, "undo", "--yes").code == 0
    assert deployed(ckfunc, chat) == {"tiny": "^1.0.0"}


@pytest.mark.slow
def test_versions_change_only_with_an_upgrade(ckfunc: Ckfunc, locked_chat: Path, serve: Serve) -> None:
    serve(*LATER)
    same = ckfunc("-C", locked_chat, "lock")
    assert (same.out, same.err) == ("", "functions.lock is up to date: 6 packages\n")
    (locked_chat / "functions.yaml").write_text(manifest("tiny: ^1.0.0", "extra: 2.x"))
    assert ckfunc("-C", locked_chat, "lock").out == "+ extra 2.0.0\n"
    assert ckfunc("-C", locked_chat, "lock", "--upgrade", "inner").out == "~ inner 1.0.0 → 1.1.0\n"
    upgraded = ckfunc("-C", locked_chat, "lock", "--upgrade", "--json")
    assert json.loads(upgraded.out) == {
        "file": "functions.lock",
        "written": True,
        "packages": 7,
        "changes": [{"name": "tiny", "before": ["1.0.0"], "after": ["1.1.0"]}],
    }
    (locked_chat / "functions.yaml").write_text(manifest("tiny: ^1.1.0"))
    assert ckfunc("-C", locked_chat, "lock").out == "- extra 2.0.0\n"
    ranges = ckfunc("-C", locked_chat, "lock")
    assert (ranges.out, ranges.err) == ("", "functions.lock is up to date: 6 packages\n")


@pytest.mark.parametrize(
    ("dependencies", "problem"),
    [
        (["tiny: ^1.0.0", "extra: 2.x"], "functions.yaml:7:5: extra 2.x is not in functions.lock"),
        (["tiny: ~1.0.0"], "functions.yaml:6:5: tiny ~1.0.0 is not in functions.lock, which has ^1.0.0"),
        (["other: 1.x"], "functions.yaml:5:3: functions.lock has tiny, which is not a dependency any more"),
    ],
)
def test_an_outdated_lock_is_an_error_before_anything_is_sent(
    ckfunc: Ckfunc, locked_chat: Path, dependencies: list[str], problem: str
) -> None:
    (locked_chat / "functions.yaml").write_text(manifest(*dependencies))
    checked = ckfunc("-C", locked_chat, "check")
    assert checked.code == 1
    assert f"{problem} (run `ckfunc lock`) (lock)\n" in checked.out
    assert "until functions.lock is up to date" in checked.err
    for arguments in (["deploy"], ["diff"], ["invoke", TYPE], ["test"], ["lock", "--check"]):
        refused = ckfunc("-C", locked_chat, *arguments)
        assert refused.code == 1, arguments
        assert refused.err.startswith("error: functions.lock is not up to date\n")
        assert f"  {problem} (run `ckfunc lock`)\n" in refused.err
    (locked_chat / "functions.yaml").write_text(manifest("tiny: ^1.0.0"))
    assert deployed(ckfunc, locked_chat) == {}
    assert ckfunc("-C", locked_chat, "lock", "--check").code == 0


@pytest.mark.slow
def test_two_machines_with_one_lock_install_the_same_tree(
    ckfunc: Ckfunc, chat: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (chat / "functions.yaml").write_text(manifest("tiny: ^1.0.0", "native: 1.x"))
    assert ckfunc("-C", chat, "lock").code == 0
    trees = []
    for number, packages in enumerate((FIRST, LATER)):
        copy = shutil.copytree(chat, tmp_path / f"machine-{number}")
        serve(*packages)
        monkeypatch.setenv("CKFUNC_CACHE_DIR", str(tmp_path / f"cache-{number}"))
        monkeypatch.setenv("npm_config_cache", str(tmp_path / f"npm-{number}"))
        assert ckfunc("-C", copy, "invoke", TYPE).code == 0
        (installed,) = (tmp_path / f"cache-{number}").glob("runtimes/*/node_modules/tiny")
        trees.append(tree_of(installed.parent))
        assert sorted(path.name for path in (installed.parent / "@native").iterdir()) == ["linux"]
    assert trees[0] == trees[1]


@pytest.mark.slow
def test_the_lock_contains_packages_for_other_systems(
    ckfunc: Ckfunc, chat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (chat / "functions.yaml").write_text(manifest("native: 1.x"))
    assert ckfunc("-C", chat, "lock").code == 0
    here = (chat / "functions.lock").read_bytes()
    assert {name for name in locked(chat) if name.startswith("@native/")} == {native["name"] for native in NATIVE}
    assert ckfunc("-C", chat, "invoke", TYPE).code == 1  # installs the lock; the handler imports another package
    (chat / "functions.lock").unlink()
    monkeypatch.setenv("npm_config_os", "darwin")
    assert ckfunc("-C", chat, "lock").code == 0
    assert (chat / "functions.lock").read_bytes() == here


@pytest.mark.slow
def test_package_contents_that_differ_from_the_lock_are_refused(
    ckfunc: Ckfunc, locked_chat: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FILES, "inner", {"index.js": "exports.version = 'stolen';"})
    serve(*FIRST)
    ran = ckfunc("-C", locked_chat, "invoke", TYPE)
    assert ran.code == 1
    assert "the registry's contents of inner@1.0.0 differ from functions.lock (EINTEGRITY)" in ran.out


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda _: "{", "functions.lock:1:2: the file is not JSON (restore it from git"),
        (lambda text: f"<<<<<<< ours\n{text}", "functions.lock: the file has merge conflicts (take one side"),
        (lambda text: text.replace('"version": 1,', f'"version": {"1" * 5000},', 1), "the file is not a lock"),
        (lambda text: text.replace('"^1.0.0"', '"\\ud800"', 1), "the file is not a lock (restore it from git"),
        (lambda text: text.replace('"version": 1,', '"version": 9,', 1), "is not a lock of this version of ckfunc"),
        (lambda text: text.replace("sha512-", "md5-"), "the file has no integrity of axios, which does not come from"),
        (lambda text: text.replace("node_modules/inner", "node_modules/outer"), "has no inner, which tiny requires"),
        (lambda text: text.replace("node_modules/inner", "node_modules/../inner"), "that is no package"),
        (
            lambda text: text.replace('"version": "6.9.4"', '"version": "6.9.4", "bin": {"../../x": "y"}'),
            "the file has a program of qs outside of its directory",
        ),
        (lambda text: text.replace('"^1.0.0"', '"file:../inner"'), "the file has no version range of tiny"),
        (
            lambda text: text.replace('"inner": "^1.0.0"', '"inner": "file:../inner"'),
            "has a requirement of tiny that is not in a registry: inner",
        ),
    ],
)
def test_a_damaged_lock_is_refused_with_its_location(
    ckfunc: Ckfunc, locked_chat: Path, damage: Callable[[str], str], said: str
) -> None:
    lock = locked_chat / "functions.lock"
    lock.write_text(damage(lock.read_text()))
    for arguments in (["check"], ["lock", "--check"], ["lock"], ["deploy"]):
        ran = ckfunc("-C", locked_chat, *arguments)
        assert ran.code == 1
        assert said in ran.out + ran.err


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b""])
def test_an_upgrade_replaces_a_damaged_lock(ckfunc: Ckfunc, locked_chat: Path, content: bytes) -> None:
    lock = locked_chat / "functions.lock"
    before = lock.read_bytes()
    lock.write_bytes(content)
    refused = ckfunc("-C", locked_chat, "lock")
    assert refused.code == 1 and "replace it with `ckfunc lock --upgrade`" in refused.err
    assert ckfunc("-C", locked_chat, "lock", "--upgrade", "tiny").code == 1
    replaced = ckfunc("-C", locked_chat, "lock", "--upgrade")
    assert (replaced.code, lock.read_bytes()) == (0, before)
    assert "wrote functions.lock: 6 packages" in replaced.err


@pytest.mark.slow
def test_incompatible_versions_are_refused_with_the_command_to_fix_them(
    ckfunc: Ckfunc, locked_chat: Path, serve: Serve
) -> None:
    lock = locked_chat / "functions.lock"
    text = lock.read_text()
    lock.write_text(text.replace('"inner": "^1.0.0"', '"inner": "^1.1.0"'))
    ran = ckfunc("-C", locked_chat, "invoke", TYPE)
    assert "no version that matches inner@^1.1.0 (`ckfunc lock --upgrade` locks versions that the registry" in ran.out
    serve(*LATER)
    ran = ckfunc("-C", locked_chat, "invoke", TYPE)
    assert ran.code == 1
    assert (
        "functions.lock does not have the versions that its packages require (run `ckfunc lock --upgrade`)" in ran.out
    )
    assert ckfunc("-C", locked_chat, "lock", "--upgrade").code == 0
    assert ckfunc("-C", locked_chat, "invoke", TYPE).code == 0


def test_urls_in_a_lock_are_never_passed_to_npm(ckfunc: Ckfunc, locked_chat: Path) -> None:
    document = json.loads((locked_chat / "functions.lock").read_text())
    for entry in document["packages"].values():
        entry["resolved"] = "http://127.0.0.1:9/elsewhere.tgz"
    (locked_chat / "functions.lock").write_text(json.dumps(document))
    assert ckfunc("-C", locked_chat, "invoke", TYPE).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["lock", "tiny"], 2, "package names can only be given with --upgrade"),
        (["lock", "--check", "--upgrade"], 2, "--check and --upgrade can't be used together"),
        (["lock", "--upgrade", "tinny"], 2, "did you mean tiny?"),
        (["lock", "--check"], 0, "functions.lock is up to date: 6 packages"),
    ],
)
def test_invalid_arguments_are_explained(
    ckfunc: Ckfunc, locked_chat: Path, arguments: list[str], code: int, said: str
) -> None:
    ran = ckfunc("-C", locked_chat, *arguments)
    assert ran.code == code
    assert said in ran.err


def test_a_missing_lock_and_missing_dependencies_are_explained(ckfunc: Ckfunc, chat: Path) -> None:
    missing = ckfunc("-C", chat, "lock", "--check")
    assert missing.code == 1 and "functions.lock: the file is missing (run `ckfunc lock`)" in missing.err
    as_data = ckfunc("-C", chat, "lock", "--check", "--json")
    assert as_data.code == 1 and json.loads(as_data.out)["current"] is False
    assert ckfunc("-C", chat, "lock").code == 0
    (chat / "functions.yaml").write_text(f"version: 1\nfunctions:\n  {TYPE}: {{handler: handlers/start.js}}\n")
    unmanaged = ckfunc("-C", chat, "lock")
    assert unmanaged.code == 1 and "does not manage the packages of the runtime" in unmanaged.err
    assert "functions.yaml:1:1: the project has a functions.lock" in ckfunc("-C", chat, "check").out
    assert "functions.yaml:1:1: the project has a functions.lock" in ckfunc("-C", chat, "lock", "--check").err
    (chat / "functions.lock").unlink()
    unmanaged = ckfunc("-C", chat, "lock", "--check")
    assert unmanaged.code == 1 and "does not manage the packages of the runtime" in unmanaged.err


@pytest.mark.slow
def test_missing_packages_and_an_unreachable_registry_are_explained(ckfunc: Ckfunc, chat: Path) -> None:
    (chat / "functions.yaml").write_text(manifest("tiny: ^7.0.0"))
    ran = ckfunc("-C", chat, "lock")
    assert ran.code == 1 and "error: npm has no version that matches tiny@^7.0.0" in ran.err
    (chat.parent / "npmrc").write_text("registry=http://127.0.0.1:9/\nfetch-retries=0\n")
    ran = ckfunc("-C", chat, "lock")
    assert ran.code == 1 and "error: npm could not reach its registry" in ran.err
    assert not (chat / "functions.lock").exists()


@pytest.mark.parametrize("with_a_lock", [False, True])
def test_a_deploy_uses_the_registry_in_the_npmrc_of_the_project(
    ckfunc: Ckfunc, chat: Path, serve: Serve, with_a_lock: bool
) -> None:
    private = serve(package("@acme/tool", "1.0.0"))
    serve(*FIRST)
    (chat / ".npmrc").write_text(f"@acme:registry={private.url}/\n")
    (chat / "functions.yaml").write_text(manifest("tiny: ^1.0.0", '"@acme/tool": 1.x'))
    if with_a_lock:
        assert ckfunc("-C", chat, "lock").code == 0
    deploy = ckfunc("-C", chat, "deploy")
    assert deploy.code == 0, deploy.err
    assert deployed(ckfunc, chat)["@acme/tool"] == ("1.0.0" if with_a_lock else "1.x")
    assert "warning" not in deploy.err


@pytest.mark.slow
def test_a_watch_reports_an_outdated_lock_and_deploys_after_it_is_updated(
    ckfunc: Ckfunc, locked_chat: Path, serve: Serve
) -> None:
    serve(*LATER)
    with Command("-C", locked_chat, "watch", "--no-logs") as watch:
        watch.until("created")
        (locked_chat / "functions.yaml").write_text(manifest("tiny: ^1.0.0", "extra: 2.x"))
        watch.until("functions.yaml:7:5: extra 2.x is not in functions.lock")
        assert deployed(ckfunc, locked_chat) == {"tiny": "1.0.0"}
        assert ckfunc("-C", locked_chat, "lock").code == 0
        watch.until("extra")
        assert watch.interrupt() == 130
    assert deployed(ckfunc, locked_chat) == {"tiny": "1.0.0", "extra": "2.0.0"}


@pytest.mark.slow
def test_platform_specific_packages_are_locked_for_all_systems(ckfunc: Ckfunc, tmp_path: Path) -> None:
    source = (
        "require('fs').readdirSync(require('path').dirname(require.resolve('esbuild/package.json')) + '/../@esbuild')"
    )
    files = {
        "functions.yaml": manifest("esbuild: 0.25.12", '"@isaacs/cliui": 8.0.2'),
        "handlers/start.js": f"require('@isaacs/cliui');\nfunction handleEvent() {{ return {source}; }}\n",
    }
    root = written(tmp_path, files)
    assert ckfunc("-C", root, "lock").code == 0
    places = locked(root)
    assert {"@esbuild/linux-x64", "@esbuild/win32-x64", "@esbuild/darwin-arm64"} <= set(places)
    assert places["string-width-cjs"] == "4.2.3"  # an alias
    ran = ckfunc("-C", root, "invoke", TYPE, "--json")
    assert ran.code == 0, ran.out
    (only,) = json.loads(ran.out)["result"]["payload"]
    assert f"@esbuild/{only}" in places


def test_package_names_in_the_lock_are_completed(
    ckfunc: Ckfunc, locked_chat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(locked_chat)
    monkeypatch.setenv("_CKFUNC_COMPLETE", "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", "ckfunc lock --upgrade ti")
    monkeypatch.setenv("COMP_CWORD", "3")
    assert "tiny" in ckfunc().out.split()
