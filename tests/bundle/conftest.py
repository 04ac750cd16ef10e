"""Fixtures for tests of bundling: projects and a bundler."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from bundle.sources import Make, written

from ckfunc.bundle.project import Bundler
from ckfunc.model.project import Project


@pytest.fixture(scope="session")
def cache() -> Path:
    return Path(os.environ["CKFUNC_CACHE_DIR"])


@pytest.fixture
def bundler(cache: Path, tmp_path: Path) -> Bundler:
    """A bundler with esbuild and an empty cache."""
    mine = tmp_path / "cache"
    mine.mkdir()
    (cache / "runtimes").mkdir(parents=True, exist_ok=True)
    (mine / "runtimes").symlink_to(cache / "runtimes")
    return Bundler(mine)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write files (by path) and return the project; the handlers are the files in handlers/, of types `type.STEM`."""

    def project(files: Mapping[str, str], *, init: str | None = None, at: str = "project") -> Project:
        found = {f"type.{Path(path).stem}": path for path in files if path.startswith("handlers/")}
        return written(tmp_path / at, files, found, init)

    return project
