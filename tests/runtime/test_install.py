"""Installation of packages: cached, atomic, with the user's npm settings."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest
from support.npm_registry import TINY, registry
from support.sampling import sampled

from ckfunc.base.errors import DependenciesFailed
from ckfunc.base.files import locked
from ckfunc.runtime.install import install, is_installed, runtime_directory


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Isolate npm from the developer's configuration, and return a function that selects a registry."""
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
    monkeypatch.setenv("npm_config_userconfig", str(tmp_path / "npmrc"))
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY", "NODE_EXTRA_CA_CERTS"):
        monkeypatch.delenv(name, raising=False)

    def use(url: str, *more: str) -> None:
        (tmp_path / "npmrc").write_text("\n".join([f"registry={url}/", "fetch-retries=0", *more]))

    return use


def test_packages_come_from_the_registry_in_npmrc_with_its_token(tmp_path, npm, monkeypatch):
    monkeypatch.setenv("COMPANY_TOKEN", "t0ken")
    progress = []
    with registry(TINY) as server:
        host = server.url.removeprefix("http:")
        npm(server.url, f"{host}/:_authToken=${{COMPANY_TOKEN}}")
        directory = install({"tiny": "^1.0.0"}, tmp_path / "cache", progress.append)
    assert (directory / "node_modules" / "tiny" / "index.js").read_text() == "module.exports = 'tiny';"
    assert {request.headers.get("authorization") for request in server.requests} == {"Bearer t0ken"}
    assert progress[0] == "installing 1 package with npm"
    assert progress[1].startswith("installed 1 package in ")


def test_an_existing_installation_is_reused_without_npm(tmp_path, npm):
    with registry(TINY) as server:
        npm(server.url)
        first = install({"tiny": "1.2.3"}, tmp_path)
        asked = len(server.requests)
        progress = []
        assert install({"tiny": "1.2.3"}, tmp_path, progress.append) == first
    assert len(server.requests) == asked
    assert progress == []


def test_the_directory_does_not_depend_on_the_order_of_packages(tmp_path):
    directory = runtime_directory({"a": "1", "b": "2"}, tmp_path)
    assert directory == runtime_directory({"b": "2", "a": "1"}, tmp_path)
    assert directory != runtime_directory({"a": "1", "b": "3"}, tmp_path)


def test_an_empty_list_is_installed_without_npm(tmp_path):
    progress = []
    assert is_installed(install({}, tmp_path, progress.append))
    assert progress == []


def test_waiting_for_another_install_is_reported_once(tmp_path):
    directory = runtime_directory({}, tmp_path)
    progress = SimpleQueue()
    with ThreadPoolExecutor(1) as thread:
        with locked(directory.with_name(f"{directory.name}.lock")):
            installing = thread.submit(install, {}, tmp_path, progress.put)
            told = progress.get(timeout=30)
        assert installing.result(30) == directory
    assert told == "waiting for another process that installs these packages"
    assert progress.empty()


def test_concurrent_installs_share_one_directory(tmp_path, npm):
    with registry(TINY) as server:
        npm(server.url)
        with ThreadPoolExecutor(4) as threads:
            found = set(threads.map(lambda _: install({"tiny": "1.2.3"}, tmp_path), range(4)))
    assert len(found) == 1
    assert sum(request.path.endswith(".tgz") for request in server.requests) == 1


@pytest.mark.parametrize(
    "setting",
    [
        "dry-run",
        "omit",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("ignore-scripts", "package-lock-only", "install-strategy")
        ),
    ],
)
def test_npm_settings_that_would_omit_packages_are_ignored(tmp_path, npm, monkeypatch, setting):
    value = {"omit": "peer", "install-strategy": "linked"}.get(setting, "true")
    monkeypatch.setenv(f"npm_config_{setting.replace('-', '_')}", value)
    with registry(TINY, {**TINY, "name": "user", "dependencies": {"tiny": "1"}}) as server:
        npm(server.url, f"{setting}={value}")
        directory = install({"user": "1.2.3"}, tmp_path / "cache")
    assert (directory / "node_modules" / "tiny" / "index.js").is_file()
    assert not (directory / "node_modules" / "user").is_symlink()


@pytest.mark.parametrize(
    "damage",
    ["cut short", "marker", *(pytest.param(name, marks=pytest.mark.slow) for name in ("deleted", "directory"))],
)
def test_a_damaged_installation_is_repaired(tmp_path, npm, damage):
    with registry(TINY) as server:
        npm(server.url)
        directory = install({"tiny": "1.2.3"}, tmp_path / "cache")
        file = directory / "node_modules" / "tiny" / "index.js"
        if damage == "deleted":
            file.unlink()
        elif damage == "cut short":
            file.write_text("module")
        elif damage == "marker":
            (directory / ".ckfunc-installed").write_text("")
        else:
            file.parent.rename(directory / "elsewhere")
        assert not is_installed(directory)
        assert install({"tiny": "1.2.3"}, tmp_path / "cache") == directory
    assert file.read_text() == "module.exports = 'tiny';"
    assert is_installed(directory)


def test_the_installation_depends_on_the_registry_and_not_on_the_token(tmp_path, npm):
    def directory(*lines: str) -> Path:
        npm("http://127.0.0.1:9", *lines)
        return runtime_directory({"tiny": "1.2.3"}, tmp_path)

    plain = directory()
    assert directory("//127.0.0.1:9/:_authToken=other") == plain
    assert directory("@acme:registry=http://127.0.0.1:8/") != plain
    assert directory("legacy-peer-deps=true") != plain
    assert directory("registry=http://127.0.0.1:8/") != plain
    assert directory("registry=http://me:secret@127.0.0.1:9/") == plain


