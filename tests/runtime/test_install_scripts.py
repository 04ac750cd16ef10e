"""Install scripts of packages: allowed by the manifest, and run without secrets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.npm_registry import SCRIPTED, SCRIPTED_FILES, TINY, registry
from support.sampling import sampled

from ckfunc.base.errors import DependenciesFailed
from ckfunc.runtime.install import install, packages_of, skipped_scripts
from ckfunc.runtime.locks import resolve
from ckfunc.runtime.policy import InstallPolicy

NAME = "@acme/native"
WANTED = {NAME: "^1.0.0"}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home directory whose .npmrc the test writes."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("npm_config_userconfig", "npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    return home


def allowing(*names: str, dependencies=WANTED) -> InstallPolicy:
    return InstallPolicy(None, dependencies, names)


def test_an_allowed_script_runs_without_secrets(tmp_path, home, monkeypatch):
    for name in ("NPM_TOKEN", "NODE_AUTH_TOKEN", "SSH_AUTH_SOCK", "CHATKITTY_CLIENT_SECRET", "TOKEN_OF_NPMRC"):
        monkeypatch.setenv(name, "s3cret-of-mine")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:s3cret-of-mine@127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with registry(SCRIPTED, files={NAME: SCRIPTED_FILES}) as server:
        host = server.url.removeprefix("http:")
        (home / ".npmrc").write_text(
            f"registry={server.url}/\n{host}/:_authToken=${{TOKEN_OF_NPMRC}}\nignore-scripts=true\n"
        )
        directory = install(WANTED, tmp_path / "cache", policy=allowing(NAME))
    text = (directory / "node_modules" / NAME / "made.js").read_text()
    seen = json.loads(json.loads(text.removeprefix("module.exports = ")))
    assert "s3cret-of-mine" not in text
    assert not Path(seen["HOME"]).is_relative_to(home)
    assert seen["HTTPS_PROXY"] == "http://127.0.0.1:9"
    assert server.requests[-1].headers["authorization"] == "Bearer s3cret-of-mine"
    assert skipped_scripts(directory) == ()


@pytest.mark.slow
def test_an_allowed_script_runs_for_the_locked_version(tmp_path, home):
    with registry(SCRIPTED, files={NAME: SCRIPTED_FILES}) as server:
        (home / ".npmrc").write_text(f"registry={server.url}/\n")
        lock = resolve(WANTED, tmp_path / "cache", InstallPolicy())
        wanted = lock.resolved(WANTED)  # the versions that an emulator has after a deploy
        directory = install(wanted, tmp_path / "cache", policy=replace(allowing(NAME), lock=lock))
        other = install(wanted, tmp_path / "cache", policy=replace(allowing(NAME, dependencies={}), lock=lock))
    assert wanted == {NAME: "1.0.0"}
    assert (directory / "node_modules" / NAME / "made.js").exists()
    assert not (other / "node_modules" / NAME / "made.js").exists()


@pytest.mark.parametrize(
    "policy",
    sampled(
        [
            InstallPolicy(),
            allowing("@acme/other"),
            allowing(f"{NAME}@2.0.0"),
            allowing(NAME, dependencies={}),  # the package is requested through the API, not by the manifest
            allowing(NAME, dependencies={NAME: "^2.0.0"}),
        ]
    ),
)
def test_other_scripts_are_skipped_and_reported_with_the_line_to_add(tmp_path, home, policy):
    said = []
    with registry(SCRIPTED, files={NAME: SCRIPTED_FILES}) as server:
        (home / ".npmrc").write_text(f"registry={server.url}/\n")
        directory = install(WANTED, tmp_path / "cache", said.append, policy=policy)
    assert not (directory / "node_modules" / NAME / "made.js").exists()
    assert skipped_scripts(directory) == (NAME,)
    assert 'add `allow_scripts: ["@acme/native"]` under `runtime` in functions.yaml' in said[-1]


@pytest.mark.slow
def test_allowing_a_script_makes_another_installation(tmp_path, home):
    with registry(SCRIPTED, files={NAME: SCRIPTED_FILES}) as server:
        (home / ".npmrc").write_text(f"registry={server.url}/\n")
        without = install(WANTED, tmp_path / "cache")
        allowed = install(WANTED, tmp_path / "cache", policy=allowing(f"{NAME}@1.0.0"))
    assert without != allowed
    assert (allowed / "node_modules" / NAME / "made.js").is_file()


def test_scripts_that_registries_do_not_report_are_found(tmp_path):
    top = tmp_path / "node_modules"
    packages = {
        "gyp": ({}, True),
        "pre": ({"scripts": {"preinstall": "x"}}, False),
        "no-gyp": ({"gypfile": False}, True),
        "test-only": ({"scripts": {"test": "x", "prepare": "x"}}, False),
    }
    for name, (package, has_gyp) in packages.items():
        (top / name).mkdir(parents=True)
        (top / name / "package.json").write_text(json.dumps({"name": name, "version": "1.0.0", **package}))
        if has_gyp:
            (top / name / "binding.gyp").touch()
    listed = {f"node_modules/{name}": {"version": "1.0.0"} for name in packages}
    (top / ".package-lock.json").write_text(json.dumps({"packages": listed}))
    assert [package.name for package in packages_of(tmp_path) if package.has_script] == ["gyp", "pre"]


def test_a_failed_script_is_reported_with_its_reason(tmp_path, home):
    broken = {**SCRIPTED, "scripts": {"install": "node -e \"throw new Error('no compiler here')\""}}
    with registry(broken) as server:
        (home / ".npmrc").write_text(f"registry={server.url}/\n")
        with pytest.raises(DependenciesFailed, match=r"script of @acme/native failed: .*no compiler") as caught:
            install(WANTED, tmp_path / "cache", policy=allowing(NAME))
    assert "allow_scripts" in caught.value.hint


def test_a_file_missing_because_of_a_skipped_script_is_explained(tmp_path, home, play):
    source = "async function handleEvent() { return require('@acme/native'); }"
    user = {**TINY, "dependencies": WANTED}
    files = {NAME: SCRIPTED_FILES, "tiny": {"index.js": "module.exports = require('./gone.js');"}}
    with registry(SCRIPTED, user, files=files) as server:
        (home / ".npmrc").write_text(f"registry={server.url}/\n")
        options = {"cache": tmp_path / "cache", "dependencies": {**WANTED, "tiny": "1.2.3"}}
        outcome = play(lambda bench: bench.run(source), **options)
        other = play(lambda bench: bench.run(source.replace("@acme/native", "tiny")), **options)
    assert outcome.error.message == (
        "the package @acme/native has no file ./made.js: its install script did not run; "
        'add `allow_scripts: ["@acme/native"]` under `runtime` in functions.yaml to run it'
    )
    assert other.error.message == "the package tiny has no file ./gone.js"
