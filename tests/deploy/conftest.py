"""A stateful application behind a real server, a client, and an empty project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.world import World, world


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made
