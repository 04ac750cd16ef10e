"""Shell completion of commands, trigger types, targets and files, in real shells if installed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Ckfunc
from support.project_files import ROOT

from ckfunc.cli.main import COMMANDS
from ckfunc.model.triggers import TRIGGERS

TYPE = "user.attempted.start_session"


Offered = Callable[..., list[str]]


@pytest.fixture
def offered(ckfunc: Ckfunc, project: Path, monkeypatch: pytest.MonkeyPatch) -> Offered:
    """Return a function that lists the completions of the last word, as the bash script requests them."""

    def asked(*words: str) -> list[str]:
        line = ["ckfunc", "-C", str(project), *words]
        with monkeypatch.context() as patched:
            patched.setenv("_CKFUNC_COMPLETE", "bash_complete")
            patched.setenv("COMP_WORDS", " ".join(line))
            patched.setenv("COMP_CWORD", str(len(line) - 1))
            ran = ckfunc()
        assert (ran.code, ran.err) == (0, "")
        return [text.partition(",")[2] for text in ran.out.splitlines() if text]

    return asked


def test_commands_types_and_targets_are_completed(offered: Offered) -> None:
    assert set(offered("")) == set(COMMANDS)
    assert offered("dep") == ["deploy"]
    for command in ("versions", "show", "rollback", "diff", "logs", "trigger"):
        assert offered(command, "user.") == [TYPE], command
    assert offered("new", "user.") == [
        trigger.type for trigger in TRIGGERS if trigger.type.startswith("user.") and trigger.type != TYPE
    ]
    assert offered("deploy", "--target", "") == ["local", "remote"]
    assert "--blame" in offered("versions", "--")
    assert offered("deploy", "--watch-for", "") == ["10m", "90s", "1h30m", "none"]
    assert offered("deploy", "--max-failures", "0") == ["0%", "0.5%"]


def test_paths_are_completed_in_the_directory_of_the_command(offered: Offered, project: Path) -> None:
    (project / "event.json").write_text("{}")
    assert offered("invoke", TYPE, "--event", "eve") == ["event.json"]
    assert offered("trigger", TYPE, "--data", "@eve") == ["@event.json"]
    assert offered("test", "functions.y") == ["functions.yaml"]
    (project / "event").mkdir()
    assert offered("emulator", "--data-dir", "eve") == ["event/"]
    for absolute in ("~/eve", str(project / "eve")):  # the shell completes these itself
        assert offered("invoke", TYPE, "--event", absolute) == [absolute]


def test_the_directory_of_the_command_may_begin_with_a_tilde(
    offered: Offered, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "event.json").write_text("{}")
    monkeypatch.setenv("HOME", str(project.parent))
    monkeypatch.setenv("USERPROFILE", str(project.parent))
    assert offered("-C", f"~/{project.name}", "invoke", TYPE, "--event", "eve") == ["event.json"]


def test_completion_works_with_an_invalid_manifest_or_unknown_command(offered: Offered, project: Path) -> None:
    (project / "functions.yaml").write_text("functions: [")
    assert len(offered("versions", "")) == len(TRIGGERS)
    assert offered("deploy", "--target", "") == []
    assert set(offered("nonsense", "")) == set(COMMANDS)


def test_commands_are_completed_with_help_without_loading_them() -> None:
    script = """
import sys, click
from ckfunc.cli.main import COMMANDS, cli
items = cli.shell_complete(click.Context(cli), "")
assert {item.value: item.help for item in items} == COMMANDS
print([name for name in sys.modules if name.startswith("ckfunc.cli.commands.")])
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_printed_completion_script_is_valid(ckfunc: Callable[..., Any], shell: str, tmp_path: Path) -> None:
    ran = ckfunc("completion", shell)
    assert ran.code == 0
    assert "_CKFUNC_COMPLETE" in ran.out
    if program := shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(ran.out)
        subprocess.run([program, "-n", str(script)], check=True)


def test_an_unsupported_shell_is_refused(ckfunc: Callable[..., Any]) -> None:
    assert ckfunc("completion", "tcsh").code == 2


# -- in real shells ------------------------------------------------------------------------------------------------


