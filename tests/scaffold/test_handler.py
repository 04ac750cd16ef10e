"""`ckfunc new`: a handler and its entry in the manifest, both or neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckfunc.base.errors import CkfuncError, UsageProblem
from ckfunc.model.triggers import BY_TYPE, TRIGGERS, event_type
from ckfunc.scaffold.project import add_handler, handler_path, handler_text
from ckfunc.scaffold.writing import FileAction, FilesExist

EMPTY = "version: 1\n"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "functions.yaml"
    path.write_text(EMPTY)
    return path


def test_a_new_handler_is_written_and_registered(tmp_path: Path, manifest: Path) -> None:
    [written] = add_handler(tmp_path, "user.sent.message")
    assert "user.sent.message:\n    handler: handlers/user-sent-message.ts\n" in manifest.read_text()
    assert written.path == tmp_path / "handlers" / "user-sent-message.ts"
    assert written.action is FileAction.CREATED
    assert "event: UserSentMessageEvent" in written.path.read_text()


def test_the_handler_is_removed_if_it_cannot_be_added_to_the_manifest(tmp_path: Path, manifest: Path) -> None:
    manifest.write_text("version: 1\nfunctions:\n  user.sent.message:\n    handler: mine.ts\n")
    with pytest.raises(CkfuncError, match=r"already has user\.sent\.message"):
        add_handler(tmp_path, "user.sent.message")
    assert list(tmp_path.iterdir()) == [manifest]


def test_an_existing_handler_is_neither_overwritten_nor_registered(tmp_path: Path, manifest: Path) -> None:
    path = tmp_path / "handlers" / "user-sent-message.ts"
    path.parent.mkdir()
    path.write_text("mine")
    with pytest.raises(FilesExist, match=r"^handlers/user-sent-message\.ts already exists"):
        add_handler(tmp_path, "user.sent.message")
    assert path.read_text() == "mine"
    assert manifest.read_text() == EMPTY
    [written] = add_handler(tmp_path, "user.sent.message", force=True)
    assert written.action is FileAction.OVERWRITTEN


def test_an_unknown_type_gets_a_handler_for_any_event(tmp_path: Path, manifest: Path) -> None:
    [written] = add_handler(tmp_path, "bogus.type_x")
    assert "bogus.type_x:\n    handler: handlers/bogus-type-x.ts\n" in manifest.read_text()
    assert "handleEvent(event: any, context: Context)" in written.path.read_text()


@pytest.mark.parametrize("given", ["../../etc/passwd", "user sent", "", "user..message"])
def test_an_invalid_type_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(UsageProblem, match="is not a trigger type") as failure:
        add_handler(tmp_path, given)
    assert failure.value.hint is not None
    assert "such as user.sent.message" in failure.value.hint
    assert list(tmp_path.iterdir()) == []


def test_each_handler_has_its_own_file() -> None:
    assert len({handler_path(trigger) for trigger in TRIGGERS}) == len(TRIGGERS) == 17


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: trigger.type)
def test_a_handler_has_a_comment_about_when_it_runs(trigger) -> None:  # type: ignore[no-untyped-def] # a row of the table
    text = handler_text(trigger)
    assert text.startswith(f"// {trigger.type}: {trigger.when}.\n")
    assert f"async function handleEvent(event: {event_type(trigger.type)}, context: Context) {{\n" in text
    assert text.endswith("\n}\n")


def test_the_handler_that_can_deny_a_session_contains_an_example() -> None:
    text = handler_text(BY_TYPE["user.attempted.start_session"])
    assert "a throw denies the session" in text
    assert "throw new Error(" in text
