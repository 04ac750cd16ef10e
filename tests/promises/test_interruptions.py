"""Interrupted commands: Ctrl-C, a closed pipe, failing streams and disks."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Ckfunc, start
from support.commands import process_of
from support.loopback import Reply
from support.scripted import RUNTIME, Answering, page_of, platform

CKFUNC = shlex.join([sys.executable, "-m", "ckfunc"])
posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", line], check=False, cwd=cwd, capture_output=True, text=True, timeout=60)


@pytest.fixture
def local(project: Path) -> Path:
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("default_target: remote", "default_target: local"))
    return project


@posix
@pytest.mark.slow
def test_closed_standard_streams_change_neither_the_result_nor_the_exit_code(local: Path) -> None:
    assert shell(f"{CKFUNC} diff --exit-code >&-", local).returncode == 3
    assert shell(f"{CKFUNC} deploy <&- >&- 2>&-", local).returncode == 0
    assert shell(f"{CKFUNC} diff --exit-code 2>&-", local).stdout == "No changes.\n"
    assert shell(f"{CKFUNC} nonsense >&- 2>&-", local).returncode == 2
    assert shell(f"{CKFUNC} trigger user.sent.message --data - <&-", local).returncode == 2


@posix
def test_a_pipe_that_does_not_block_gets_the_complete_result(local: Path) -> None:
    script = f"// {'x' * 300_000}\nasync function handleEvent() {{}}\n"
    (local / "handlers/start.ts").write_text(script)
    assert shell(f"{CKFUNC} deploy", local).returncode == 0
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    arguments = [sys.executable, "-m", "ckfunc", "show", "user.attempted.start_session"]
    with process_of(arguments, cwd=local, stdout=writing) as process, os.fdopen(reading, encoding="utf-8") as result:
        os.close(writing)
        time.sleep(1)  # until the pipe is full
        assert result.read().strip() == script.strip()
        assert process.wait(timeout=60) == 0


@posix
@pytest.mark.slow
def test_a_closed_pipe_does_not_change_the_exit_code(ckfunc: Ckfunc, local: Path) -> None:
    ended = "echo ${PIPESTATUS[0]} >&2"
    assert shell(f"{CKFUNC} diff --exit-code | true; {ended}", local).stderr == "3\n"
    assert shell(f"{CKFUNC} --help | true; {ended}", local).stderr == "0\n"
    (local / "handlers/start.ts").write_text("function handleEvent() { throw new Error('no'); }\n")
    # Lost progress output does not stop a deploy.
    assert shell(f"{CKFUNC} -v deploy 2>&1 | true; {ended}", local).stderr == "0\n"
    triggered = f'{CKFUNC} trigger user.attempted.start_session --data \'{{"username": "jane"}}\''
    assert shell(f"{triggered} | true; {ended}", local).stderr == "1\n"
    assert ckfunc("-C", local, "diff", "--exit-code").code == 0


@posix
@pytest.mark.slow
def test_logs_follow_ends_when_its_reader_exits_without_further_output(ckfunc: Ckfunc, local: Path) -> None:
    assert ckfunc("-C", local, "deploy").code == 0
    assert start(ckfunc, local, "a").code == 0
    followed = shell(f"{CKFUNC} -q logs -f --json | head -n 1; echo ${{PIPESTATUS[0]}}", local)
    assert followed.stdout.splitlines()[-1] == "0"
    assert followed.stderr == ""


@full
def test_a_full_disk_is_reported_in_one_sentence(local: Path) -> None:
    written = "error: the output cannot be written: No space left on device\n"
    full = "error: No space left on device\n"
    for command, sentence in (("diff", written), ("--help", full), ("--version", full)):
        ended = shell(f"{CKFUNC} {command} >/dev/full", local)
        assert ended.returncode == 1
        assert ended.stderr.startswith(sentence)
        assert "Traceback" not in ended.stderr
    assert shell(f"{CKFUNC} deploy 2>/dev/full", local).returncode == 0


@full
def test_a_full_disk_under_the_output_of_a_handler_is_reported_in_one_sentence(local: Path) -> None:
    handler = "async function handleEvent() { console.log('hello'); }\n"
    (local / "handlers/start.ts").write_text(handler)
    ended = shell(f"{CKFUNC} invoke user.attempted.start_session >/dev/full", local)
    assert (ended.returncode, ended.stderr) == (1, "error: the output cannot be written: No space left on device\n")


def test_a_read_only_directory_is_an_expected_error(ckfunc: Callable[..., Any], local: Path) -> None:
    state = local / ".ckfunc"
    state.write_text("in the way")
    state.unlink()
    state.mkdir(mode=0o500)
    ran = ckfunc("-C", local, "diff")
    if os.name == "posix" and os.geteuid() != 0:
        assert ran.code == 1
        assert "hint: check its permissions" in ran.err
    else:
        assert ran.code == 0  # root can write anywhere


@posix
@pytest.mark.parametrize("command", ["deploy", "logs", "invoke user.attempted.start_session"])
def test_an_emulator_database_of_another_user_is_an_expected_error(
    ckfunc: Callable[..., Any], local: Path, command: str
) -> None:
    assert ckfunc("-C", local, "deploy").code == 0
    (local / ".ckfunc/emulator/emulator.db").chmod(0)
    (local / ".ckfunc/emulator/lock").chmod(0)
    unprivileged = "setpriv --bounding-set=-all --inh-caps=-all " if os.geteuid() == 0 else ""
    if unprivileged and not shutil.which("setpriv"):
        pytest.skip("root can read everything")
    ended = shell(f"{unprivileged}{CKFUNC} {command}", local)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "emulator.db cannot be used: Permission denied\nhint: check its permissions\n" in ended.stderr


def test_a_system_without_more_threads_is_an_expected_error(local: Path) -> None:
    entry = """
