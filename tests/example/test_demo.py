"""`make demo`, on real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parent.parent.parent / "example-project" / "demo.py"


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_the_demo_prints_the_output_described_in_the_readme(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "CHATKITTY_CLIENT_ID": "not-to-be-used",
    }
    done = subprocess.run(
        [sys.executable, str(DEMO)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for expected in (
        "$ ckfunc diff",
        "welcome back, jane@example.com",
        "You will hear from us in 2 hours (Deskline, automatically)",
        "$ ckfunc watch &",
        "Time from saving the file to the first answer of the new version",
        "Everything worked",
    ):
        assert expected in done.stdout
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("ckfunc-demo-")] == []
