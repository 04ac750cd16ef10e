"""Frames, the Node executable, the warden, scripts on disk and exit descriptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ckfunc.base.errors import NodeMissing
from ckfunc.model.execution import Compiled, Limits
from ckfunc.runtime.compiler import CompilerProcess
from ckfunc.runtime.frames import BrokenStream, Decoder, encode
from ckfunc.runtime.node import (
    NODE_MAJOR,
    bare_environment,
    node_executable,
    node_major,
    node_version,
    npm_script,
    shim_directory,
)
from ckfunc.runtime.processes import Places, Warden, death, host_command, kill_group, resident_bytes, start_group
from ckfunc.runtime.scripts import CompiledCode, forget_old, place

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_frames_are_read_in_chunks_of_any_size(size):
    messages = [({"op": "a", "text": "ü\ud800"}, ""), ({}, "body ü 😀"), ({"n": [1, None]}, "x" * 5000)]
    data = b"".join(encode(*message) for message in messages)
    decoder = Decoder()
    found = [frame for at in range(0, len(data), size) for frame in decoder.feed(data[at : at + size])]
    assert found == messages


@pytest.mark.parametrize(
    "data",
    [
        b"xxxxxxxxxxxx",
        b"\x00\x00\x00\x02\x00\x00\x00\x09",
        encode({}, "")[:8].replace(b"\x00\x02", b"\x00\x02") + b"{]",
        b"\x00\x00\x00\x06\x00\x00\x00\x02[]",
        b"\x00\x00\x00\x07\x00\x00\x00\x02{}\xff",
    ],
)
def test_an_invalid_frame_is_refused(data):
    with pytest.raises(BrokenStream):
        list(Decoder().feed(data))


def test_the_default_node_is_the_one_installed_with_ckfunc():
    assert node_version(node_executable()).startswith(f"v{NODE_MAJOR}.")
    assert npm_script().is_file()


def test_another_node_can_be_selected(monkeypatch, tmp_path):
    real = node_executable()
    monkeypatch.setenv("CKFUNC_NODE", str(real))
    assert node_executable().samefile(real)
    assert node_version(real).startswith(f"v{node_major()}.")
    assert npm_script().is_file()
    monkeypatch.setenv("CKFUNC_NODE", str(tmp_path / "absent"))
    with pytest.raises(NodeMissing, match="which is not a program"):
        node_executable()


@posix_only
@pytest.mark.parametrize(
    ("line", "message"), [("exit 3", "cannot be run as Node"), ("echo hi", "is not Node"), ("exit 0", "is not Node")]
)
def test_a_program_that_is_not_node_is_refused(monkeypatch, tmp_path, line, message):
    impostor = tmp_path / "node"
    impostor.write_text(f"#!/bin/sh\n{line}\n")
    impostor.chmod(0o755)
    monkeypatch.setenv("CKFUNC_NODE", str(impostor))
    with pytest.raises(NodeMissing, match=message) as raised:
        node_version(node_executable())
    assert "unset it to use the Node that ckfunc installs" in (raised.value.hint or "")


@posix_only
def test_a_node_that_is_too_old_is_refused(monkeypatch, tmp_path):
    older = tmp_path / "node"
    older.write_text('#!/bin/sh\necho v22.23.3\necho "$0"\n')
    older.chmod(0o755)
    monkeypatch.setenv("CKFUNC_NODE", str(older))
    with pytest.raises(NodeMissing, match=r"CKFUNC_NODE is Node v22\.23\.3, which is too old"):
        node_executable()


@posix_only
def test_a_script_that_starts_node_is_replaced_by_that_node(monkeypatch, tmp_path):
    real = node_executable()
    script = tmp_path / "node"
    # Managers print which version they use, maybe in another encoding than UTF-8.
    script.write_text('#!/bin/sh\nprintf "\\351t\\351: using Node\\n"\nexec "${MANAGER_HOME:?}/node" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("MANAGER_HOME", str(real.parent))
    monkeypatch.setenv("NODE_OPTIONS", "--no-such-option")
    monkeypatch.setenv("CKFUNC_NODE", str(script))
    assert node_executable().samefile(real)


@posix_only
def test_the_path_of_node_may_have_accents_in_every_locale(monkeypatch, tmp_path):
    node = tmp_path / "éà"
    node.write_text('#!/bin/sh\necho v24.1.0\necho "$0"\n')
    node.chmod(0o755)
    monkeypatch.setattr("locale.getencoding", lambda: "cp1252")
    monkeypatch.setattr("locale.getpreferredencoding", lambda _=True: "cp1252")
    monkeypatch.setenv("CKFUNC_NODE", str(node))
    assert node_executable() == node


@posix_only
def test_handlers_may_use_the_network_on_a_newer_node(monkeypatch, tmp_path):
    places = Places(tmp_path, tmp_path, tmp_path, tmp_path)
    assert "--allow-net" not in host_command(places, Limits(), confined=False)
    newer = tmp_path / "node"
    newer.write_text('#!/bin/sh\necho v25.9.0\necho "$0"\n')
    newer.chmod(0o755)
    monkeypatch.setenv("CKFUNC_NODE", str(newer))
    assert "--allow-net" in host_command(places, Limits(), confined=False)


@posix_only
@pytest.mark.parametrize("line", ["sleep 60", '[ "$1" = -p ] && echo v24.1.0 && echo "$0" && exit\nsleep 60'])
def test_a_node_that_never_answers_is_named(monkeypatch, tmp_path, line):
    silent = tmp_path / "node"
    silent.write_text(f"#!/bin/sh\n{line}\n")
    silent.chmod(0o755)
    monkeypatch.setenv("CKFUNC_NODE", str(silent))
    for module in ("node", "compiler"):
        monkeypatch.setattr(f"ckfunc.runtime.{module}.START_S", 0.3)
    compiler = CompilerProcess()
    with pytest.raises(NodeMissing, match=rf"{silent} did not answer within 0\.3 s") as caught:
        compiler.compile([("a.ts", "function handleEvent() {}")])
    assert "unset it" in caught.value.hint
    compiler.close()
    if "-p" not in line:
        with pytest.raises(NodeMissing, match="did not answer"):
            node_version(silent)


@posix_only
def test_the_shim_directory_contains_only_node(tmp_path):
    directory = shim_directory(tmp_path)
    assert shim_directory(tmp_path) == directory
    assert [path.name for path in directory.iterdir()] == ["node"]
    assert (directory / "node").resolve() == node_executable().resolve()


@posix_only
def test_the_shim_directory_is_that_of_node_on_a_disk_without_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert shim_directory(tmp_path) == node_executable().parent


def test_the_bare_environment_has_no_variables_of_the_developer():
    kept = bare_environment({"HOME": "/home/x", "PATH": "/bin", "SystemRoot": "C:\\Windows", "SECRET": "x"})
    assert kept == {"SystemRoot": "C:\\Windows", "TZ": "UTC", "LANG": "C.UTF-8"}


@pytest.mark.parametrize(
    ("code", "text"),
    [(0, "ended with exit code 0"), (7, "ended with exit code 7"), (-9, "was ended by SIGKILL"), (-99, "signal 99")],
)
@posix_only
def test_the_end_of_a_process_is_described(code, text):
    assert text in death(code)


def sleeper() -> subprocess.Popen[bytes]:
    null = subprocess.DEVNULL
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    return start_group(command, cwd=Path.cwd(), env=dict(os.environ), stdin=null, stdout=null, stderr=null)


@posix_only
def test_a_closed_warden_kills_watched_processes_and_not_released_ones():
    left, released = sleeper(), sleeper()
    try:
        with Warden() as warden:
            warden.watch(left.pid)
            warden.watch(released.pid)
            warden.release(released.pid)
            warden.release(4_000_000)
        assert left.wait(timeout=20) == -signal.SIGKILL
        assert released.poll() is None
    finally:
        for process in (left, released):
            kill_group(process)
            process.wait()


@posix_only
def test_a_killed_warden_is_replaced():
    process = sleeper()
    try:
        with Warden() as warden:
            warden.watch(process.pid)
            os.kill(warden._process.pid, signal.SIGKILL)
            warden._process.wait()
            warden.watch(process.pid)
        assert process.wait(timeout=20) == -signal.SIGKILL
    finally:
        kill_group(process)
        process.wait()
    kill_group(process)  # killing an ended process does nothing


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc")
def test_the_memory_of_an_existing_process_is_measured():
    assert resident_bytes(os.getpid()) > 1_000_000
    assert resident_bytes(4_000_000) is None


def test_the_file_name_of_a_script_depends_on_its_content(tmp_path):
    script = Compiled("handlers/on message.ts", "function handleEvent() {}", "{}", "cjs")
    placed = place(script, tmp_path)
    assert place(script, tmp_path) == placed
    assert Path(placed["file"]).name.startswith("on-message-")
    assert Path(placed["file"]).suffix == ".cjs"
    other = place(Compiled("handlers/on message.ts", "function handleEvent() { }", "{}", "cjs"), tmp_path)
    assert other["file"] != placed["file"]


def test_new_compiled_code_is_not_removed_even_if_copied_from_old_code(tmp_path):
    runtime = tmp_path / "packages"
    clean = tmp_path / "compiled" / f"{runtime.name}-clean"
    clean.mkdir(parents=True)
    (clean / "code").write_text("code")
    year_ago = time.time() - 365 * 24 * 3600
    os.utime(clean, (year_ago, year_ago))
    made = [CompiledCode(tmp_path, f"owner {number}").directory(runtime) for number in range(40)]
    assert (made[-1] / "code").read_text() == "code"
    assert not made[0].exists()  # used least recently
    assert clean.exists()


def test_scripts_unused_for_weeks_are_removed(tmp_path):
    scripts, others = (CompiledCode(tmp_path, owner).scripts(tmp_path) for owner in ("this project", "another"))
    old, used = (place(Compiled(f"{name}.ts", "", "{}", "mjs"), scripts) for name in ("old", "used"))
    theirs = place(Compiled("old.ts", "", "{}", "mjs"), others)
    month_ago = time.time() - 30 * 24 * 3600
    for placed in (old, used, theirs):
        for file in (placed["file"], placed["map"]):
            os.utime(file, (month_ago, month_ago))
    place(Compiled("used.ts", "", "{}", "mjs"), scripts)
    forget_old(scripts)
    assert not Path(old["file"]).exists()
    assert Path(used["file"]).exists()
    assert Path(theirs["file"]).exists()  # the other project has run since then
    os.utime(others, (month_ago, month_ago))
    forget_old(scripts)
    assert not others.exists()
    forget_old(tmp_path / "nothing")
