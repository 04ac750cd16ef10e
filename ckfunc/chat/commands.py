"""Lines that a user types into a chat: messages and slash commands."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ckfunc.base.errors import CkfuncError
from ckfunc.base.text import did_you_mean

COMMANDS: dict[str, tuple[str, str]] = {
    "file": ("PATH", "send a file"),
    "react": ("EMOJI [ID]", "react to a message, by default the last one of someone else"),
    "unreact": ("EMOJI [ID]", "remove your reaction from a message"),
    "reply": ("ID TEXT", "reply to a message"),
    "edit": ("ID TEXT", "change your message"),
    "delete": ("ID", "delete your message"),
    "read": ("", "mark all messages as read"),
    "who": ("", "list the members and who is online"),
    "help": ("", "list these commands"),
    "quit": ("", "leave, as Ctrl-C does"),
}
"""The slash commands: their arguments, and what they do."""

SAY = "say"
"""The command of a line that is a message."""

_NUMBER = re.compile(r"\[?#?(\d{1,18})\]?", re.ASCII)


class BadLine(CkfuncError):
    """A typed line is not a valid command."""


@dataclass(frozen=True, slots=True)
class ChatCommand:
    """A command: its name, a text, and the message that it refers to."""

    name: str
    text: str = ""
    message_id: int | None = None


def parse_line(line: str) -> ChatCommand | None:
    """Return the command of a line, or None for an empty one. Two slashes begin a message with one. Raises BadLine."""
    text = line.strip()
    if not text:
        return None
    if not text.startswith("/"):
        return ChatCommand(SAY, line.rstrip("\r\n"))
    if text.startswith("//"):
        return ChatCommand(SAY, text[1:])
    name, _, rest = text[1:].partition(" ")
    if name not in COMMANDS:
        close = did_you_mean(name, COMMANDS)
        raise BadLine(
            f"there is no command /{name}", hint=close or "/help lists the commands; // begins a message with /"
        )
    return _PARSERS.get(COMMANDS[name][0], _without_arguments)(name, rest.strip())


def _without_arguments(name: str, rest: str) -> ChatCommand:
    if rest:
        raise BadLine(f"/{name} takes no arguments")
    return ChatCommand(name)


def _path(name: str, rest: str) -> ChatCommand:
    if not rest:
        raise _missing(name)
    quoted = len(rest) > 1 and rest[0] == rest[-1] and rest[0] in "'\""
    return ChatCommand(name, rest[1:-1] if quoted else rest)


def _emoji(name: str, rest: str) -> ChatCommand:
    words = rest.split()
    if not 1 <= len(words) <= 2:
        raise _missing(name)
    return ChatCommand(name, words[0], _id(name, words[1]) if words[1:] else None)


def _id_and_text(name: str, rest: str) -> ChatCommand:
    number, _, text = rest.partition(" ")
    if not text.strip():
        raise _missing(name)
    return ChatCommand(name, text.strip(), _id(name, number))


def _only_id(name: str, rest: str) -> ChatCommand:
    if not rest:
        raise _missing(name)
    return ChatCommand(name, "", _id(name, rest))


def _id(name: str, text: str) -> int:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise BadLine(
            f"/{name}: {text[:40]!r} is not the ID of a message", hint="IDs are shown in brackets, such as [12]"
        )
    return int(found[1])


def _missing(name: str) -> BadLine:
    return BadLine(f"usage: /{name} {COMMANDS[name][0]}")


_PARSERS = {"PATH": _path, "EMOJI [ID]": _emoji, "ID TEXT": _id_and_text, "ID": _only_id}
