"""`ckfunc test record`: actions of users on a real emulator become a passing conversation."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.acting import Acting
from support.json_outputs import require_documented

from ckfunc.base.files import cache_dir
from ckfunc.cli.app import App
from ckfunc.emulator.emulator import Emulator
from ckfunc.sandbox.acts import Act, UploadedFile, Verb
from ckfunc.testing.case import Shard
from ckfunc.testing.running import CaseOptions, run_tests, working_copy

EXAMPLE = Path(__file__).parent.parent.parent / "example-project"
JANE, BOB = "jane@corp.test", "bob@corp.test"
ACTS = (
    Act(Verb.CONNECTS, JANE, data={"displayName": "Jane Doe"}),
    Act(Verb.CONNECTS, "eve", data={"staffCode": "1234"}),
    Act(Verb.CONNECTS, "amy", data={"staffCode": "0042"}),
    Act(Verb.OPENS, JANE, "support"),
    Act(Verb.SAYS, JANE, "support", text="/help"),
    Act(Verb.SAYS, BOB, "support", text="Jane Doe, write to me@mail.test"),
    Act(Verb.REACTS, JANE, "support", text="thumbsup", about="write"),
    Act(Verb.READS, BOB, "support"),
    Act(Verb.STARTS_TYPING, BOB, "support"),
    Act(Verb.UPLOADS, BOB, "support", text="bill.pdf", file=UploadedFile("application/pdf", b"by Bob")),
    Act(Verb.SENDS, None, "support", text="we close soon"),
    Act(Verb.REPLIES, JANE, "support", text="thanks", about="write"),
    Act(Verb.DISCONNECTS, JANE),
    Act(Verb.SAYS, BOB, "support", text="/remind 2h"),
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns(".ckfunc", ".env", "tests")
    return Path(shutil.copytree(EXAMPLE, tmp_path / "project", ignore=ignored))


def record(project: Path, acts: Sequence[Act], *options: str) -> tuple[int, str, str]:
    """Record acts on a running emulator until Ctrl-C; return the exit code, stdout and stderr."""
    command = [sys.executable, "-m", "ckfunc", "-C", str(project)]
    with Emulator(project / ".ckfunc" / "emulator", cache=cache_dir()) as emulator:
        subprocess.run([*command, "deploy", "--yes"], check=True, capture_output=True)
        users = Acting(emulator)
        users.act(Act(Verb.CONNECTS, BOB, data={"displayName": "Bob"}))
        with subprocess.Popen(
            [*command, "test", "record", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as recording:
            assert recording.stderr is not None
            assert recording.stderr.readline() == "Recording. Press Ctrl-C to finish.\n"
            for act in acts:
                users.act(act)
            recording.send_signal(signal.SIGINT)
            out, err = recording.communicate(timeout=100)
    return recording.returncode, out, err


def failures(project: Path, jobs: int, shards: int = 1) -> list[str]:
    """Run the tests, in shards one after the other, and return the failures."""
    with App({}) as app:
        app.settings.directory = project
        tools, copy = app.toolchain(), working_copy(project, None, {}, app.workspace.bundler())
        every = CaseOptions([project / "tests"], jobs=jobs)
        found = [run_tests(copy, tools, replace(every, shard=Shard(n, shards))) for n in range(1, shards + 1)]
    results = [result for shard in found for result in shard.results]
    assert {result.part.cases for result in found if result.part} == {len(results)}
    return [f"{result.case.file}: {miss.message}" for result in results for miss in result.misses]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is a signal")
def test_a_recorded_conversation_passes_50_times_and_detects_handler_changes(project: Path) -> None:
    code, out, err = record(project, ACTS, "--yes", "--name", "jane asks", "--json")
    assert code == 0, err
    addition = json.loads(out)
    assert (addition["verdict"], addition["failures"]) == ("passed", [])
    require_documented("test record", addition)
    file = project / "tests" / "conversations.yaml"
    text = file.read_text(encoding="utf-8")
    for detail in ("corp.test", "jane@", "Jane", "Bob", "mail.test", "eve", "amy", "1234", "0042"):
        assert detail not in text + out + err
    (case,) = yaml.safe_load(text)["cases"]
    kinds = [next(verb for verb in Verb if verb in step) for step in case["conversation"]]
    assert kinds == [Verb.CONNECTS, *(act.verb for act in ACTS)]
    for number in range(49):
        (project / "tests" / f"copy-{number}.yaml").write_text(text, encoding="utf-8")
    assert failures(project, 2, shards=3) == []
    for copy in project.glob("tests/copy-*.yaml"):
        copy.unlink()
    for handler, before, after in (
        ("start-session", "isNew, channel: channel.id", "channel: channel.id"),
        ("answer-message", "You will hear from us in", "We write in"),
        ("log-notification", '"by mail"', '"by phone"'),
    ):
        script = project / "handlers" / f"{handler}.ts"
        original = script.read_text(encoding="utf-8")
        assert original.count(before) == 1
        script.write_text(original.replace(before, after), encoding="utf-8")
        assert failures(project, 1) != [], handler
        script.write_text(original, encoding="utf-8")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A project without functions."""
    manifest = "version: 1\nruntime: {environment: {}}\ntargets: {local: {emulator: true}}\n"
    (tmp_path / "functions.yaml").write_text(manifest)
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is a signal")
def test_a_recording_without_user_actions_is_not_written(bare: Path) -> None:
    command = [sys.executable, "-m", "ckfunc", "-C", str(bare), "--target", "local", "test", "record", "--yes"]
    with (
        Emulator(bare / ".ckfunc" / "emulator", cache=cache_dir()),
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as recording,
    ):
        assert recording.stderr is not None
        assert recording.stderr.readline() == "Recording. Press Ctrl-C to finish.\n"
        recording.send_signal(signal.SIGINT)
        _, err = recording.communicate(timeout=60)
    assert (recording.returncode, "nothing has happened on the emulator" in err) == (1, True), err
    assert not (bare / "tests").exists()


@pytest.mark.parametrize(
    ("options", "code", "problem"),
    [
        ([], 2, "there is no terminal; nothing was recorded\nhint: rerun with --yes"),
        (["--yes", "--name", "one\ntwo"], 2, "--name must be one line of plain text"),
        (["--yes", "--name", "\u202eeno"], 2, "--name must be one line of plain text"),
        (["--yes", "--name", " "], 2, "--name must be one line of plain text"),
        (["--yes", "--file", "tests/conflict.yaml"], 1, "tests/conflict.yaml has a mistake"),
    ],
)
def test_a_recording_that_could_not_be_saved_does_not_start(
    ckfunc: Callable[..., Any], bare: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], code: int, problem: str
) -> None:
    monkeypatch.chdir(bare)
    (bare / "tests").mkdir()
    (bare / "tests/conflict.yaml").write_text("<<<<<<< HEAD\ncases: []\n")
    with Emulator(bare / ".ckfunc" / "emulator", cache=cache_dir()):
        ran = ckfunc("--target", "local", "test", "record", *options)
    assert ran.code == code
    assert problem in ran.err
    assert "Recording." not in ran.err


def test_a_recording_needs_a_running_emulator(ckfunc: Callable[..., Any], project: Path) -> None:
    ran = ckfunc("-C", project, "test", "record")
    assert (ran.code, "the project's emulator is not running" in ran.err) == (1, True)
    assert "hint: run `ckfunc dev` in another terminal" in ran.err
