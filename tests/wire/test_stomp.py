"""STOMP frames, read and written."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.stomp import parse

from ckfunc.wire.stomp import (
    MOST_FRAME_BYTES,
    MOST_HEADER_BYTES,
    MOST_HEADERS,
    OF_SERVERS,
    BadFrame,
    StompFrame,
    read_frame,
    write_frame,
)


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        (b"SEND\ndestination:/a\n\nbody\0", StompFrame("SEND", {"destination": "/a"}, b"body")),
        (b"SEND\r\ndestination:/a\r\n\r\nbody\0\r\n", StompFrame("SEND", {"destination": "/a"}, b"body")),
        (b"\n\r\nACK\nid:1\n\n\0\n\n", StompFrame("ACK", {"id": "1"})),
        (b"SEND\ncontent-length:3\n\na\0b\0", StompFrame("SEND", {"content-length": "3"}, b"a\0b")),
        (b"ACK\nid:first\nid:second\n\n\0", StompFrame("ACK", {"id": "first"})),
        (b"ACK\nid:a\\cb\\nc\\rd\\\\n\n\n\0", StompFrame("ACK", {"id": "a:b\nc\rd\\n"})),
        (b"CONNECT\nStompX-User:a\\b:c\n\n\0", StompFrame("CONNECT", {"StompX-User": "a\\b:c"})),
        ("ACK\nid:ü\n\n\0".encode(), StompFrame("ACK", {"id": "ü"})),
        (b"ACK\nid:\n\n\0", StompFrame("ACK", {"id": ""})),
        (b"ACK\n\n\0", StompFrame("ACK")),
    ],
)
def test_frames_are_read(data: bytes, frame: StompFrame) -> None:
    assert read_frame(data) == frame


@pytest.mark.parametrize("data", [b"\n", b"\r\n", b"\n\n\n", b""])
def test_line_ends_alone_are_a_heart_beat(data: bytes) -> None:
    assert read_frame(data) is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"ack\nid:1\n\n\0", "'ack' is not a command"),
        (b"MESSAGE\nid:1\n\n\0", "'MESSAGE' is not a command"),
        (b"ACK\nid\n\n\0", "'id' is not a header"),
        (b"ACK\n:1\n\n\0", "':1' is not a header"),
        (b"ACK\nid:\\t\n\n\0", "undefined escape"),
        (b"ACK\nid:1\\\n\n\0", "undefined escape"),
        (b"ACK\nid:\xff\n\n\0", "not UTF-8"),
        (b"ACK\nid:1\0\n\n\0", "null byte"),
        (b"ACK\nid:1\n\n", "does not end with a null byte"),
        (b"ACK\nid:1\0", "do not end with an empty line"),
        (b"ACK\nid:1\n\nbody\0", "ACK has a body"),
        (b"ACK\nid:1\n\n\0ACK\nid:2\n\n\0", "more than one frame"),
        (b"SEND\ncontent-length:5\n\nbody\0", "not the length of the body"),
        (b"SEND\ncontent-length:3\n\nbody\0", "not the length of the body"),
        (b"SEND\ncontent-length:-1\n\nbody\0", "not a number of bytes"),
        (b"SEND\ncontent-length:9999999999999\n\nbody\0", "not a number of bytes"),
        (b"ACK\n" + b"a:b\n" * (MOST_HEADERS + 1) + b"\n\0", f"more than {MOST_HEADERS} headers"),
        (b"ACK\nid:" + b"a" * MOST_HEADER_BYTES + b"\n\n\0", "headers are larger than"),
        (b"SEND\n\n" + b"a" * MOST_FRAME_BYTES + b"\0", "the frame is larger than"),
    ],
)
def test_frames_that_break_the_protocol_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(BadFrame, match=reason):
        read_frame(data)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_crash_the_parser(data: bytes) -> None:
    with suppress(BadFrame):
        read_frame(data)
        read_frame(b"SEND\n" + data)


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(
    st.dictionaries(st.from_regex("[A-Za-z]+", fullmatch=True), TEXT, max_size=5),
    st.binary(max_size=50),
)
def test_a_written_frame_can_be_read(headers: dict[str, str], body: bytes) -> None:
    read = read_frame(write_frame("SEND", headers, body))
    assert read is not None
    assert {name: value for name, value in read.headers.items() if name != "content-length"} == headers
    assert read.body == body


def test_the_headers_of_connected_are_not_escaped() -> None:
    written = write_frame("CONNECTED", {"session": "a:b"}).decode()
    assert parse(written).headers == {"session": "a:b"}


@pytest.mark.parametrize(
    ("command", "headers", "body"),
    [
        ("CONNECTED", {"session": "a:b\\c"}, b""),
        ("MESSAGE", {"subscription": "a:b\nc"}, b"{}"),
        ("RECEIPT", {"receipt-id": "1"}, b""),
        ("ERROR", {"message": "no"}, b"why"),
    ],
)
def test_server_frames_survive_a_round_trip(command: str, headers: dict[str, str], body: bytes) -> None:
    found = read_frame(write_frame(command, headers, body), OF_SERVERS)
    assert found is not None
    length = {"content-length": str(len(body))} if body else {}
    assert found == StompFrame(command, headers | length, body)


def test_a_client_refuses_client_frames_and_accepts_frames_of_any_size() -> None:
    with pytest.raises(BadFrame, match="'SEND' is not a command of a STOMP server"):
        read_frame(b"SEND\ndestination:/a\n\n\0", OF_SERVERS)
    large = read_frame(write_frame("MESSAGE", {}, b"x" * (MOST_FRAME_BYTES + 1)), OF_SERVERS)
    assert large is not None
    assert len(large.body) == MOST_FRAME_BYTES + 1
