"""A load generator for the client protocol: many chat clients on plain sockets.

`python -m bench.chatters URL --channels N --members N --seconds N` prints the result as JSON. The users and channels
of `seed` must exist: user `u<n>` is a member of channel `c<n // members>`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

_TEXT, _CLOSE, _PING = 1, 8, 9
_TOPICS = ("messages", "keystrokes", "typing", "participants", "readReceipts", "reactions", "events")
_MARK = b'"body":"load '
_STILL_S = 120.0
"""If no message arrives for this time, the missing ones count as lost."""


@dataclass(frozen=True)
class ChatLoad:
    """The result of a run; latencies in seconds, from just before the send to the delivery, at every member."""

    clients: int
    sent: int
    delivered: int
    lost: int
    twice: int
    disordered: int
    errors: tuple[str, ...]
    p50_s: float
    p99_s: float
    longest_s: float


def seed(channels: int, members: int) -> dict[str, Any]:
    """Return the users and channels of a run as a seed of the emulator."""
    return {
        "users": [{"name": f"u{number}"} for number in range(channels * members)],
        "channels": [
            {"name": f"c{number}", "members": [f"u{number * members + member}" for member in range(members)]}
            for number in range(channels)
        ],
    }


class Tally:
    """Counts deliveries, and checks that each message comes once and in the same order at every member."""

    def __init__(self) -> None:
        self.latencies_s: list[float] = []
        self.twice = 0
        self.disordered = 0
        self.errors: list[str] = []


class Chatter(asyncio.Protocol):
    """One chat client with an open chat session in its channel, which acknowledges every event as a real one does."""

    def __init__(self, url: str, number: int, channel: str, tally: Tally) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self.number = number
        self._channel = channel
        self._tally = tally
        self._buffer = bytearray()
        self._upgraded = False
        self._transport: asyncio.Transport | None = None
        self._replies: dict[str, asyncio.Future[Any]] = {}
        self._last: dict[bytes, int] = {}
        self._newest = 0
        self._action = b""
        self.sent = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /rtm/websocket?api-key=emulator HTTP/1.1\r\nhost: {self._host}\r\nupgrade: websocket\r\n"
            f"connection: Upgrade\r\nsec-websocket-key: {key}\r\nsec-websocket-version: 13\r\n"
            "sec-websocket-protocol: v12.stomp\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end])
            del self._buffer[: end + 4]
            if b" 101 " not in head:
                self._fail(head.decode("latin-1"))
                return
            self._upgraded = True
            self._task = asyncio.create_task(self._start())
        self._take_messages()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"connection lost: {error}")

    async def _start(self) -> None:
        """Do what the vendor's client does until a chat session is open."""
        await self._call("CONNECT", {"accept-version": "1.2", "StompX-User": f"u{self.number}"}, "connected")
        user = await self._relay("/application/user.relay")
        for name in user["_topics"]:
            await self._subscribe(user["_topics"][name])
        page = await self._relay(user["_relays"]["channels"], {"subscribable": "true"})
        channel = next(channel for channel in page["_embedded"]["channels"] if channel["name"] == self._channel)
        await self._subscribe(channel["_topics"]["self"])
        for name in _TOPICS:
            await self._subscribe(channel["_topics"][name], "messages" if name == "messages" else None)
        self._action = channel["_actions"]["message"].encode()
        if not self.ready.done():
            self.ready.set_result(None)

    async def _relay(self, destination: str, headers: dict[str, str] | None = None) -> Any:
        name = f"relay-{len(self._replies)}"
        body = await self._call("SUBSCRIBE", {**(headers or {}), "id": name, "destination": destination}, name)
        return json.loads(body)["resource"]

    async def _subscribe(self, topic: str, name: str | None = None) -> None:
        receipt = f"receipt-{len(self._replies)}"
        headers = {"id": name or f"topic-{receipt}", "ack": "client-individual", "receipt": receipt}
        await self._call("SUBSCRIBE", {**headers, "destination": topic}, receipt)

    async def _call(self, command: str, headers: dict[str, str], reply: str) -> bytes:
        found: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._replies[reply] = found
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        self._send(f"{command}\n{lines}\n\0".encode())
        return await found

    def say(self) -> None:
        """Send the next message."""
        self.sent += 1
        body = b'{"type":"TEXT","body":"load %d %d %d"}' % (self.number, self.sent, time.perf_counter_ns())
        head = b"SEND\ndestination:%b\ncontent-type:application/json;charset=UTF-8\nreceipt:s%d\ncontent-length:%d\n\n"
        self._send(head % (self._action, self.sent, len(body)) + body + b"\0")

    def close(self) -> None:
        if self._transport is not None:
            self._tally.errors, errors = [], self._tally.errors
            self._transport.abort()
            self._tally.errors = errors

    def _send(self, payload: bytes) -> None:
        # The mask of zeros leaves the payload as it is.
        size = len(payload)
        header = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
        assert self._transport is not None
        self._transport.write(header + b"\0\0\0\0" + payload)

    def _take_messages(self) -> None:
        buffer = self._buffer
        start = 0
        acks: list[bytes] = []
        while len(buffer) - start >= 2:
            kind, size, head = buffer[start] & 15, buffer[start + 1] & 127, 2
            if size >= 126:
                head = 4 if size == 126 else 10
                size = int.from_bytes(buffer[start + 2 : start + head], "big")
            end = start + head + size
            if len(buffer) < end or len(buffer) - start < head:
                break
            payload = bytes(buffer[start + head : end])
            start = end
            if kind == _TEXT:
                self._take_frame(payload, acks)
            elif kind == _CLOSE:
                self._fail(f"closed: {payload[2:].decode('utf-8', 'replace')}")
        del buffer[:start]
        if acks:
            for ack in acks:
                self._send(ack)

    def _take_frame(self, frame: bytes, acks: list[bytes]) -> None:
        now = time.perf_counter_ns()
        command, _, rest = frame.partition(b"\n")
        head, _, body = rest.partition(b"\n\n")
        if command == b"MESSAGE":
            subscription = _header(head, b"subscription")
            if ack := _header(head, b"ack"):
                acks.append(b"ACK\nid:%b\nsubscription:%b\n\n\0" % (ack, subscription))
            if subscription == b"messages":
                self._count(body, now)
            elif (reply := self._replies.get(subscription.decode())) and not reply.done():
                reply.set_result(body[: body.rfind(b"\0")])
        elif command == b"RECEIPT":
            reply = self._replies.get(_header(head, b"receipt-id").decode())
            if reply is not None and not reply.done():
                reply.set_result(b"")
        elif command == b"CONNECTED":
            self._replies["connected"].set_result(b"")
        elif command.strip() == b"ERROR":
            self._fail(frame.decode("utf-8", "replace"))

    def _count(self, body: bytes, now_ns: int) -> None:
        start = body.find(_MARK)
        if start < 0:
            return
        start += len(_MARK)
        sender, number, sent_ns = body[start : body.index(b'"', start)].split(b" ")
        self._tally.latencies_s.append((now_ns - int(sent_ns)) / 1e9)
        expected = self._last.get(sender, 0) + 1
        found = int(number)
        if found < expected:
            self._tally.twice += 1
        elif found > expected:
            self._tally.disordered += 1
        self._last[sender] = max(found, expected - 1)
        at = body.find(b'"id":') + 5
        newest = int(body[at : body.index(b",", at)])
        if newest <= self._newest:
            self._tally.disordered += 1
        self._newest = newest

    def _fail(self, text: str) -> None:
        self._tally.errors.append(f"u{self.number}: {text[:300]}")
        if not self.ready.done():
            self.ready.set_exception(RuntimeError(text[:1000]))


