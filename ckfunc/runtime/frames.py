"""Messages between ckfunc and Node: u32 length, u32 header length, JSON header, UTF-8 body.

What a host sends begins with its seal in each frame: bytes that only its own code knows.
"""

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

    def __init__(self, seal: bytes = b"") -> None:
        self._seal = seal
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[dict[str, Any], str]]:
        """Yield (header, body) of each frame that `data` completes. Raises BrokenStream."""
        buffer = self._bytes
        buffer += data
        seal, start = self._seal, 0
        try:
            while len(buffer) > start:
                head_at = start + len(seal) + _PREFIX.size
                if not seal.startswith(bytes(buffer[start : start + len(seal)])):
                    raise BrokenStream("a frame does not begin with the seal")
                if len(buffer) < head_at:
                    break
                length, head_length = _PREFIX.unpack_from(buffer, start + len(seal))
                if length > LONGEST or head_length + 4 > length:
                    raise BrokenStream("a frame's length makes no sense")
                body_at = head_at + head_length
                end = head_at + length - 4
                if len(buffer) < end:
                    break
                try:
                    header = json.loads(buffer[head_at:body_at])
                    body = buffer[body_at:end].decode()
                except (ValueError, RecursionError) as error:
                    raise BrokenStream("a frame does not hold JSON") from error
                if not isinstance(header, dict):
                    raise BrokenStream("a frame's header is not an object")
                start = end
                yield header, body
        finally:
            del buffer[:start]
