"""Batches of file events, as caused by editors and users."""

from __future__ import annotations

import os
import queue
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ckfunc.watch import batches


class Watching:
    """`batches` in a thread; `next` returns what it yields."""

    def __init__(self, root: Path, files: set[Path]) -> None:
        self.files = files
        self.stop = threading.Event()
        self.wake = threading.Event()
        self.wake.set()
        self.found: queue.Queue[frozenset[Path]] = queue.Queue()
        self.hold = threading.Event()
        self.hold.set()
        self.thread = threading.Thread(target=self._run, args=(root,))
        self.thread.start()
        assert self.next() == frozenset()

    def _run(self, root: Path) -> None:
        for batch in batches(lambda: self.files, root, self.stop, wake=self.wake):
            self.found.put(batch)
            self.hold.wait()

    def next(self) -> frozenset[Path]:
        return self.found.get(timeout=20)

    def names(self) -> set[str]:
        return {path.name for path in self.next()}

    def quiet(self) -> bool:
        """Force a batch, and return whether it is empty."""
        self.wake.set()
        return self.next() == frozenset()

    def end(self) -> None:
        self.hold.set()
        self.stop.set()
        self.thread.join()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "handlers").mkdir()
    for name in ("functions.yaml", "handlers/a.ts", "handlers/b.ts"):
        (tmp_path / name).write_text(f"// {name}\n")
    return tmp_path


@pytest.fixture
def watching(root: Path) -> Iterator[Watching]:
    made = Watching(root, {root / "functions.yaml", root / "handlers/a.ts", root / "handlers/b.ts", root / ".env"})
    yield made
    made.end()


def test_a_saved_file_is_reported_once(root: Path, watching: Watching) -> None:
    (root / "handlers/a.ts").write_text("new")
    assert watching.names() == {"a.ts"}
    assert watching.quiet()


def test_touching_a_file_reports_nothing(root: Path, watching: Watching) -> None:
    os.utime(root / "handlers/a.ts")
    (root / "handlers/b.ts").write_text("// handlers/b.ts\n")
    assert watching.quiet()


def test_a_save_that_replaces_the_file_with_a_new_one_is_reported(root: Path, watching: Watching) -> None:
    for turn in range(3):
        temporary = root / "handlers/.a.ts.tmp"
        temporary.write_text(f"turn {turn}")
        temporary.replace(root / "handlers/a.ts")
        assert watching.names() == {"a.ts"}


def test_a_save_that_first_moves_the_old_file_is_one_change(root: Path, watching: Watching) -> None:
    (root / "handlers/a.ts").rename(root / "handlers/a.ts~")
    (root / "handlers/a.ts").write_text("as Vim saves")
    (root / "handlers/a.ts~").unlink()
    assert watching.names() == {"a.ts"}
    assert (root / "handlers/a.ts").exists()
    assert watching.quiet()


def test_after_a_burst_of_saves_the_last_content_is_reported(root: Path, watching: Watching) -> None:
    for turn in range(200):
        (root / "handlers/a.ts").write_text(f"turn {turn}")
    seen = watching.names()
    while not watching.quiet():
        pass
    assert seen == {"a.ts"}


def test_changes_while_the_caller_is_busy_are_in_the_next_batch(root: Path, watching: Watching) -> None:
    watching.hold.clear()
    (root / "handlers/a.ts").write_text("one")
    assert watching.names() == {"a.ts"}
    (root / "handlers/a.ts").write_text("two")
    (root / "handlers/b.ts").write_text("two")
    watching.hold.set()
    found: set[str] = set()
    while found != {"a.ts", "b.ts"}:
        found |= watching.names()


def test_creation_and_deletion_of_a_file_are_reported(root: Path, watching: Watching) -> None:
    (root / ".env").write_text("NAME=value\n")
    assert watching.names() == {".env"}
    (root / ".env").unlink()
    assert watching.names() == {".env"}


def test_a_directory_that_is_replaced_is_still_watched(root: Path, watching: Watching) -> None:
    shutil.rmtree(root / "handlers")
    assert watching.names() == {"a.ts", "b.ts"}
    (root / "handlers").mkdir()
    (root / "handlers/a.ts").write_text("back")
    assert watching.names() == {"a.ts"}
    (root / "handlers/a.ts").write_text("and changed")
    assert watching.names() == {"a.ts"}


def test_a_new_directory_is_watched(root: Path, watching: Watching) -> None:
    watching.files = {root / "lib/deep/c.ts"}
    assert watching.quiet()
    (root / "lib/deep").mkdir(parents=True)
    (root / "lib/deep/c.ts").write_text("here")
    assert watching.names() == {"c.ts"}
    (root / "lib/deep/c.ts").write_text("changed")
    assert watching.names() == {"c.ts"}


def test_the_set_of_files_may_change_between_batches(root: Path, watching: Watching) -> None:
    (root / "handlers/new.ts").write_text("not watched yet")
    assert watching.quiet()
    watching.files = {root / "handlers/new.ts"}
    assert watching.quiet()
    (root / "handlers/new.ts").write_text("watched")
    assert watching.names() == {"new.ts"}
    (root / "handlers/a.ts").write_text("no longer watched")
    assert watching.quiet()


def test_an_edit_of_a_new_file_while_the_caller_is_busy_is_in_the_next_batch(root: Path, watching: Watching) -> None:
    watching.hold.clear()
    watching.files = {root / "functions.yaml", root / "handlers/new.ts"}
    (root / "functions.yaml").write_text("names handlers/new.ts")
    assert watching.names() == {"functions.yaml"}
    (root / "handlers/new.ts").write_text("saved while the caller was busy")
    watching.hold.set()
    assert watching.names() == {"new.ts"}


def test_a_link_is_reported_when_its_target_changes(root: Path, watching: Watching) -> None:
    (root / "real.ts").write_text("one")
    (root / "handlers/link.ts").symlink_to(root / "real.ts")
    watching.files = {root / "handlers/link.ts"}
    assert watching.quiet()
    (root / "real.ts").write_text("two, and longer")
    assert watching.names() == {"link.ts"}


def test_stopping_ends_the_generator_and_its_threads(root: Path) -> None:
    before = threading.active_count()
    made = Watching(root, {root / "functions.yaml"})
    made.end()
    assert threading.active_count() == before
