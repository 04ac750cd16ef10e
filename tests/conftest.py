"""Settings that hold for every test: no shell variables of the developer's, one cache for installed packages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Installed npm packages are shared by all tests and runs: what is installed depends on the dependency list alone.
os.environ.setdefault("CKFUNC_CACHE_DIR", str(Path(__file__).parent.parent / ".cache" / "ckfunc"))
for _name in [name for name in os.environ if name.startswith("CHATKITTY_")]:
    del os.environ[_name]
os.environ["NO_COLOR"] = "1"


@pytest.fixture
def shared_data() -> Path:
    """The directory with golden documents that ships with the tests."""
    return Path(__file__).parent / "golden"