@pytest.fixture
def shells(project: Path, tmp_path: Path, ckfunc: Callable[..., Any]) -> Path:
    """A directory with `ckfunc` as a program and a completion script for each shell, and a project with events."""
    program = tmp_path / "bin/ckfunc"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ckfunc "$@"\n')
    program.chmod(0o755)
    for shell in ("bash", "zsh", "fish"):
        (tmp_path / f"completion.{shell}").write_text(ckfunc("completion", shell).out)
    (project / "events").mkdir()
    for name in ("event.json", "events/first.json", "events/second.json"):
        (project / name).write_text("{}")
    return tmp_path


def in_shell(shells: Path, shell: str, script: str, *options: str) -> list[str]:
    """Run a script in a shell with its completion script and without the user's startup files."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    environ = {
        **os.environ,
        "PATH": f"{shells / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(shells),
        "XDG_CONFIG_HOME": str(shells / "config"),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [program, *options, "-c", f"source {shlex.quote(str(shells / f'completion.{shell}'))}\n{script}"],
        env=environ,
        cwd=shells,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


LINES = [
    ("ckfunc depl", ["deploy"]),
    ("ckfunc help emulator se", ["seed"]),
    ("ckfunc deploy --only runt", ["runtime"]),
    ("ckfunc diff --only user.", [TYPE]),
    (f"ckfunc trigger {TYPE} --data @event.", ["@event.json"]),
    (f"ckfunc trigger {TYPE} --data @events", ["@events/", "@events/first.json", "@events/second.json"]),
    ("ckfunc api POST /v1/users --data @events/s", ["@events/second.json"]),
    ("ckfunc rollback user.att", [TYPE]),
]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [pytest.param(*line, marks=pytest.mark.slow if number % 3 else ()) for number, line in enumerate(LINES)],
)
def test_bash_completes_words_and_files_after_an_at_sign(shells: Path, line: str, wanted: list[str]) -> None:
    call = f"COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)}; _ckfunc_completion ckfunc"
    found = in_shell(shells, "bash", f'{call}; printf "%s\\n" "${{COMPREPLY[@]}}"', "--norc")
    # Bash replaces only the text after the `@`.
    assert sorted(found) == sorted(word.removeprefix("@") for word in wanted)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        pytest.param(line, wanted, marks=() if number in (0, 1, 4) else pytest.mark.slow)
        for number, (line, wanted) in enumerate(LINES)
    ],
)
def test_fish_completes_words_and_files_after_an_at_sign(shells: Path, line: str, wanted: list[str]) -> None:
    found = in_shell(shells, "fish", f"complete -C {shlex.quote(line)}", "--no-config")
    assert sorted(line.partition("\t")[0] for line in found) == sorted(wanted)


def test_a_new_zsh_loads_the_completion_script(shells: Path) -> None:
    assert in_shell(shells, "zsh", "print -r -- $_comps[ckfunc]", "-f") == ["_ckfunc_completion"]


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal is a POSIX pseudo terminal here")
def test_a_new_zsh_completes_a_word_on_tab(shells: Path) -> None:
    from support.terminals import Running

    program = shutil.which("zsh")
    if program is None:
        pytest.skip("zsh is not installed")
    ours, theirs = os.openpty()
    kept = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    path = f"{shells / 'bin'}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        [program, "-f", "-i"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=shells,
        env={**kept, "PATH": path, "TERM": "xterm", "HOME": str(shells), "PYTHONPATH": str(ROOT), "PS1": "$ "},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        zsh = Running(process, ours)
        zsh.until(r"\$ ")
        zsh.press(f"source {shells / 'completion.zsh'}; print rea''dy\n")
        assert "not found" not in zsh.until(r"[\s\S]*\nready")[0]
        zsh.press(f"ckfunc trigger {TYPE} --data @event.\t")
        zsh.until(r"@event\.json")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_emulator_users_and_channels_are_completed(offered: Offered, ckfunc: Ckfunc, project: Path) -> None:
    assert offered("emulator", "messages", "--channel", "") == []
    seed = "users: [{name: jane}, {name: john doe}]\nchannels: [{name: support}, {name: sales}]\n"
    (project / "people.yaml").write_text(seed)
    assert ckfunc("-C", project, "emulator", "seed", "people.yaml").code == 0
    assert offered("emulator", "messages", "--channel", "su") == ["support"]
    assert offered("emulator", "users", "--channel", "") == ["sales", "support"]
    assert offered("emulator", "channels", "--user", "j") == ["jane"]
    assert offered("chat", "--as", "") == ["jane"]
    assert offered("chat", "--as", "jane", "--channel", "sa") == ["sales"]
