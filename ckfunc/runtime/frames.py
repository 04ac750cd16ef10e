"""How ckfunc and Node cut a byte stream into messages: u32 length, u32 header length, JSON header, UTF-8 body."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

LONGEST = 64 * 1024 * 1024
_PREFIX = struct.Struct(">II")
_encoder = json.JSONEncoder(separators=(",", ":"))


class BrokenStream(Exception):
    """What arrived cannot be a frame: somebody else wrote to the channel."""


def encode(header: Mapping[str, Any], body: str = "") -> bytes:
    """Return one frame. A lone surrogate in `body` is written as `?`."""
    head = _encoder.encode(header).encode()
    tail = body.encode("utf-8", "replace")
    return _PREFIX.pack(4 + len(head) + len(tail), len(head)) + head + tail


class Decoder:
    """Collects bytes as they come and gives back whole frames."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[dict[str, Any], str]]:
        """Yield (header, body) of each frame that `data` completes. Raises BrokenStream."""
        buffer = self._bytes
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= _PREFIX.size:
                length, head_length = _PREFIX.unpack_from(buffer, start)
                if length > LONGEST or head_length + 4 > length:
                    raise BrokenStream("a frame's length makes no sense")
                end = start + 4 + length
                if len(buffer) < end:
                    break
                body_at = start + _PREFIX.size + head_length
                try:
                    header = json.loads(buffer[start + _PREFIX.size : body_at])
                    body = buffer[body_at:end].decode()
                except ValueError as error:
                    raise BrokenStream("a frame does not hold JSON") from error
                if not isinstance(header, dict):
                    raise BrokenStream("a frame's header is not an object")
                start = end
                yield header, body
        finally:
            del buffer[:start]