import threading
def refuse(thread):
    raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
from ckfunc.__main__ import main
main()
"""
    for command in ("deploy", "emulator"):
        ended = subprocess.run(
            [sys.executable, "-c", entry, command], check=False, cwd=local, capture_output=True, text=True, timeout=60
        )
        assert (ended.returncode, ended.stdout) == (1, ""), ended.stderr
        assert ended.stderr.startswith("error: the system does not allow another thread\nhint: close other programs")


@posix
def test_a_link_to_itself_is_refused_as_a_new_project(ckfunc: Ckfunc, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    ran = ckfunc("-C", tmp_path, "init", "loop")
    assert ran.code == 1
    assert "loop" in ran.err.splitlines()[0]
    assert "hint: " in ran.err


@posix
def test_a_removed_working_directory_is_reported_in_one_sentence(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    ended = shell(f"rmdir {shlex.quote(str(gone))}; {CKFUNC} diff", gone)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: the current directory no longer exists")


@posix
@pytest.mark.parametrize(
    "after_s", [0.1, 0.5, *(pytest.param(delay_s, marks=pytest.mark.slow) for delay_s in (0.02, 0.05, 0.2, 0.3, 0.8))]
)
@pytest.mark.parametrize("command", ["deploy", "watch", "logs -f"])
def test_an_interrupt_at_any_time_ends_a_command_without_a_traceback(local: Path, command: str, after_s: float) -> None:
    entry = "from ckfunc.__main__ import main; print('begun', flush=True); main()"
    arguments = [sys.executable, "-c", entry, *command.split()]
    with process_of(arguments, cwd=local, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    # The deploy may already be complete, and the interpreter's exit can be interrupted too.
    assert process.returncode in (130, -signal.SIGINT, *([0] if command == "deploy" else []))
    assert "Traceback" not in err
    assert "bug" not in err


def test_interrupts_are_handled_before_the_commands_are_imported() -> None:
    program = "import sys, ckfunc.__main__; print(*(name for name in sys.modules if name.startswith('ckfunc.')))"
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert set(ended.stdout.split()) == {"ckfunc.__main__", "ckfunc.base", "ckfunc.base.interrupts"}


def test_a_bug_report_contains_no_secrets(
    ckfunc: Callable[..., Any], local: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    canary = "canary-4711"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("CANARY", canary)
    manifest = local / "functions.yaml"
    manifest.write_text(manifest.read_text() + 'runtime: {environment: {KEY: "${CANARY}"}}\n')

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError(f"with {canary}")

    monkeypatch.setattr("ckfunc.deploy.run.plan", broken)
    ran = ckfunc("-C", local, "diff", "--target=local")
    assert ran.code == 4
    assert canary not in ran.err
    (log,) = tmp_path.glob("ckfunc-bug-*.log")
    text = log.read_text()
    assert "ZeroDivisionError: with ••••" in text
    assert canary not in text
    assert "ckfunc -C … diff --target" in text


@posix
@pytest.mark.slow
def test_an_interrupt_during_a_deploy_ends_the_watch(project: Path) -> None:
    routes: dict[str, Answering] = {
        "GET /v1/runtimes/nodejs": Reply(body=RUNTIME),
        "GET /v1/runtimes/nodejs/functions": Reply(body=page_of("functions", [])),
        "POST /v1/runtimes/nodejs/functions": Reply(400, {"message": "no"}, delay_s=1.0),
    }
    with platform(routes) as remote:
        there = {
            "CHATKITTY_API_URL": remote.server.url,
            "CHATKITTY_AUTHORIZATION_URL": f"{remote.server.url}/oauth/token",
            "CHATKITTY_CLIENT_ID": "the-client",
            "CHATKITTY_CLIENT_SECRET": "the-s3cret",
        }
        arguments = [sys.executable, "-m", "ckfunc", "watch", "--no-logs"]
        with process_of(
            arguments,
            cwd=project,
            env={**os.environ, **there},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            while not remote.asked("POST /v1/runtimes/nodejs/functions"):
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted while deploying" in said
    assert "trying again" not in said


def test_an_interrupt_wrapped_in_another_exception_is_still_an_interrupt(
    ckfunc: Callable[..., Any], local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrapped(*_: object, **__: object) -> None:
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr("ckfunc.deploy.run.plan", wrapped)
    ran = ckfunc("-C", local, "diff")
    assert (ran.code, ran.out) == (130, "")
    assert "bug" not in ran.err


def test_an_interrupt_that_python_drops_in_a_callback_is_raised_again() -> None:
    script = """
import time
from ckfunc.base.interrupts import catch_interrupts, was_interrupted

class Dropping:
    def __del__(self):
        raise KeyboardInterrupt

catch_interrupts()
Dropping()
try:
    for _ in range(600):
        time.sleep(0.05)
except KeyboardInterrupt:
    print("came again", was_interrupted())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("came again True\n", "")


@posix
def test_an_interrupt_inside_exec_still_exits_130(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text("""
import io, sys
from ckfunc.__main__ import main

class Interrupted(io.TextIOWrapper):
    def flush(self):
        del Interrupted.flush
        exec("raise KeyboardInterrupt")  # as in a module with dataclasses that is imported when Ctrl-C is pressed

sys.stdout = Interrupted(sys.stdout.detach())
main()
""")
    command = [sys.executable, "-m", "interrupted", "--version"]
    assert subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL, check=False, timeout=60).returncode == 130


def test_a_missing_temporary_directory_is_an_expected_error(
    ckfunc: Callable[..., Any], local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("ckfunc.deploy.run.plan", none)
    ran = ckfunc("-C", local, "diff")
    assert ran.code == 1 and "set TMPDIR" in ran.err and "bug" not in ran.err
