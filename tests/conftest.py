"""Settings that hold for every test: no shell variables of the developer's, one cache for installed packages."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

# Installed npm packages are shared by all tests and runs: what is installed depends on the dependency list alone.
os.environ.setdefault("CKFUNC_CACHE_DIR", str(Path(__file__).parent.parent / ".cache" / "ckfunc"))
for _name in [name for name in os.environ if name.startswith("CHATKITTY_")]:
    del os.environ[_name]
os.environ["NO_COLOR"] = "1"
# Streams are buffered on a user's machine: what only comes up when Python ends must come up here too.
os.environ.pop("PYTHONUNBUFFERED", None)
# A run in the background of a shell ignores Ctrl-C, and hands that on to every process it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def shared_data() -> Path:
    """The directory with golden documents that ships with the tests."""
    return Path(__file__).parent / "golden"
