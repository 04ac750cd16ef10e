"""The local workflow with filled caches: without a network, and without outgoing connections."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import without_network

SENT = "user.sent.message"
MANIFEST = f"""\
version: 1
default_target: local
runtime:
  dependencies: {{ms: 2.1.3}}
  environment: {{GREETING: hello}}
functions:
  {SENT}:
    handler: handlers/sent.ts
targets:
  local: {{emulator: true}}
"""
HANDLER = """\
import ms from "ms";
import { greeting } from "../lib/greeting";

async function handleEvent(event: UserSentMessageEvent, context: Context) {
  return { said: greeting(event.user.name), minute: ms("1m") };
}
"""
LIB = "export const greeting = (name: string): string => `${process.env.GREETING} ${name}`;\n"
CASES = f"""\
type: {SENT}
cases:
  - name: greets
    sample: true
    expect: {{result: {{said: hello jane@example.com, minute: 60000}}}}
"""


def project(root: Path) -> Path:
    for name, text in {
        "functions.yaml": MANIFEST,
        "handlers/sent.ts": HANDLER,
        "lib/greeting.ts": LIB,
        "tests/sent.yaml": CASES,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def walk(ckfunc: Callable[..., str], root: Path) -> None:
    """Run the developer's workflow; every step must succeed."""
    event = json.dumps(
        {"user": {"id": 1, "name": "jane"}, "channel": {"id": 1}, "message": {"type": "TEXT", "body": "x"}}
    )
    ckfunc("types")
    assert "no errors" in ckfunc("check")
    assert '"said": "hello ' in ckfunc("invoke", SENT)
    assert "1 passed" in ckfunc("test")
    assert "3 created" in ckfunc("deploy", "--gate", "check,test,replay", "--allow-removals")
    assert "hello jane" in ckfunc("trigger", SENT, "--data", event)
    assert "hello jane" in ckfunc("logs")
    handler = root / "handlers/sent.ts"
    text = handler.read_text().replace("return { said: greeting(", "const said = greeting(")
    handler.write_text(text.replace('name), minute: ms("1m") }', 'name);\n  return { said, minute: ms("1m") }'))
    assert "0 different" in ckfunc("replay", SENT)
    assert "→" in ckfunc("deploy", "--gate", "check,test,replay")


@pytest.mark.slow
def test_the_whole_workflow_runs_offline_with_filled_caches(tmp_path: Path) -> None:
    cut_off = [sys.executable, without_network.__file__] if without_network.possible() else []

    def runner(root: Path, *, cut: bool) -> Callable[..., str]:
        def run(*arguments: str) -> str:
            ran = subprocess.run(
                [*(cut_off if cut else []), sys.executable, "-m", "ckfunc", "-C", str(root), *arguments],
                env=without_network.environment() if cut else None,
                capture_output=True,
                text=True,
                timeout=100,
                check=False,
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr
            return ran.stdout + ran.stderr

        return run

    online, offline = project(tmp_path / "online"), project(tmp_path / "offline")
    walk(runner(online, cut=False), online)
    walk(runner(offline, cut=True), offline)


LOOPBACK = re.compile(r"AF_UNIX|AF_UNSPEC|AF_NETLINK|inet_addr\(\"127\.|\"::1\"|\"::ffff:127\.")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_whole_workflow_connects_only_to_loopback_addresses(tmp_path: Path) -> None:
    traces = tmp_path / "traces"
    traces.mkdir()
    sending = "trace=connect,sendto,sendmsg,sendmmsg"

    def runner(root: Path, *, trace: bool) -> Callable[..., str]:
        def run(*arguments: str) -> str:
            file = traces / f"{len(list(traces.iterdir()))}-{arguments[0]}"
            strace = ["strace", "--follow-forks", "--quiet=all", f"--output={file}", "-e", sending]
            ran = subprocess.run(
                [*(strace if trace else []), sys.executable, "-m", "ckfunc", "-C", str(root), *arguments],
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr
            return ran.stdout + ran.stderr

        return run

    first, second = project(tmp_path / "first"), project(tmp_path / "second")
    walk(runner(first, trace=False), first)  # fills the caches
    walk(runner(second, trace=True), second)
    runner(second, trace=True)("doctor")
    calls = [line for trace in traces.iterdir() for line in trace.read_text(errors="replace").splitlines()]
    addressed = [line for line in calls if "sa_family=" in line]
    assert any("127.0.0.1" in line for line in addressed), "the calls to the emulator were not seen"
    assert [line for line in addressed if not LOOPBACK.search(line)] == []


@pytest.mark.skipif(not without_network.possible(), reason="no network namespace can be made here")
def test_the_offline_sandbox_allows_only_loopback_connections() -> None:
    reach = "import socket; socket.create_connection(('192.0.2.1', 80), 2)"
    ran = subprocess.run(
        [sys.executable, without_network.__file__, sys.executable, "-c", reach], capture_output=True, check=False
    )
    assert ran.returncode == 1 and b"unreachable" in ran.stderr
