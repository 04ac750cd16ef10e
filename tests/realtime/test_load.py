"""A thousand chat clients of one emulator."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.killable import Killable
from support.project_files import ROOT

CHANNELS, MEMBERS, SECONDS = 100, 10, 5

SEED = """
import json, sys
from bench.chatters import seed
print(json.dumps(seed(int(sys.argv[1]), int(sys.argv[2]))))
"""


def python(*arguments: str) -> str:
    """Run Python where the package `bench` is found."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_messages_reach_a_thousand_clients_exactly_once_and_in_order(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(python("-c", SEED, str(CHANNELS), str(MEMBERS)), encoding="utf-8")
    emulator = Killable(tmp_path / "data", "--seed", str(seed))
    try:
        counts = [f"--channels={CHANNELS}", f"--members={MEMBERS}", f"--seconds={SECONDS}"]
        found = json.loads(python("-m", "bench.chatters", emulator.url, *counts).splitlines()[-1])
    finally:
        emulator.kill()
    assert found["errors"] == []
    sent = CHANNELS * MEMBERS * SECONDS
    assert (found["clients"], found["sent"], found["delivered"]) == (CHANNELS * MEMBERS, sent, sent * MEMBERS)
    assert (found["lost"], found["twice"], found["disordered"]) == (0, 0, 0)
