"""Emulators behind a fault-injecting proxy, shared by a module or for one test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.conftest import ckfunc
from faults.world import World, world


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One emulator and proxy; tests reset it."""
    with world(tmp_path_factory.mktemp("faults")) as made:
        yield made


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    """An emulator and proxy of the test's own."""
    with world(tmp_path) as made:
        yield made


__all__ = ["ckfunc", "here", "shared"]
