"""An emulator in a separate process, which a test can kill."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


class Killable:
    """A running emulator with a data directory; `url` is its address."""

    def __init__(self, data_dir: Path, *options: str, port: int = 0) -> None:
        command = [sys.executable, "-m", "ckfunc", "-q", "emulator", "--port", str(port), "--data-dir", str(data_dir)]
        # Not measured by coverage: what it collected would be lost with it.
        environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        self.process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, text=True, cwd=data_dir.parent, env=environ
        )
        assert self.process.stdout is not None
        word, _, self.url = self.process.stdout.readline().strip().partition(" ")
        assert word == "ready"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
