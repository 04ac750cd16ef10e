"""Hints for wrong paths, types, addresses and credentials."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckfunc.api.connection import InvalidAddress, checked_address

TYPE = "user.attempted.start_session"


@pytest.fixture
def local(project: Path) -> Path:
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("default_target: remote", "default_target: local"))
    return project


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/v1/usrs", "did you mean /v1/users? `ckfunc emulator` lists every path at its /docs"),
        ("/v1/user/7", "did you mean /v1/users/{id}?"),
        ("/v1/zzzzzzzz", "`ckfunc emulator` lists every path at its /docs"),
        ("/v1/users/999", "it may have been removed by a change or reset of the emulator's data"),
    ],
)
def test_an_unknown_emulator_path_is_reported_with_a_suggestion(
    ckfunc: Callable[..., Any], local: Path, path: str, hint: str
) -> None:
    ran = ckfunc("-C", local, "api", "GET", path)
    assert ran.code == 1
    assert "not found (404)" in ran.err and f"hint: {hint}" in ran.err
    assert "CHATKITTY_API_URL" not in ran.err


def test_an_event_without_a_function_is_reported_with_the_command_to_run(
    ckfunc: Callable[..., Any], local: Path
) -> None:
    event = ("--data", '{"username": "jane"}')
    ran = ckfunc("-C", local, "trigger", TYPE, *event)
    assert f"no function handles {TYPE}" in ran.err and "hint: run `ckfunc deploy`" in ran.err
    ran = ckfunc("-C", local, "--target", "local", "trigger", TYPE, *event)
    assert "hint: run `ckfunc deploy --target local`" in ran.err
    ran = ckfunc("-C", local, "trigger", "bogus.thing", "--data", "{}")
    assert "hint: add one with `ckfunc new bogus.thing`, then run `ckfunc deploy`" in ran.err


def test_an_unknown_trigger_type_is_added_with_a_warning(ckfunc: Callable[..., Any], local: Path) -> None:
    ran = ckfunc("-C", local, "new", "user.sent.mesage")
    assert ran.code == 0
    assert "warning: unknown trigger type 'user.sent.mesage' (did you mean user.sent.message?)" in ran.err
    assert "  user.sent.mesage:" in (local / "functions.yaml").read_text()
    assert ckfunc("-C", local, "check").code == 0
    refused = ckfunc("-C", local, "new", "../evil")
    assert refused.code == 2 and "is not a trigger type" in refused.err


@pytest.mark.parametrize(
    ("trigger_type", "hint"),
    [
        ("user.read.message", f"hint: `ckfunc new user.read.message` adds one; functions.yaml has: {TYPE}\n"),
        (f"{TYPE}s", f"hint: did you mean {TYPE}?\n"),
        ("bogus", f"hint: functions.yaml has: {TYPE}\n"),
    ],
)
def test_a_type_without_a_function_is_added_or_corrected(
    ckfunc: Callable[..., Any], local: Path, trigger_type: str, hint: str
) -> None:
    ran = ckfunc("-C", local, "invoke", trigger_type)
    assert ran.code == 2
    assert ran.err.endswith(hint)


def test_init_and_new_use_the_same_file_names(ckfunc: Callable[..., Any], tmp_path: Path) -> None:
    assert ckfunc("init", tmp_path / "chat").code == 0
    assert ckfunc("-C", tmp_path / "chat", "new", "user.sent.message").code == 0
    names = sorted(path.name for path in (tmp_path / "chat/handlers").iterdir())
    assert names == ["user-attempted-start-session.ts", "user-sent-message.ts"]
    assert (tmp_path / "chat/tests/user-attempted-start-session.yaml").is_file()


@pytest.mark.parametrize(
    "given",
    [
        "https://api.example.com",
        "https://api.example.com/",
        "https://api.example.com/v1",
        "https://api.example.com//v1//",
    ],
)
def test_a_trailing_version_and_slashes_in_an_api_address_are_ignored(given: str) -> None:
    assert checked_address(given, "CHATKITTY_API_URL") == "https://api.example.com"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("api.chatkitty.com", "CHATKITTY_API_URL does not start with https://"),
        ("localhost:4310", "CHATKITTY_API_URL does not start with https://"),
        ("https://jane:s3cret@api.chatkitty.com", "CHATKITTY_API_URL contains a user name or password"),
        ("jane:s3cret@api.chatkitty.com", "CHATKITTY_API_URL"),
    ],
)
def test_an_invalid_address_is_explained_without_its_credentials(given: str, said: str) -> None:
    with pytest.raises(InvalidAddress) as caught:
        checked_address(given, "CHATKITTY_API_URL")
    assert caught.value.message.startswith(said)
    assert "s3cret" not in f"{caught.value.message} {caught.value.hint}"


def test_the_source_of_credentials_is_shown(
    ckfunc: Callable[..., Any], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".env").write_text("CHATKITTY_CLIENT_ID=one\nCHATKITTY_CLIENT_SECRET=two\n")
    monkeypatch.setenv("CHATKITTY_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("CHATKITTY_AUTHORIZATION_URL", "http://127.0.0.1:9/oauth/token")
    found = {check["check"]: check["text"] for check in json.loads(ckfunc("-C", project, "--json", "doctor").out)}
    assert found["credentials"] == "from .env"
    (project / ".env.remote").write_text("CHATKITTY_CLIENT_SECRET=three\n")
    found = {check["check"]: check["text"] for check in json.loads(ckfunc("-C", project, "--json", "doctor").out)}
    assert found["credentials"] == "from .env and .env.remote"
    monkeypatch.setenv("CHATKITTY_CLIENT_ID", "four")
    found = {check["check"]: check["text"] for check in json.loads(ckfunc("-C", project, "--json", "doctor").out)}
    assert found["credentials"] == "from the environment and .env.remote"
