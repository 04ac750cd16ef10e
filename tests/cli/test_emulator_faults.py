"""`ckfunc emulator faults` on the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.conftest import Ckfunc
from support.emulators import cold_emulator

from ckfunc.cli.completion import complete_operations
from ckfunc.wire.faults import FaultMistake, read_fault_entry


@pytest.fixture
def running(project: Path) -> Iterator[Path]:
    """The project with a running emulator as its default target."""
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("default_target: remote", "default_target: local"))
    with cold_emulator(project / ".ckfunc" / "emulator"):
        yield project


def test_faults_are_added_listed_and_removed(ckfunc: Ckfunc, running: Path) -> None:
    ran = ckfunc("-C", running, "emulator", "faults", "add", "createUser", "--status", "429", "--first", "2")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "added fault 1: 429 with Retry-After 1 s, first 2 requests of createUser\n"
    ckfunc("-C", running, "emulator", "faults", "add", "--status", "503", "--rate", "12.5%", "--delay", "1.5s")
    assert ckfunc("-C", running, "emulator", "faults", "add", "listUsers", "--lost").code == 0
    listed = ckfunc("-C", running, "emulator", "faults")
    assert [re.split(" {2,}", line) for line in listed.out.splitlines()] == [
        ["ID", "OPERATION", "FAULT", "REQUESTS", "AFFECTED"],
        ["1", "createUser", "429 with Retry-After 1 s", "first 2 requests", "0 of 0"],
        ["2", "all", "delay of 1500 ms, 503", "12.5% of requests", "0 of 0"],
        ["3", "listUsers", "response lost", "all requests", "0 of 0"],
    ]
    assert ckfunc("-C", running, "emulator", "faults", "clear", "2").err == "removed 1 fault\n"
    ran = ckfunc("-C", running, "emulator", "faults", "clear", "1", "2", "9")
    assert ran.code == 1
    assert "the emulator has no fault 2 or 9; nothing was removed" in ran.err
    assert "`ckfunc emulator faults` lists the faults" in ran.err
    assert ckfunc("-C", running, "emulator", "faults", "clear", "1", "3", "1").err == "removed 2 faults\n"
    assert ckfunc("-C", running, "emulator", "faults", "clear").err == "no faults\n"
    assert ckfunc("-C", running, "emulator", "faults").err.startswith("no faults; ")


def test_faults_are_printed_as_json(ckfunc: Ckfunc, running: Path) -> None:
    ran = ckfunc("-C", running, "emulator", "faults", "add", "--lost", "--rate", "50%", "--seed", "7", "--json")
    added = json.loads(ran.out)
    assert (added["id"], added["operation"], added["lost"], added["seed"]) == (1, None, True, 7)
    assert json.loads(ckfunc("-C", running, "--json", "emulator", "faults").out) == [added]
    assert json.loads(ckfunc("-C", running, "--json", "emulator", "faults", "clear").out) == [added]


def test_a_deploy_retries_after_rejected_and_lost_responses(ckfunc: Ckfunc, running: Path) -> None:
    ckfunc("-C", running, "emulator", "faults", "add", "--status", "429", "--retry-after", "0", "--first", "3")
    ckfunc("-C", running, "emulator", "faults", "add", "createFunctionVersion", "--lost", "--first", "1")
    ran = ckfunc("-C", running, "deploy", "--yes")
    assert ran.code == 0, ran.err
    listed = json.loads(ckfunc("-C", running, "emulator", "faults", "--json").out)
    assert [fault["hits"] for fault in listed] == [3, 1]
    ckfunc("-C", running, "emulator", "faults", "clear")
    versions = json.loads(ckfunc("-C", running, "versions", "user.attempted.start_session", "--json").out)
    assert len(versions) == 1
    assert ckfunc("-C", running, "diff", "--exit-code").code == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "a fault needs a status, a delay or a lost response"),
        (["createUsr", "--lost"], "did you mean createUser?"),
        (
            ["--status", "429", "--first", "9" * 30],
            "the number of first requests is 1e+30; it must be from 1 to 1000000",
        ),
        (["--status", "9" * 400], "the status is a very large number; it must be 429 or from 500 to 599"),
        (
            ["--status", "429", "--retry-after", "99999999999999999999"],
            "Retry-After is 99999999999999999999; it must be from 0",
        ),
        (["--status", "404"], "the status is 404; it must be 429 or from 500 to 599"),
        (["--status", "503", "--rate", "20"], "'20' is not a percentage"),
        (["--status", "503", "--rate", "200%"], "the rate is 200%"),
        (["--delay", "2"], "'2' is not a duration"),
        (["--delay", "2m"], "the delay in milliseconds is 120000"),
        (["--lost", "--seed", "7"], "a seed needs a rate"),
        (["--status", "503", "--rate", "5%", "--first", "5"], "can't be used together"),
    ],
)
def test_an_invalid_fault_is_refused_before_a_request(
    ckfunc: Ckfunc, project: Path, args: list[str], message: str
) -> None:
    ran = ckfunc("-C", project, "emulator", "faults", "add", *args)
    assert ran.code == 2
    assert message in ran.err
    assert "hint: " in ran.err


def test_fault_commands_without_a_running_emulator_explain_how_to_start_it(ckfunc: Ckfunc, project: Path) -> None:
    for command in ([], ["add", "--lost"], ["clear"]):
        ran = ckfunc("-C", project, "emulator", "faults", *command)
        assert ran.code == 1
        assert "no emulator is running for " in ran.err
        assert "start one with `ckfunc emulator` or `ckfunc dev`" in ran.err
    assert not (project / ".ckfunc").exists()


def test_the_data_directory_can_be_given_at_every_level(ckfunc: Ckfunc, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with cold_emulator(data):
        assert ckfunc("emulator", "--data-dir", data, "faults", "add", "--lost").code == 0
        assert ckfunc("emulator", "faults", "--data-dir", data, "add", "--lost").code == 0
        assert ckfunc("emulator", "faults", "clear", "--data-dir", data).err == "removed 2 faults\n"


def test_operations_are_completed(ckfunc: Ckfunc) -> None:
    import click

    context = click.Context(click.Command("add"))
    assert complete_operations(context, click.Argument(["x"]), "sendC") == [
        "sendChannelEvent",
        "sendChannelInvite",
        "sendChannelKeystrokes",
        "sendChannelMessage",
    ]


def test_a_fault_error_names_the_key_that_was_given() -> None:
    for entry, key in (
        ({"lost": True, "retry_after": 1}, "retry_after"),
        ({"delay": "61s"}, "delay"),
        ({"status": 500, "rate": "0%"}, "rate"),
    ):
        with pytest.raises(FaultMistake) as caught:
            read_fault_entry(entry)
        assert caught.value.field == key
