"""Read and write STOMP 1.2 frames, strictly and with limits.

Source: https://stomp.github.io/stomp-specification-1.2.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from ckfunc.base.frozen import frozen

MOST_FRAME_BYTES = 8 * 1024 * 1024
"""The largest frame. The longest message fits, however it is escaped."""
MOST_HEADERS = 64
MOST_HEADER_BYTES = 64 * 1024

_UNESCAPED = ("CONNECT", "STOMP", "CONNECTED")
"""Commands whose headers are not escaped, for compatibility with STOMP 1.0."""
_ESCAPE = re.compile(rb"\\(.?)", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"c": b":", b"\\": b"\\"}
HEARTBEAT = b"\n"


_PLAIN_ACK = re.compile(rb"ACK\n(?:subscription:[\w.-]+\n)?id:[\w.-]+\n(?:subscription:[\w.-]+\n)?\n\0")


def is_plain_ack(data: bytes) -> bool:
    """Return whether a message is an ACK as clients write it after every event, which asks for nothing.

    Most frames of clients are such; this is a tenth of the work of reading one.
    """
    return _PLAIN_ACK.fullmatch(data) is not None


class BadFrame(Exception):
    """A frame breaks the protocol; the message is a sentence for the client."""


@frozen
class FrameRules:
    """The commands of one side, those whose frames may have a body, and the size of the largest frame (None: any)."""

    side: str
    commands: frozenset[str]
    with_body: frozenset[str]
    most_bytes: int | None = None


OF_CLIENTS = FrameRules(
    "client",
    frozenset(
        {
            *("CONNECT", "STOMP", "SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK", "DISCONNECT"),
            *("BEGIN", "COMMIT", "ABORT"),
        }
    ),
    frozenset({"SEND"}),
    MOST_FRAME_BYTES,
)
OF_SERVERS = FrameRules(
    "server", frozenset({"CONNECTED", "MESSAGE", "RECEIPT", "ERROR"}), frozenset({"MESSAGE", "ERROR"})
)


@frozen
class StompFrame:
    """A frame, as it was received."""

    command: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def required(self, name: str) -> str:
        """Return a header. Raises BadFrame if it is missing."""
        value = self.headers.get(name)
        if value is None:
            raise BadFrame(f"{self.command} has no header {name!r}")
        return value


def read_frame(data: bytes, rules: FrameRules = OF_CLIENTS) -> StompFrame | None:
    """Read one frame, which is a whole WebSocket message; return None for a heart-beat. Raises BadFrame."""
    if rules.most_bytes is not None and len(data) > rules.most_bytes:
        raise BadFrame(f"the frame is larger than {rules.most_bytes // (1024 * 1024)} MiB")
    start = 0
    while data[start : start + 1] in (b"\n", b"\r"):
        start += 1
    if start == len(data):
        return None
    head, body_at = _head(data, start)
    lines = head.split(b"\n")
    command = lines[0].removesuffix(b"\r").decode("utf-8", "replace")
    if command not in rules.commands:
        raise BadFrame(f"{command[:40]!r} is not a command of a STOMP {rules.side}")
    if len(lines) - 1 > MOST_HEADERS:
        raise BadFrame(f"the frame has more than {MOST_HEADERS} headers")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, value = _header(line.removesuffix(b"\r"), escaped=command not in _UNESCAPED)
        headers.setdefault(name, value)  # of repeated headers, the first one counts
    body = _body(data, body_at, headers)
    if body and command not in rules.with_body:
        raise BadFrame(f"{command} has a body")
    return StompFrame(command, headers, body)


def _head(data: bytes, start: int) -> tuple[bytes, int]:
    """Return command and headers, and where the body begins."""
    limit = start + MOST_HEADER_BYTES
    plain, carriage = data.find(b"\n\n", start, limit), data.find(b"\n\r\n", start, limit)
    if plain < 0 and carriage < 0:
        if len(data) > limit:
            raise BadFrame(f"the headers are larger than {MOST_HEADER_BYTES // 1024} KiB")
        raise BadFrame("the headers do not end with an empty line")
    if carriage < 0 or 0 <= plain < carriage:
        return data[start:plain], plain + 2
    return data[start:carriage], carriage + 3


def _header(line: bytes, *, escaped: bool) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    if not colon or not name:
        raise BadFrame(f"{line[:40].decode('utf-8', 'replace')!r} is not a header")
    if escaped and b"\\" in line:
        name, value = _ESCAPE.sub(_character, name), _ESCAPE.sub(_character, value)
    if b"\0" in line:
        raise BadFrame("a header contains a null byte")
    try:
        return name.decode(), value.decode()
    except UnicodeDecodeError:
        raise BadFrame("a header is not UTF-8") from None


def _character(match: re.Match[bytes]) -> bytes:
    character = _ESCAPES.get(match[1])
    if character is None:
        raise BadFrame("a header contains an undefined escape sequence")
    return character


def _body(data: bytes, at: int, headers: Mapping[str, str]) -> bytes:
    length = headers.get("content-length")
    if length is None:
        end = data.find(b"\0", at)
        if end < 0:
            raise BadFrame("the frame does not end with a null byte")
    else:
        if not (length.isascii() and length.isdecimal()) or len(length) > 12:
            raise BadFrame(f"content-length is {length[:40]!r}, not a number of bytes")
        end = at + int(length)
        if data[end : end + 1] != b"\0":
            raise BadFrame("content-length is not the length of the body")
    if data[end + 1 :].strip(b"\r\n"):
        raise BadFrame("the message contains more than one frame")
    return data[at:end]


def write_frame(command: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Return a frame as bytes."""
    escaped = command not in _UNESCAPED
    lines = [command, *(f"{name}:{_escape(value) if escaped else value}" for name, value in headers.items())]
    if body:
        lines.append(f"content-length:{len(body)}")
    return "\n".join(lines).encode("utf-8", "replace") + b"\n\n" + body + b"\0"


def _escape(value: str) -> str:
    if "\\" in value or "\n" in value or "\r" in value or ":" in value:
        value = value.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n").replace(":", "\\c")
    return value
