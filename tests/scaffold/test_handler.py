"""`ckfunc new`: a handler and its entry in the manifest, both or neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckfunc.base.errors import CkfuncError, UsageProblem
from ckfunc.model.triggers import BY_TYPE, TRIGGERS
from ckfunc.scaffold.project import handler_path, handler_text, new_handler
from ckfunc.scaffold.writing import FileAction, FilesExist


def test_a_new_handler_is_written_and_then_registered(tmp_path: Path) -> None:
    seen = []

    def register(trigger_type: str, path: str) -> None:
        assert (tmp_path / path).is_file()
        seen.append((trigger_type, path))

    [written] = new_handler(tmp_path, "user.sent.message", register=register)
    assert seen == [("user.sent.message", "handlers/user-sent-message.ts")]
    assert written.path == tmp_path / "handlers" / "user-sent-message.ts"
    assert written.action is FileAction.CREATED
    assert "event: UserSentMessageEvent" in written.path.read_text()


def test_the_handler_is_removed_if_it_cannot_be_added_to_the_manifest(tmp_path: Path) -> None:
    def refuse(trigger_type: str, path: str) -> None:
        raise CkfuncError(f"{trigger_type} is there already")

    with pytest.raises(CkfuncError, match="is there already"):
        new_handler(tmp_path, "user.sent.message", register=refuse)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_handler_is_neither_overwritten_nor_registered(tmp_path: Path) -> None:
    path = tmp_path / "handlers" / "user-sent-message.ts"
    path.parent.mkdir()
    path.write_text("mine")
    registered: list[str] = []
    with pytest.raises(FilesExist, match=r"^handlers/user-sent-message\.ts already exists"):
        new_handler(tmp_path, "user.sent.message", register=lambda *args: registered.extend(args))
    assert path.read_text() == "mine"
    assert registered == []
    [written] = new_handler(tmp_path, "user.sent.message", register=lambda *_: None, force=True)
    assert written.action is FileAction.OVERWRITTEN


def test_an_unknown_type_gets_a_handler_for_any_event(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    [written] = new_handler(tmp_path, "bogus.type_x", register=lambda *args: seen.append(args))
    assert seen == [("bogus.type_x", "handlers/bogus-type-x.ts")]
    assert "handleEvent(event: any, context: Context)" in written.path.read_text()


@pytest.mark.parametrize("given", ["../../etc/passwd", "user sent", "", "user..message"])
def test_an_invalid_type_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(UsageProblem, match="is not a trigger type") as failure:
        new_handler(tmp_path, given, register=lambda *_: None)
    assert failure.value.hint is not None
    assert "such as user.sent.message" in failure.value.hint
    assert list(tmp_path.iterdir()) == []


def test_each_handler_has_its_own_file() -> None:
    assert len({handler_path(trigger) for trigger in TRIGGERS}) == len(TRIGGERS) == 17


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: trigger.type)
def test_a_handler_has_a_comment_about_when_it_runs(trigger) -> None:  # type: ignore[no-untyped-def] # a row of the table
    text = handler_text(trigger)
    assert text.startswith(f"// {trigger.type}: {trigger.when}.\n")
    assert f"async function handleEvent(event: {trigger.event_type}, context: Context) {{\n" in text
    assert text.endswith("\n}\n")


def test_the_handler_that_can_deny_a_session_contains_an_example() -> None:
    text = handler_text(BY_TYPE["user.attempted.start_session"])
    assert "a throw denies the session" in text
    assert "throw new Error(" in text