def _header(head: bytes, name: bytes) -> bytes:
    start = (b"\n" + head).find(b"\n" + name + b":")
    if start < 0:
        return b""
    return head[start + len(name) + 1 :].partition(b"\n")[0]


def _itself(chatter: Chatter) -> Chatter:
    return chatter


async def chat(
    url: str,
    channels: int,
    members: int,
    seconds: float,
    *,
    every_s: float = 1.0,
    began: Callable[[], None] = lambda: None,
    stay: bool = False,
) -> ChatLoad:
    """Connect every member of every channel; each sends a message every `every_s`, evenly spread, for `seconds`.

    `began` is called when all chat sessions are open. With `stay`, the clients do nothing and never leave.
    """
    loop = asyncio.get_running_loop()
    tally = Tally()
    parts = urlsplit(url)
    chatters: list[Chatter] = []
    for start in range(0, channels * members, 50):
        group = [
            Chatter(url, number, f"c{number // members}", tally)
            for number in range(start, min(start + 50, channels * members))
        ]
        for chatter in group:
            await loop.create_connection(partial(_itself, chatter), parts.hostname or "", parts.port or 0)
        await asyncio.gather(*(chatter.ready for chatter in group))
        chatters += group
    began()
    if stay:
        await asyncio.Event().wait()
    gc.disable()
    begin = loop.time()
    step_s = every_s / len(chatters)
    total = int(seconds / every_s) * len(chatters)
    done = 0
    while done < total:
        due = min(total, int((loop.time() - begin) / step_s) + 1)
        for number in range(done, due):
            chatters[number % len(chatters)].say()
        done = due
        await asyncio.sleep(0.002)
    seen, still_until = -1, 0.0
    while len(tally.latencies_s) < total * members and not tally.errors:
        if len(tally.latencies_s) != seen:
            seen, still_until = len(tally.latencies_s), loop.time() + _STILL_S
        elif loop.time() > still_until:
            break
        await asyncio.sleep(0.05)
    gc.enable()
    for chatter in chatters:
        chatter.close()
    ordered = sorted(tally.latencies_s) or [0.0]
    return ChatLoad(
        clients=len(chatters),
        sent=total,
        delivered=len(tally.latencies_s),
        lost=max(0, total * members - len(tally.latencies_s)),
        twice=tally.twice,
        disordered=tally.disordered,
        errors=tuple(tally.errors[:5]),
        p50_s=ordered[len(ordered) // 2],
        p99_s=ordered[int(len(ordered) * 0.99)],
        longest_s=ordered[-1],
    )


def main() -> None:
    """Run from the command line; a line `began` comes when all chat sessions are open."""
    parser = argparse.ArgumentParser(prog="bench.chatters")
    parser.add_argument("url")
    parser.add_argument("--channels", type=int, default=100)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--stay", action="store_true", help="stay connected until killed")
    options = parser.parse_args()
    began = lambda: print("began", flush=True)  # noqa: E731
    found = asyncio.run(
        chat(options.url, options.channels, options.members, options.seconds, began=began, stay=options.stay)
    )
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
