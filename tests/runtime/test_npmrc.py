"""Settings of npm: precedence of files, and settings that are ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckfunc.base.secrets import revealed
from ckfunc.runtime.policy import NpmrcProblem, npm_settings


@pytest.fixture
def place(tmp_path):
    """Write .npmrc files, and read the settings of the project."""
    project, home = tmp_path / "repository" / "project", tmp_path / "home"
    for directory in (project, home, tmp_path / "repository" / ".git"):
        directory.mkdir(parents=True)

    def read(mine: str = "", users: str = "", everyones: str = "", **environ: str):
        (project / ".npmrc").write_text(mine)
        (home / ".npmrc").write_text(users)
        (home / "global").write_text(everyones)
        return npm_settings(
            project, {"HOME": str(home), "npm_config_globalconfig": str(home / "global"), "PATH": "", **environ}
        )

    read.project, read.home = project, home
    return read


def test_project_settings_override_user_settings_which_override_global_ones(place):
    found = place(
        "@acme:registry=http://one/\n", "@acme:registry=http://two/\nproxy=http://p:1\n", "proxy=http://q:1\ntag=next"
    )
    assert found.npmrc.reveal() == "@acme:registry = http://one/\nproxy = http://p:1\ntag = next\n"
    assert found.identity == (("@acme:registry", "http://one"), ("tag", "next"))


def test_the_environment_overrides_every_file(place):
    found = place("registry=http://one/", npm_config_registry="http://two/", NPM_CONFIG_IGNORE_SCRIPTS="true")
    assert found.npmrc.reveal() == ""
    assert revealed(found.variables) == {"npm_config_registry": "http://two/"}
    assert dict(found.identity) == {"registry": "http://two"}


@pytest.mark.parametrize(
    "line",
    [
        "ignore-scripts=true",
        "omit[]=optional",
        "dry-run=true",
        "cpu=arm64",
        "script-shell=/bin/evil",
        "prefix=/x",
        "; a=b",
    ],
)
def test_settings_that_would_change_the_installation_are_ignored(place, line):
    assert place(f"{line}\n# registry=http://x/\n").npmrc.reveal() == ""


def test_parent_directories_are_searched_up_to_the_root_of_the_repository(place):
    place()
    (place.project / ".npmrc").unlink()
    environ = {"HOME": str(place.home), "PATH": ""}
    (place.project.parent.parent / ".npmrc").write_text("tag=above")
    assert npm_settings(place.project, environ).npmrc.reveal() == ""
    (place.project.parent / ".npmrc").write_text("tag=top")
    assert npm_settings(place.project, environ).npmrc.reveal() == "tag = top\n"


def test_variables_are_passed_on_and_their_values_are_not_written(place):
    found = place("//host/:_authToken=${MY_TOKEN}\n", MY_TOKEN="s3cret", OTHER="x")
    assert found.npmrc.reveal() == "//host/:_authToken = ${MY_TOKEN}\n"
    assert revealed(found.variables) == {"MY_TOKEN": "s3cret"}
    assert "s3cret" not in repr(found)
    assert found.identity == ()


def test_credentials_with_an_unset_variable_are_omitted_and_reported(place):
    found = place("registry=http://one/\n//one/:_authToken=${NPM_TOKEN}\n")
    assert found.npmrc.reveal() == "registry = http://one/\n"
    assert found.unset == ("line 2 of .npmrc uses ${NPM_TOKEN}, which is not set",)
    assert place("//one/:_authToken=${NPM_TOKEN?}\n").unset == ()


def test_a_registry_with_an_unset_variable_is_an_error_at_its_line(place):
    with pytest.raises(NpmrcProblem, match=r"line 1 of ~/\.npmrc uses \$\{HOST\}, which is not set") as caught:
        place(users="registry=https://${HOST}/npm/")
    assert caught.value.hint == "set HOST in the environment; npm settings do not use .env files"


def test_paths_of_certificates_are_relative_to_their_npmrc(place):
    found = place("cafile=certificates/own.pem\n", "//host/:certfile=~/mine.pem\n")
    assert found.npmrc.reveal() == (
        f"//host/:certfile = {place.home / 'mine.pem'}\ncafile = {place.project / 'certificates/own.pem'}\n"
    )


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"=\n==\n[section]\n"])
def test_an_invalid_npmrc_has_no_settings(tmp_path, content):
    (tmp_path / ".npmrc").write_bytes(content)
    assert npm_settings(tmp_path, {"PATH": ""}).npmrc.reveal() == ""


def test_without_a_home_and_a_project_there_are_no_settings():
    assert npm_settings(None, {"PATH": ""}).npmrc.reveal() == ""
    assert npm_settings(Path("/"), {"HOME": "relative", "PATH": ""}).npmrc.reveal() == ""