def test_a_tool_with_another_integrity_hash_is_refused(tmp_path, npm):
    with registry(TINY) as server:
        npm(server.url)
        with pytest.raises(DependenciesFailed, match=r"contents of tiny@1\.2\.3 differ") as caught:
            install({"tiny": "1.2.3"}, tmp_path / "cache", integrity={"tiny@1.2.3": "sha512-other"})
    assert caught.value.hint


def test_a_killed_install_is_cleaned_up_and_repeated(tmp_path, npm):
    with registry(TINY) as server:
        npm(server.url)
        directory = runtime_directory({"tiny": "1.2.3"}, tmp_path)
        leftover = directory.with_name(f"{directory.name}.new-abc")
        (leftover / "node_modules").mkdir(parents=True)
        (directory / "node_modules" / "half").mkdir(parents=True)
        assert not is_installed(directory)
        install({"tiny": "1.2.3"}, tmp_path)
    assert is_installed(directory)
    assert not leftover.exists()
    assert not (directory / "node_modules" / "half").exists()


@pytest.mark.parametrize(
    ("dependencies", "status", "message"),
    sampled(
        [
            ({"absent": "1.0.0"}, 200, "npm found no package absent@1.0.0"),
            ({"tiny": "^9.0.0"}, 200, "npm has no version that matches tiny@^9.0.0"),
            ({"@acme/absent": "1.0.0"}, 200, "npm found no package @acme/absent@1.0.0"),
            ({"Not A Name": "1.0.0"}, 200, "Not A Name@1.0.0 is not a package of a registry"),
            ({"tiny": "http://127.0.0.1:9/x"}, 200, "tiny@http://127.0.0.1:9/x is not a package of a registry"),
            ({"tiny": "x.TGZ"}, 200, "tiny@x.TGZ is not a package of a registry"),
            ({"tiny": "1.2.3"}, 401, "the npm registry refused access"),
            ({"tiny": "1.2.3"}, 500, "npm install failed: 500 Internal Server Error - GET the registry"),
        ]
    ),
)
def test_a_failure_is_one_sentence_with_a_hint_and_leaves_no_files(tmp_path, npm, dependencies, status, message):
    with registry(TINY, status=status) as server:
        npm(server.url)
        with pytest.raises(DependenciesFailed) as caught:
            install(dependencies, tmp_path / "cache")
    assert caught.value.message.startswith(message)
    assert "\n" not in caught.value.message
    assert server.url not in caught.value.message
    assert caught.value.hint
    assert {path.suffix for path in (tmp_path / "cache" / "runtimes").iterdir()} == {".lock", ".used"}


def test_an_unreachable_registry_is_reported(tmp_path, npm):
    npm("http://127.0.0.1:9")
    with pytest.raises(DependenciesFailed, match=r"npm could not reach its registry \(ECONNREFUSED\)"):
        install({"tiny": "1.2.3"}, tmp_path / "cache")


def test_a_registry_that_never_answers_is_reported_and_ends_the_installation(tmp_path, npm, monkeypatch):
    monkeypatch.setattr("ckfunc.runtime.npm._SILENT_S", 0.3)
    progress = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        npm(url, "fetch-timeout=1500")
        with pytest.raises(DependenciesFailed, match=f"npm got no answer in time from {url} ") as caught:
            install({"tiny": "1.2.3"}, tmp_path / "cache", progress.append)
    assert "fetch-timeout" in caught.value.hint
    assert progress == ["installing 1 package with npm", f"npm is waiting for {url}"]


def test_a_proxy_that_never_answers_ends_the_installation(tmp_path, npm, monkeypatch):
    monkeypatch.setattr("ckfunc.runtime.npm._SILENT_S", 1)
    npm("https://registry.example.invalid", "fetch-timeout=100")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(DependenciesFailed, match=r"no answer in time from https://registry\.example\.invalid"):
            install({"tiny": "1.2.3"}, tmp_path / "cache")


def test_an_unpacking_error_fails_the_installation(tmp_path, npm):
    # A file name that is too long simulates a full disk, because npm only warns about either.
    with registry({**TINY, "files": ["x" * 300]}) as server:
        npm(server.url)
        with pytest.raises(DependenciesFailed, match="npm could not unpack the packages: ENAMETOOLONG") as caught:
            install({"tiny": "1.2.3"}, tmp_path / "cache")
    assert caught.value.hint
    assert {path.suffix for path in (tmp_path / "cache" / "runtimes").iterdir()} == {".lock", ".used"}


def test_conflicting_packages_are_reported(tmp_path, npm):
    picky = {"name": "picky", "version": "1.0.0", "peerDependencies": {"tiny": "^2.0.0"}}
    with registry(TINY, picky) as server:
        npm(server.url)
        with pytest.raises(
            DependenciesFailed, match=r'install these packages together: peer tiny@"\^2\.0\.0" from picky@1\.0\.0$'
        ):
            install({"tiny": "1.2.3", "picky": "1.0.0"}, tmp_path / "cache")


def test_the_cache_may_be_a_relative_path(tmp_path, npm, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert install({}, Path("cache")).is_absolute()
