"""Events of a chat, shown as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ckfunc.base.text import plain
from ckfunc.chat.events import (
    ChatEvent,
    MembersListed,
    MessageChange,
    MessageEvent,
    PresenceChange,
    PresenceEvent,
    ReactionEvent,
    ReadEvent,
    RunEvent,
    SessionChange,
    SessionEvent,
    TypingEvent,
)
from ckfunc.chat.lines import ChatView, event_lines, event_record
from ckfunc.logs.entries import LogEntry
from ckfunc.model.application import Invocation, InvocationDetail, Status
from ckfunc.model.chat import ChannelEvent, File, Message, MessageType, Presence, User

NOW = datetime(2026, 11, 27, 12, 0, 5, tzinfo=UTC)
SENT = datetime(2026, 11, 27, 12, 0, 1, tzinfo=UTC)
JANE, BOB = User(1, "jane", "Jane Doe"), User(2, "bob\u202e", "Bob", presence=Presence("AVAILABLE", True))


def message(body: str | None = "hello", user: User | None = BOB, **more: Any) -> Message:
    return Message(more.pop("id", 7), more.pop("type", MessageType.TEXT), 3, SENT, user, body, **more)


def sent(*args: Any, parent_id: int | None = None, **more: Any) -> MessageEvent:
    return MessageEvent(MessageChange.SENT, message(*args, **more), parent_id)


def run(status: Status, result: dict[str, Any]) -> RunEvent:
    invocation = Invocation(9, 2, status, {"username": "jane"}, result, SENT)
    return RunEvent(LogEntry("user.sent.message", invocation, InvocationDetail(9, (), 12.5)))


FAILURE = {"error": {"name": "Error", "message": "no\x1b[31m", "stack": "Error: no\n    at handleEvent (a.ts:1:1)"}}


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (sent(), ["12:00:01 [7] bob\\u202e: hello"]),
        (sent("two\nlines\x07", JANE), ["12:00:01 [7] jane: two", "  lines\\u0007"]),
        (sent("yes", None, parent_id=6), ["12:00:01 [7] system to [6]: yes"]),
        (
            sent(None, type=MessageType.FILE, file=File("http://x/f", "a\u200b.txt", "text/plain", 1500)),
            ["12:00:01 [7] bob\\u202e: (a\\u200b.txt, 1.5 kB) http://x/f"],
        ),
        (MessageEvent(MessageChange.EDITED, message()), ["12:00:05 [7] bob\\u202e edited: hello"]),
        (MessageEvent(MessageChange.DELETED, message()), ["12:00:05 [7] bob\\u202e's message was deleted: hello"]),
        (ReactionEvent(BOB, "👍", 7, removed=False), ["12:00:05 bob\\u202e reacted 👍 to [7]"]),
        (ReactionEvent(JANE, "👍", 7, removed=True), ["12:00:05 jane removed 👍 from [7]"]),
        (PresenceEvent(BOB, PresenceChange.ONLINE), ["12:00:05 bob\\u202e is online"]),
        (PresenceEvent(BOB, PresenceChange.CLOSED), ["12:00:05 bob\\u202e closed the channel"]),
        (PresenceEvent(JANE, PresenceChange.OPENED), []),
        (TypingEvent(BOB, typing=True), ["12:00:05 bob\\u202e is typing"]),
        (TypingEvent(JANE, typing=True), []),
        (ReadEvent(BOB, 7, unread=False), ["12:00:05 bob\\u202e read [7]"]),
        (ReadEvent(BOB, 7, unread=True), ["12:00:05 bob\\u202e marked [7] as unread"]),
        (ChannelEvent("open.door", {"a": "\u202e"}, None), ['12:00:05 system triggered open.door {"a": "\\u202e"}']),
        (MembersListed((JANE, BOB)), ["12:00:05 members: jane offline, bob\\u202e online"]),
        (
            SessionEvent(SessionChange.RESTORED, 3, "support"),
            ["12:00:05 connected again as jane to support (channel 3)"],
        ),
        (run(Status.SUCCEEDED, {"payload": 1}), ["12:00:05 ƒ [9] user.sent.message v2 SUCCEEDED 12 ms"]),
        (
            run(Status.FAILED, FAILURE),
            ["12:00:05 ƒ [9] user.sent.message v2 FAILED 12 ms", "  Error: no", "    at handleEvent (a.ts:1:1)"],
        ),
    ],
)
def test_an_event_is_shown_with_hidden_characters_as_escapes(event: ChatEvent, shown: list[str]) -> None:
    assert [plain(line) for line in event_lines(event, ChatView("jane"), NOW)] == shown


def test_a_very_long_message_is_truncated_on_a_terminal() -> None:
    lines = event_lines(sent("x" * 5000), ChatView("jane"), NOW)
    assert [len(plain(line)) for line in lines[:1]] == [len("12:00:01 [7] bob\\u202e: ") + 4000]
    assert plain(lines[1]) == "  … 1,000 more characters; --json has all of them"
    (line,) = event_lines(sent("x" * 5000), ChatView("jane", flat=True), NOW)
    assert plain(line).endswith("x" * 5000)


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (sent("two\r\nlines\nhere"), "12:00:01 [7] bob\\u202e: two\\nlines\\nhere"),
        (run(Status.FAILED, FAILURE), "12:00:05 ƒ [9] user.sent.message v2 FAILED 12 ms  Error: no"),
    ],
)
def test_an_event_is_printed_on_one_line_in_a_pipe(event: ChatEvent, shown: str) -> None:
    assert [plain(line) for line in event_lines(event, ChatView("jane", flat=True), NOW)] == [shown]


def test_a_message_from_another_day_is_shown_with_its_date() -> None:
    (line,) = event_lines(sent(), ChatView("jane"), datetime(2026, 11, 28, tzinfo=UTC))
    assert plain(line).startswith("2026-11-27 12:00:01 [7]")


def test_a_run_is_shown_with_its_result_if_details_are_on() -> None:
    lines = event_lines(run(Status.SUCCEEDED, {"payload": {"a": 1}}), ChatView("jane", details=True), NOW)
    assert [plain(line) for line in lines][1:] == ['  → {"a": 1}']


def test_a_message_record_contains_unescaped_text() -> None:
    assert event_record(sent("a\u202eb\n", parent_id=6)) == {
        "event": "message",
        "change": "sent",
        "id": 7,
        "channelId": 3,
        "user": "bob\u202e",
        "createdTime": "2026-11-27T12:00:01.000Z",
        "earlier": False,
        "parentId": 6,
        "body": "a\u202eb\n",
    }
