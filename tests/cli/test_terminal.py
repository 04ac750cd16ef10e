"""Output on terminals and in pipes: colors, questions, spinners and encodings."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("a terminal is a POSIX pseudo terminal here", allow_module_level=True)

from cli.conftest import Ckfunc

pytestmark = pytest.mark.usefixtures("measured_children")
TYPE = "user.attempted.start_session"
GREEN, COLOUR = "\x1b[32m", re.compile(r"\x1b\[\d+m")
SPINNER = f"{GREEN}- "  # its first frame


def on_terminal(*args: str | Path, answer: str | None = None, **environ: str) -> tuple[int, str]:
    """Run ckfunc on a new terminal, answer its question, and return its exit code and output."""
    return program_on_terminal("-m", "ckfunc", *args, answer=answer, **environ)


def program_on_terminal(*args: str | Path, answer: str | None = None, **environ: str) -> tuple[int, str]:
    ours, theirs = os.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "CI")}
    process = subprocess.Popen(
        [sys.executable, *map(str, args)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**kept, "TERM": "xterm", **environ},
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    until = time.monotonic() + 60
    try:
        while time.monotonic() < until:
            if not select.select([ours], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(ours, 65536)
            except OSError:  # Linux reports an error after the last program closed the terminal
                break
            if not data:
                break
            shown += data
            if answer is not None and b"[y/N]" in shown:
                os.write(ours, answer.encode() + b"\n")
                answer = None
        return process.wait(timeout=30), shown.decode()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)


@pytest.fixture
def local(project: Path) -> Path:
    """The project, with a protected emulator as its only target."""
    manifest = project / "functions.yaml"
    text = manifest.read_text(encoding="utf-8").replace("  remote: {}\ndefault_target: remote\n", "")
    manifest.write_text(text.replace("{emulator: true}", "{emulator: true, protected: true}"), encoding="utf-8")
    return project


def test_output_on_a_terminal_is_colored(tmp_path: Path) -> None:
    code, shown = on_terminal("init", tmp_path / "new")
    assert code == 0
    assert f"{GREEN}created" in shown


@pytest.mark.parametrize(
    ("args", "environ"),
    [
        (["--no-color"], {}),
        ([], {"NO_COLOR": "1"}),
        ([], {"TERM": "dumb"}),
        ([], {"NO_COLOR": "1", "FORCE_COLOR": "1"}),
    ],
)
def test_colors_on_a_terminal_can_be_disabled(args: list[str], environ: dict[str, str], tmp_path: Path) -> None:
    code, shown = on_terminal(*args, "init", tmp_path / "new", **environ)
    assert code == 0
    assert "created" in shown
    assert not COLOUR.search(shown)


def test_confirmation_for_a_protected_target_follows_the_plan(local: Path) -> None:
    code, shown = on_terminal("-C", local, "deploy", answer="n")
    assert code != 0
    assert shown.index("new, v1") < shown.index("[y/N]")
    assert "created" not in shown
    code, shown = on_terminal("-C", local, "deploy", answer="y")
    assert code == 0
    assert "created" in shown


def test_a_question_between_two_spinners_is_visible() -> None:
    program = """
import os, time
from ckfunc.cli.app import App
output = App(os.environ).output
with output.progress("working"):
    time.sleep(1.2)
    print("agreed" if output.confirmed("Is it well?", yes=False) else "declined")
    time.sleep(1.2)
"""
    code, shown = program_on_terminal("-c", program, answer="y")
    assert code == 0
    assert "Is it well? [y/N]" in shown
    assert "agreed" in shown
    assert shown.count(SPINNER) == 2


def test_no_questions_are_asked_on_a_terminal_if_ci_is_set(local: Path) -> None:
    code, shown = on_terminal("-C", local, "deploy", CI="true")
    assert code == 2
    assert "--yes" in shown


@pytest.mark.slow
def test_a_long_operation_shows_a_spinner(ckfunc: Ckfunc, local: Path) -> None:
    wait = "await new Promise((done) => setTimeout(done, 1500));"
    slow = f"async function handleEvent() {{\n  {wait}\n  return 'at last';\n}}\n"
    (local / "handlers/start.ts").write_text(slow, encoding="utf-8")
    assert ckfunc("-C", local, "deploy", "--yes").code == 0
    fire = ("trigger", TYPE, "--data", '{"username": "jane"}')
    assert ckfunc("-C", local, *fire).code == 0  # installs packages, which has a spinner of its own
    code, shown = on_terminal("-C", local, *fire)
    assert code == 0
    assert "running" in shown
    assert "at last" in shown
    quiet = on_terminal("-C", local, "-q", *fire)
    assert quiet[0] == 0
    assert "running" not in quiet[1]
    assert SPINNER in shown
    assert SPINNER not in quiet[1]


def test_unencodable_characters_are_replaced_in_the_output(ckfunc: Ckfunc, local: Path) -> None:
    command = [sys.executable, "-X", "utf8=0", "-m", "ckfunc", "-C", str(local)]
    environ = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii:strict"}
    assert ckfunc("-C", local, "deploy", "--yes").code == 0
    event = ["--data", '{"username": "J\\u00e4ne"}']
    done = subprocess.run([*command, "trigger", TYPE, *event], env=environ, check=True, capture_output=True)
    assert "Hello J?ne" in done.stdout.decode("ascii")
