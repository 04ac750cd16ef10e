"""Parsing of lines typed into a chat."""

from __future__ import annotations

import pytest

from ckfunc.chat.client import BadLine, ChatCommand, parse_line


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("", None),
        ("  \t", None),
        ("hello", ChatCommand("say", "hello")),
        ("  indented\r\n", ChatCommand("say", "  indented")),
        ("//help", ChatCommand("say", "/help")),
        ("/file a b.txt", ChatCommand("file", "a b.txt")),
        ("/file 'a b.txt'", ChatCommand("file", "a b.txt")),
        ("/react 👍", ChatCommand("react", "👍")),
        ("/react :tada: [12]", ChatCommand("react", ":tada:", 12)),
        ("/unreact tada #12", ChatCommand("unreact", "tada", 12)),
        ("/reply 12 yes, please ", ChatCommand("reply", "yes, please", 12)),
        ("/edit 12 better", ChatCommand("edit", "better", 12)),
        ("/delete 12", ChatCommand("delete", "", 12)),
        (" /quit ", ChatCommand("quit")),
    ],
)
def test_a_line_is_parsed_as_a_message_or_a_command(line: str, command: ChatCommand | None) -> None:
    assert parse_line(line) == command


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("/raect 👍", "there is no command /raect", "did you mean react?"),
        ("/", "there is no command /", "/help lists the commands"),
        ("/react", "usage: /react EMOJI [ID]", None),
        ("/react a b c", "usage: /react EMOJI [ID]", None),
        ("/react a b", "/react: 'b' is not the ID of a message", "such as [12]"),
        ("/reply 12", "usage: /reply ID TEXT", None),
        ("/reply x y", "/reply: 'x' is not the ID of a message", "such as [12]"),
        ("/delete", "usage: /delete ID", None),
        ("/file", "usage: /file PATH", None),
        ("/quit now", "/quit takes no arguments", None),
    ],
)
def test_a_wrong_command_is_explained(line: str, message: str, hint: str | None) -> None:
    with pytest.raises(BadLine) as caught:
        parse_line(line)
    assert caught.value.message == message
    assert (caught.value.hint or "") == "" if hint is None else hint in (caught.value.hint or "")
