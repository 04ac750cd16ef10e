"""Watching of paths that are not regular files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from cli.conftest import HANDLER, MANIFEST
from support.commands import Command

from ckfunc.watch import Contents

if sys.platform == "win32":
    pytest.skip("named pipes and devices are not files on Windows", allow_module_level=True)


def test_a_file_replaced_by_a_pipe_a_device_or_a_directory_is_reported_as_changed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("text")
    contents = Contents([path])
    for make in (lambda: os.mkfifo(path), lambda: path.symlink_to("/dev/zero"), path.mkdir):
        path.rename(tmp_path / "before") if path.is_file() else None
        make()
        assert contents.changed() == {path}
        assert contents.changed() == frozenset()
        path.rmdir() if path.is_dir() else path.unlink()
        (tmp_path / "before").rename(path)
        assert contents.changed() == {path}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "handlers").mkdir()
    (tmp_path / "functions.yaml").write_text(MANIFEST)
    (tmp_path / "handlers/start.ts").write_text(HANDLER)
    return tmp_path


def test_watching_continues_after_a_file_was_a_pipe_or_a_device(project: Path) -> None:
    manifest, handler, env = project / "functions.yaml", project / "handlers/start.ts", project / ".env"
    manifest.write_text(manifest.read_text().replace("default_target: remote", "default_target: local"))
    text, script = manifest.read_text(), handler.read_text()
    with Command("-C", project, "watch", "--no-logs") as watch:
        watch.until("Deployed to local")
        for path in (manifest, handler):
            path.unlink()
            os.mkfifo(path)
            watch.until("is a named pipe, not a regular file")
            path.unlink()
            path.write_text({manifest: text, handler: script}[path])
            watch.until("fixed")
        env.symlink_to("/dev/zero")
        handler.write_text(script.replace("Hello", "Goodbye"))
        watch.until("v1 → v2")
        assert watch.interrupt() == 130
