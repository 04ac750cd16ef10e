"""Frames between ckfunc and Node: u32 length, u32 header length, JSON header, UTF-8 body.

Each frame of a host begins with its seal: bytes that only its own code knows. Handlers can write to the channel, so no
content of a frame is trusted.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from ckfunc.base.documents import DEEPEST, deeper_than, json_reader, json_writer, no_constant
from ckfunc.base.frozen import frozen
from ckfunc.model.application import ConsoleLine
from ckfunc.model.execution import ExecutedRanges, HandlerError

LONGEST = 64 * 1024 * 1024
_PREFIX = struct.Struct(">II")
_header = json_reader(json.JSONDecoder())
_header_text = json_writer(separators=(",", ":"))


class BrokenStream(Exception):
    """The data is not a frame, so another writer used the channel."""


def encode(header: Mapping[str, Any], body: str = "") -> bytes:
    """Return a frame. A lone surrogate in `body` is written as `?`."""
    head = _header_text(header).encode()
    tail = body.encode("utf-8", "replace")
    return _PREFIX.pack(4 + len(head) + len(tail), len(head)) + head + tail


class Decoder:
    """Splits incoming bytes into frames."""

    def __init__(self, seal: bytes = b"") -> None:
        self._seal = seal
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[dict[str, Any], str]]:
        """Yield (header, body) of each frame that `data` completes. Raises BrokenStream."""
        buffer: bytes | bytearray = data  # most data is complete frames
        if self._bytes:
            buffer = self._bytes
            buffer += data
        seal, seal_bytes, size, start = self._seal, len(self._seal), len(buffer), 0
        try:
            while size > start:
                prefix_at = start + seal_bytes
                head_at = prefix_at + _PREFIX.size
                if not seal.startswith(bytes(buffer[start:prefix_at])):
                    raise BrokenStream("a frame does not begin with the seal")
                if size < head_at:
                    break
                length, head_length = _PREFIX.unpack_from(buffer, prefix_at)
                if length > LONGEST or head_length + 4 > length:
                    raise BrokenStream("a frame has an invalid length")
                body_at = head_at + head_length
                end = head_at + length - 4
                if size < end:
                    break
                try:
                    header = _header(buffer[head_at:body_at].decode())
                    body = buffer[body_at:end].decode()
                except (ValueError, RecursionError) as error:
                    raise BrokenStream("a frame is not valid JSON") from error
                if not isinstance(header, dict):
                    raise BrokenStream("a frame's header is not an object")
                start = end
                yield header, body
        finally:
            if isinstance(buffer, bytearray):
                del buffer[:start]
            elif start < size:
                self._bytes += buffer[start:]


_LEVELS = frozenset({"log", "info", "debug", "warn", "error", "trace"})
_STREAMS = frozenset({"log", "error"})
_LONGEST_MS = 1e9
_TOO_DEEP = HandlerError(
    "ResultError", f"the handler's result is nested too deeply; at most {DEEPEST} levels are allowed"
)


@frozen
class HostAnswer:
    """The result of a request: `error` if it failed, else `body` as JSON text ("" for none).

    `duration_ms` is the duration that the process measured, 0 if it sent none.
    """

    error: HandlerError | None = None
    body: str = ""
    duration_ms: float = 0.0


AGAIN = HostAnswer()
"""The result of a request that the process did not start, so that another process must."""


def request_of(header: Mapping[str, Any]) -> int:
    """Return the number of the request that a frame belongs to. Raises BrokenStream."""
    identity = header.get("id", 0)
    if type(identity) is not int:
        raise BrokenStream("a frame's id is not a number")
    return identity


def read_line(header: Mapping[str, Any], body: str) -> ConsoleLine:
    """Return the line of a `log` frame. Raises BrokenStream."""
    level = header.get("level")
    if not isinstance(level, str) or level not in _LEVELS:
        raise BrokenStream("a line has no level")
    return ConsoleLine(level, body)


def stream_of(header: Mapping[str, Any], role: str) -> str | None:
    """Return the stream whose unfinished line a `log` frame adds to ("part") or completes ("ends"), or None."""
    stream = header.get(role)
    return stream if isinstance(stream, str) and stream in _STREAMS else None


def read_coverage(body: str) -> tuple[ExecutedRanges, ...]:
    """Return what the scripts in a `coverage` frame have executed. Raises BrokenStream."""
    try:
        return tuple(
            ExecutedRanges(
                str(entry["name"]), tuple((int(start), int(end), int(count)) for start, end, count in ranges)
            )
            for entry in _decode(body)
            if isinstance(ranges := entry["ranges"], list)
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BrokenStream("a frame has no coverage") from error


def read_answer(header: Mapping[str, Any], body: str) -> HostAnswer:
    """Return the result in a `ready`, `done` or `failed` frame. Raises BrokenStream."""
    took = header.get("ms", 0.0)
    if type(took) not in (int, float) or not 0 <= took < _LONGEST_MS:
        raise BrokenStream("a frame's duration is not a number")
    match header.get("op"):
        case "ready":
            return HostAnswer()
        case "again":
            return AGAIN
        case "done":
            return HostAnswer(_problem(body), body, took) if body else HostAnswer(duration_ms=took)
        case "failed":
            return HostAnswer(_error(header.get("error")), "", took)
    raise BrokenStream("a frame has an unknown type")


def _problem(body: str) -> HandlerError | None:
    """Return why a result cannot be used, or None."""
    try:
        result = _decode(body)
    except RecursionError:
        return _TOO_DEEP
    except ValueError:
        raise BrokenStream("a result is not valid JSON") from None
    # A text with few brackets cannot be deep; most have few.
    if body.count("[") + body.count("{") > DEEPEST and deeper_than(result, DEEPEST):
        return _TOO_DEEP
    return None


def _error(document: Any) -> HandlerError:
    if not isinstance(document, dict):
        raise BrokenStream("a failure has no reason")
    texts = [document.get(name) for name in ("name", "message", "stack")]
    if not all(isinstance(text, str) for text in texts):
        raise BrokenStream("a failure's reason is not a text")
    return HandlerError(*(str(text).encode("utf-8", "replace").decode() for text in texts))


_decode = json_reader(json.JSONDecoder(parse_constant=no_constant))
