"""The command line: help, usage errors, created files, bug reports, and the manual page."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from promises.test_hint_commands import every_command

from ckfunc import __version__
from ckfunc.api import Wait
from ckfunc.base.errors import EXIT_CODES
from ckfunc.cli.app import App
from ckfunc.cli.main import COMMANDS, cli
from ckfunc.cli.options import NamedPath

Ckfunc = Callable[..., Any]


@pytest.fixture
def local(project: Path) -> Path:
    """The project, with the emulator as its default target."""
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("default_target: remote", "default_target: local"))
    return project


def test_help_lists_every_command_in_the_order_of_use(ckfunc: Ckfunc) -> None:
    ran = ckfunc("--help")
    assert ran.code == 0
    listed = ran.out.partition("\nProject:")[2].split("\n")
    assert [line.split()[0] for line in listed if line.startswith("  ")] == list(COMMANDS)


def test_help_lists_options_of_every_command_last_with_defaults_in_the_text(ckfunc: Ckfunc) -> None:
    own, _, common = ckfunc("emulator", "users", "--help").out.partition("\nGlobal options:")
    assert "-n N               List at most N (default: 25).  [1 to 2000]" in own
    assert "--json" not in own
    assert "--json" in common


def test_ckfunc_without_a_command_prints_its_help_and_exits_2(ckfunc: Ckfunc) -> None:
    ran = ckfunc()
    assert ran.code == 2
    assert "Usage: ckfunc" in ran.err


@pytest.mark.parametrize(
    ("args", "said", "hint"),
    [
        (["deploi"], "there is no command 'deploi'", "did you mean `ckfunc deploy`?"),
        (["xyzzy"], "there is no command 'xyzzy'", "`ckfunc --help` lists the commands"),
        (["deploy", "--dry"], "there is no option --dry", "did you mean --dry-run? see `ckfunc deploy --help`"),
        (["logs", "-n", "-1"], "-n/--lines must be a whole number of at least 0, not -1", "see `ckfunc logs --help`"),
        (["emulator", "--port", "x"], "--port must be a whole number from 0 to 65535, not 'x'", "see"),
        (["emulator", "--port", "70000"], "--port must be a whole number from 0 to 65535, not 70000", "see"),
        (["deploy", "--only"], "--only needs a value", "see `ckfunc deploy --help`"),
        (["deploy", "--yes=no"], "--yes takes no value", "see `ckfunc deploy --help`"),
        (["show"], "TYPE is missing", "see `ckfunc show --help`"),
        (["show", "a", "b"], "unexpected argument: b", "see `ckfunc show --help`"),
        (["test", "add"], "--invocation or --channel is missing", "see `ckfunc test add --help`"),
        (["test", "add", "x", "--channel", "1"], "TYPE needs --invocation", "a conversation runs all functions"),
        (["test", "add", "--invocation", "1", "--last", "1"], "--last needs --channel", "remove it, or name"),
        (["test", "add", "--invocation", "1", "--channel", "1"], "can't be used together", "see `ckfunc test add"),
        (["test", "--shard", "3/2"], "--shard '3/2' is not a part such as 2/4", "the parts of 4 are 1/4, 2/4, 3/4"),
        (["test", "--durations", "a.xml"], "--durations needs --shard", "add --shard I/N"),
        (["test", "--coverage-threshold", "x"], "--coverage-threshold must be a number from 0 to 100, not 'x'", "see"),
        (["test", "merge"], "FILE is missing", "see `ckfunc test merge --help`"),
        (["completion", "tcsh"], "SHELL must be bash, zsh or fish, not 'tcsh'", "see `ckfunc completion --help`"),
        (["emulator", "sed"], "there is no command 'emulator sed'", "did you mean `ckfunc emulator seed`?"),
        (["deploy", "--bogus"], "there is no option --bogus", "hint: see `ckfunc deploy --help`"),
        (["help", "deploi"], "there is no command 'deploi'", "did you mean `ckfunc help deploy`?"),
        (
            ["help", "emulator", "xyzzy"],
            "there is no command 'emulator xyzzy'",
            "`ckfunc emulator --help` lists the commands",
        ),
        (["emulator", "--ephemeral", "--data-dir", "x"], "can't be used together", ""),
        (["emulator", "--data-dir=", "reset", "--yes"], "--data-dir has a wrong value: the path is empty", "see"),
        (["-C", "", "types"], "-C/--directory has a wrong value: the path is empty", "see `ckfunc --help`"),
        (["init", ""], "DIR has a wrong value: the path is empty", "see `ckfunc init --help`"),
        (["invoke", "x", "--event="], "--event has a wrong value: the path is empty", "see `ckfunc invoke --help`"),
        (
            ["api", "GET", "/v1/users", "--data", "@"],
            "the path after --data @ is empty",
            "--data @FILE names a JSON file",
        ),
    ],
)
def test_a_usage_error_is_explained_and_exits_2(ckfunc: Ckfunc, args: list[str], said: str, hint: str) -> None:
    ran = ckfunc(*args)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert said in ran.err
    assert hint in ran.err
    assert ran.out == ""


def test_every_path_on_the_command_line_must_not_be_empty() -> None:
    paths = [
        (command.name, parameter)
        for command in [cli, *every_command()]
        for parameter in command.params
        if re.search("DIR|FILE|PATH", parameter.make_metavar(click.Context(command)))
        or isinstance(parameter.type, click.Path)
    ]
    assert len(paths) > 60
    remote = ("api", "PATH")  # of a URL
    assert [
        (name, parameter.opts)
        for name, parameter in paths
        if not isinstance(parameter.type, NamedPath) and (name, parameter.metavar) != remote
    ] == []


def test_the_help_command_prints_the_same_as_the_help_option(ckfunc: Ckfunc) -> None:
    for names in ([], ["deploy"], ["emulator", "seed"], ["test", "add"]):
        shown, asked = ckfunc("help", *names), ckfunc(*names, "--help")
        assert shown.code == asked.code == 0
        assert shown.out.split() == asked.out.split()


def test_an_emulator_outside_a_project_suggests_ephemeral_data(ckfunc: Ckfunc, tmp_path: Path) -> None:
    ran = ckfunc("-C", tmp_path, "emulator")
    assert ran.code == 1
    assert "--ephemeral" in ran.err


def test_created_files_are_listed_as_text_or_json(ckfunc: Ckfunc, tmp_path: Path) -> None:
    made = json.loads(ckfunc("--json", "init", tmp_path / "chat").out)
    assert made["directory"] == str(tmp_path / "chat")
    assert {"path": "functions.yaml", "action": "created"} in made["files"]
    again = ckfunc("init", tmp_path / "chat")
    assert again.code == 0
    assert "unchanged" in again.err
    (tmp_path / "chat/tsconfig.json").write_text("{}")
    refused = ckfunc("init", tmp_path / "chat")
    assert refused.code == 1
    assert "tsconfig.json already exists, nothing was written" in refused.err
    assert "overwritten" in ckfunc("init", tmp_path / "chat", "--force").err
    new = ckfunc("-C", tmp_path / "chat", "new", "user.sent.message")
    assert new.code == 0
    assert "updated     functions.yaml" in new.err
    assert ckfunc("-C", tmp_path / "chat", "-q", "types").err == ""


def test_types_are_written_for_an_invalid_manifest_with_a_warning(ckfunc: Ckfunc, project: Path) -> None:
    (project / "functions.yaml").write_text("version: 2\n")
    ran = ckfunc("-C", project, "types")
    assert ran.code == 0
    assert "warning: " in ran.err
    assert (project / ".ckfunc/types/chatkitty.d.ts").is_file()


def test_a_bug_report_file_contains_no_secrets_or_long_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    app = App({**os.environ, "CHATKITTY_CLIENT_SECRET": "the-s3cret-of-the-test"})
    try:
        raise ZeroDivisionError("with the-s3cret-of-the-test in it")
    except ZeroDivisionError as error:
        app.output.bug(error, ["trigger", "--data", "x" * 100], app.secrets())
    (kept,) = tmp_path.glob("ckfunc-bug-*.log")
    text = kept.read_text(encoding="utf-8")
    assert "ZeroDivisionError" in text
    assert f"ckfunc {__version__}" in text
    assert "s3cret" not in text
    assert "x" * 100 not in text
    said = capfd.readouterr().err
    assert str(kept) in said
    assert "this is a bug in ckfunc (ZeroDivisionError)" in said


def test_paths_are_printed_relative_to_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a/b/c")
    shown = App({}).output.path
    assert shown(tmp_path / "a/b/c/d") == "d"
    assert shown(tmp_path / "a/b/x") == str(Path("..", "x"))
    assert shown(tmp_path / "x") == str(tmp_path / "x")


def test_errors_name_files_below_the_current_directory_by_relative_paths(
    ckfunc: Callable[..., Any], local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(local)
    for args, message in (
        (["test", "nope.yaml"], "test file 'nope.yaml' does not exist"),
        (["deploy", "--plan", "nope.json"], "the plan nope.json cannot be read: No such file or directory"),
        (["emulator", "import", "nope.db"], "there is no file nope.db"),
        (["emulator", "export", "x.db"], f"there is no emulator data in {Path('.ckfunc', 'emulator')}"),
        (["-C", "..", "check"], f"there is no functions.yaml in {local.parent} or above it"),
    ):
        assert ckfunc(*args).err.splitlines()[0] == f"error: {message}"


def test_missing_event_fields_and_misspelled_types_are_reported_with_hints(
    ckfunc: Callable[..., Any], local: Path
) -> None:
    assert ckfunc("-C", local, "deploy").code == 0
    ran = ckfunc("-C", local, "trigger", "user.attempted.start_session")
    assert ran.code == 1
    assert ran.err.startswith("error: firing the event user.attempted.start_session: ")
    assert "field 'username' is missing" in ran.err
    assert "--data '{" in ran.err
    assert "did you mean user.sent.message?" in ckfunc("-C", local, "trigger", "user.sent.mesage").err


def test_an_empty_since_value_is_a_usage_error(ckfunc: Callable[..., Any], local: Path) -> None:
    assert ckfunc("-C", local, "logs", "--since", "").code == 2


def test_concurrent_retries_with_the_same_reason_are_reported_once(capfd: pytest.CaptureFixture[str]) -> None:
    output = App({}).output
    for attempt in (1, 1, 1, 2, 2):
        output.waiting(Wait("api.example answered 429", 20.0, attempt))
    assert capfd.readouterr().err.count("retrying in 20.0 s") == 2


@pytest.mark.parametrize(("value", "coloured"), [("1", True), ("true", True), ("0", False), ("false", False)])
def test_color_can_be_forced_and_disabled(value: str, coloured: bool) -> None:
    assert App({"FORCE_COLOR": value}).output.uses_color(io.StringIO()) is coloured


def test_help_prints_an_ascii_manual_page_of_all_commands(ckfunc: Ckfunc) -> None:
    page = ckfunc("help", "--man").out
    assert page.isascii() and page.startswith('.TH CKFUNC 1 ""')
    assert [name for name in COMMANDS if f'.SS "ckfunc {name} ' not in page] == []
    assert [code for code in EXIT_CODES if f".TP\n.B {code}\n" not in page] == []
    ran = ckfunc("help", "deploy", "--man")
    assert (ran.code, ran.err) == (
        2,
        "error: --man can't be used with a command\nhint: `ckfunc help --man` describes all commands\n",
    )


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_renders_the_manual_page_without_warnings(ckfunc: Ckfunc) -> None:
    page = ckfunc("help", "--man").out
    command = ["groff", "-man", "-ww", "-Tascii", "-P-cbou"]
    done = subprocess.run(command, input=page, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for text in ("ckfunc deploy [OPTIONS]", "--allow-removals", """--data '{"username": "jane"}'""", "~/.cache/ckfunc"):
        assert text in done.stdout
