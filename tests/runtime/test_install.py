"""Installing packages: once per list, whole or not at all, with the user's registry, and failures in a sentence."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.loopback import Reply, Request, serve

from ckfunc.base.errors import DependenciesFailed
from ckfunc.runtime.install import install, is_installed, runtime_directory


def tarball(package: dict) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in {
            "package.json": json.dumps(package),
            "index.js": "module.exports = 'tiny';",
            **dict.fromkeys(package.get("files", ()), ""),
        }.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


@contextmanager
def registry(*packages: dict, status: int = 200):
    """A registry on loopback that has one version of each package."""
    files = {package["name"]: (package, tarball(package)) for package in packages}

    def answer(request: Request) -> Reply:
        if status != 200:
            return Reply(status, {"error": "refused"})
        name, _, file = request.path.strip("/").partition("/-/")
        if name not in files:
            return Reply(404, {"error": "not found"})
        package, data = files[name]
        if file:
            return Reply(200, data, {"content-type": "application/octet-stream"})
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
        version = package["version"]
        dist = {"tarball": f"{server.url}/{name}/-/{name}-{version}.tgz", "integrity": integrity}
        return Reply(
            200, {"name": name, "dist-tags": {"latest": version}, "versions": {version: {**package, "dist": dist}}}
        )

    with serve(answer) as server:
        yield server


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """An npm without the developer's configuration; returns how to point it at a registry."""
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
    monkeypatch.setenv("npm_config_userconfig", str(tmp_path / "npmrc"))
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY", "NODE_EXTRA_CA_CERTS"):
        monkeypatch.delenv(name, raising=False)

    def use(url: str, *more: str) -> None:
        (tmp_path / "npmrc").write_text("\n".join([f"registry={url}/", "fetch-retries=0", *more]))

    return use


TINY = {"name": "tiny", "version": "1.2.3", "main": "index.js"}


def test_packages_come_from_the_registry_in_the_users_npmrc_with_its_token(tmp_path, npm, monkeypatch):
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


def test_what_is_installed_needs_no_npm_again(tmp_path, npm):
    with registry(TINY) as server:
        npm(server.url)
        first = install({"tiny": "1.2.3"}, tmp_path)
        asked = len(server.requests)
        progress = []
        assert install({"tiny": "1.2.3"}, tmp_path, progress.append) == first
    assert len(server.requests) == asked
    assert progress == []


def test_the_directory_depends_on_the_list_and_not_on_its_order(tmp_path):
    one = runtime_directory({"a": "1", "b": "2"}, tmp_path)
    assert one == runtime_directory({"b": "2", "a": "1"}, tmp_path)
    assert one != runtime_directory({"a": "1", "b": "3"}, tmp_path)


def test_no_dependencies_need_no_npm(tmp_path):
    progress = []
    assert is_installed(install({}, tmp_path, progress.append))
    assert progress == []


def test_installs_at_once_make_one_directory(tmp_path, npm):
    with registry(TINY) as server:
        npm(server.url)
        with ThreadPoolExecutor(4) as threads:
            found = set(threads.map(lambda _: install({"tiny": "1.2.3"}, tmp_path), range(4)))
    assert len(found) == 1
    assert sum(request.path.endswith(".tgz") for request in server.requests) == 1


def test_an_install_that_was_killed_is_swept_up_and_done_again(tmp_path, npm):
    directory = runtime_directory({"tiny": "1.2.3"}, tmp_path)
    leftover = directory.with_name(f"{directory.name}.new-abc")
    (leftover / "node_modules").mkdir(parents=True)
    (directory / "node_modules" / "half").mkdir(parents=True)
    assert not is_installed(directory)
    with registry(TINY) as server:
        npm(server.url)
        install({"tiny": "1.2.3"}, tmp_path)
    assert is_installed(directory)
    assert not leftover.exists()
    assert not (directory / "node_modules" / "half").exists()


def test_a_packages_own_script_finds_the_node_that_runs_handlers_and_no_secret_of_the_developer(
    tmp_path, npm, monkeypatch
):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("DEVELOPER_SECRET", "hidden")
    code = "require('fs').writeFileSync('built.json', JSON.stringify([process.version, process.env.DEVELOPER_SECRET]))"
    package = {**TINY, "name": "built", "scripts": {"install": f'node -e "{code}"'}, "hasInstallScript": True}
    with registry(package) as server:
        npm(server.url)
        directory = install({"built": "1.2.3"}, tmp_path / "cache")
    version, secret = json.loads((directory / "node_modules" / "built" / "built.json").read_text())
    assert version.startswith("v24.")
    assert secret is None


@pytest.mark.parametrize(
    ("dependencies", "status", "message"),
    [
        ({"absent": "1.0.0"}, 200, "npm knows no package absent@1.0.0"),
        ({"tiny": "^9.0.0"}, 200, "npm has no version that matches tiny@^9.0.0"),
        ({"Not A Name": "1.0.0"}, 200, 'npm install failed: Invalid package name "Not A Name"'),
        ({"tiny": "1.2.3"}, 401, "the npm registry refused access (401)"),
        ({"tiny": "1.2.3"}, 500, "npm install failed: 500 Internal Server Error - GET the registry"),
    ],
)
def test_a_failure_is_one_sentence_with_a_hint_and_leaves_nothing(tmp_path, npm, dependencies, status, message):
    with registry(TINY, status=status) as server:
        npm(server.url)
        with pytest.raises(DependenciesFailed) as caught:
            install(dependencies, tmp_path / "cache")
    assert caught.value.message.startswith(message)
    assert "\n" not in caught.value.message
    assert server.url not in caught.value.message
    assert caught.value.hint
    assert [path.suffix for path in (tmp_path / "cache" / "runtimes").iterdir()] == [".lock"]


def test_being_offline_is_said_as_such(tmp_path, npm):
    npm("http://127.0.0.1:9")
    with pytest.raises(DependenciesFailed, match=r"npm could not reach its registry \(ECONNREFUSED\)"):
        install({"tiny": "1.2.3"}, tmp_path / "cache")


def test_packages_of_which_a_file_could_not_be_unpacked_are_not_installed(tmp_path, npm):
    # A name that no file system takes stands for a disk that is full: to npm both are warnings.
    with registry({**TINY, "files": ["x" * 300]}) as server:
        npm(server.url)
        with pytest.raises(DependenciesFailed, match="npm could not unpack the packages: ENAMETOOLONG") as caught:
            install({"tiny": "1.2.3"}, tmp_path / "cache")
    assert caught.value.hint
    assert [path.suffix for path in (tmp_path / "cache" / "runtimes").iterdir()] == [".lock"]


def test_packages_that_do_not_fit_together_are_said_to_be(tmp_path, npm):
    picky = {"name": "picky", "version": "1.0.0", "peerDependencies": {"tiny": "^2.0.0"}}
    with registry(TINY, picky) as server:
        npm(server.url)
        with pytest.raises(DependenciesFailed, match=r'fit together: peer tiny@"\^2\.0\.0" from picky@1\.0\.0$'):
            install({"tiny": "1.2.3", "picky": "1.0.0"}, tmp_path / "cache")


def test_the_cache_may_be_named_by_a_relative_path(tmp_path, npm, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert install({}, Path("cache")).is_absolute()
