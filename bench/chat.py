"""Chat clients: delivery latency, memory and processor time with many of them, and with idle ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.chatters import ChatLoad, seed
from bench.harness import CKFUNC, ROOT, SCRATCH, Figure, talk
from bench.processes import Running, memory_bytes, running
from bench.subjects import Subject
from ckfunc.emulator.data import seed_data
from ckfunc.wire.jobs import read_seed

IDLE_S = 10.0


def measure(subjects: Sequence[Subject], channels: int = 100, members: int = 10, seconds: float = 60) -> list[Figure]:
    """Every member of every channel sends a message a second, and then none does anything."""
    subject = next(subject for subject in subjects if subject.name == "ckfunc")
    data = SCRATCH / "chat"
    shutil.rmtree(data, ignore_errors=True)
    seed_data(data, read_seed(seed(channels, members)))
    command = [CKFUNC, "emulator", "--port", "0", "--data-dir", str(data)]
    with running(command, subject.env, SCRATCH) as server:
        talk(f"{channels * members} chat clients, a message a second from each for {seconds:g} s")
        found, busy, memory = _chat(server, channels, members, seconds)
        talk(f"{channels * members} idle chat clients")
        idle = _idle(server, channels, members)
    shutil.rmtree(data, ignore_errors=True)
    what = f"{found.clients} chat clients"
    wrong = found.lost + found.twice + found.disordered + len(found.errors)
    note = f"{found.sent:,} messages, {found.delivered:,} deliveries"
    return [
        Figure(f"{what}: messages lost, twice or out of order", "", {"ckfunc": wrong}, "none", not wrong, note=note),
        Figure(f"{what}: delivery, p50", "s", {"ckfunc": found.p50_s}),
        Figure(f"{what}: delivery, p99", "s", {"ckfunc": found.p99_s}),
        Figure(f"{what}: memory of the emulator", "B", {"ckfunc": memory}),
        Figure(
            f"{what}: processor time for each message",
            "s",
            {"ckfunc": busy / found.sent},
            "under 1 ms",
            busy / found.sent < 0.001,
            note="then one core keeps up",
        ),
        Figure(f"{what}, idle: processor time in a second", "s", {"ckfunc": idle}, "under 1 %", idle < 0.01),
    ]


def _chat(server: Running, channels: int, members: int, seconds: float) -> tuple[ChatLoad, float, int]:
    """Return the result, the processor time of the emulator in seconds, and its memory in bytes."""
    process = _chatters(server.url, channels, members, seconds)
    before = processor_s(server.pid)
    assert process.stdout is not None
    text = process.stdout.read()
    busy = processor_s(server.pid) - before
    memory = memory_bytes(server.pid)
    assert process.wait() == 0
    document = json.loads(text)
    return ChatLoad(**{**document, "errors": tuple(document["errors"])}), busy, memory


def _idle(server: Running, channels: int, members: int) -> float:
    """Return the processor time of the emulator in a second, with clients that do nothing."""
    process = _chatters(server.url, channels, members, 0, "--stay")
    time.sleep(2)
    before = processor_s(server.pid)
    time.sleep(IDLE_S)
    used = processor_s(server.pid) - before
    process.kill()
    process.communicate()
    return used / IDLE_S


def _chatters(url: str, channels: int, members: int, seconds: float, *more: str) -> subprocess.Popen[str]:
    """Start the clients, and return when all chat sessions are open."""
    counts = [f"--channels={channels}", f"--members={members}", f"--seconds={seconds}"]
    command = [sys.executable, "-m", "bench.chatters", url, *counts, *more]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "began\n"
    return process


def processor_s(pid: int) -> float:
    """Return the processor time of a process so far; 0 on a system without /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
