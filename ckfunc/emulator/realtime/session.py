"""The conversation with one client: CONNECT, subscriptions, actions, receipts and errors."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from ckfunc.emulator.actions import users as actions
from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.dispatch.topics import Origin
from ckfunc.emulator.http.auth import API_KEY, check_client_origin, check_host
from ckfunc.emulator.http.problems import Denied, HttpProblem, Missing, Refused, Unstorable
from ckfunc.emulator.realtime.actions import perform
from ckfunc.emulator.realtime.relays import relayed
from ckfunc.emulator.realtime.requests import (
    ERROR_QUEUES,
    RELAY,
    BadConversation,
    ClientRequest,
    Destination,
    SlowClient,
    Subscription,
    Subscriptions,
    check_topic,
    error_body,
    read_action,
    read_auth_params,
    read_document,
    read_relay,
    read_topic,
    wants_heartbeats,
)
from ckfunc.emulator.realtime.socket import MOST_UNSENT_BYTES, PATH, ClientSocket, Inbox, Outbox, SocketRequest
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import sessions, users
from ckfunc.emulator.store.application import APPLICATION_ID
from ckfunc.model.chat import User
from ckfunc.wire.dialects import compact_json
from ckfunc.wire.links import Links
from ckfunc.wire.reading import NAME_LIMIT, Malformed
from ckfunc.wire.stomp import HEARTBEAT, BadFrame, StompFrame, is_plain_ack, read_frame, write_frame

CONNECT_TIMEOUT_S = 10.0
HEARTBEAT_S = 60.0
"""How often each side sends something; a side that was silent for twice as long is gone."""


class ClientSession:
    """One client's connection, from CONNECT to its end."""

    def __init__(
        self,
        services: EmulatorServices,
        socket: ClientSocket,
        outbox: Outbox,
        *,
        loopback_only: bool,
        refusal: HttpProblem | None,
    ) -> None:
        self._services = services
        self._socket = socket
        self._outbox = outbox
        self._loopback_only = loopback_only
        self._refusal = refusal
        self._now = asyncio.get_running_loop().time
        self._opened_s = self._heard_s = self._sent_s = self._now()
        self._base: ActionContext | None = None
        self.user_id = 0
        self.session_id = 0
        self._number = 0
        self._subscriptions = Subscriptions(services.topics)
        self._errors: tuple[str, str] | None = None
        """The client's subscription to errors: its id and destination."""
        self._inbox = Inbox(socket, self._handle)
        self._ended = self._beats = self._heard = self._held = False
        self._unstored: list[StompFrame] = []
        """The client's frames of this turn, if their results may still be undone."""

    # The socket's side

    def opened(self, request: SocketRequest) -> None:
        """Check who connects, and how."""
        links = Links(f"http://{request.host}", APPLICATION_ID)
        self._base = ActionContext(self._services.database, self._services.dispatch, self._services.topics, links)
        try:
            if self._refusal is not None:
                raise self._refusal
            if self._loopback_only:
                check_host(request.host)
            check_client_origin(request.origin, request.host)
            if request.path != PATH:
                raise Missing(f"there is no WebSocket at {request.path[:100]!r}, but at {PATH}")
            if not secrets.compare_digest(request.api_key.encode(), API_KEY.encode()):
                raise Denied(f"the API key is wrong; the emulator's is {API_KEY!r}")
            if self._services.options.unwritable is not None:
                raise Unstorable(self._services.options.unwritable)
        except HttpProblem as problem:
            self.end(problem)

    def received(self, messages: Sequence[bytes]) -> None:
        """Handle frames, after those before them."""
        self._heard = True
        if self.session_id:
            messages = [message for message in messages if not is_plain_ack(message)]
        if messages and not self._ended:
            self._inbox.add(messages)

    def too_large(self) -> None:
        """End the connection of a client that sends too much at once."""
        self.end(BadConversation("the frame is too large"))

    def lost(self) -> None:
        """End the user session; the client may continue it with another connection."""
        self._ended = True
        self._inbox.clear()
        self._leave()

    def check_time(self) -> None:
        """Send a heart-beat if it is due, and end the connection of a client that is gone."""
        now = self._now()
        if self._ended:
            return
        if self._heard:
            self._heard, self._heard_s = False, now
        if not self.session_id:
            if now - self._opened_s > CONNECT_TIMEOUT_S and not self._inbox.busy:
                self.end(BadConversation(f"the client did not CONNECT within {CONNECT_TIMEOUT_S:.0f} seconds"))
        elif self._beats:
            if now - self._heard_s > 2 * HEARTBEAT_S:
                self.end(BadConversation(f"the client was silent for {2 * HEARTBEAT_S:.0f} seconds"))
            elif now - self._sent_s > HEARTBEAT_S - 1.0:
                self.send(HEARTBEAT)

    # The topics' side

    def drop(self, subscriber: Any) -> None:
        """End a subscription that was removed from its topic."""
        self._subscriptions.forget(subscriber)

    def end(self, problem: HttpProblem, receipt: str | None = None) -> None:
        """Send an ERROR frame and close the connection."""
        if not self._ended:
            self._outbox.flush()
        if self._ended:  # also by what was flushed: it was not stored, or not read
            return
        self._ended = True
        headers = {"message": problem.text, "content-type": "application/json", **_receipt(receipt)}
        self._socket.send(write_frame("ERROR", headers, error_body(problem)))
        self._leave()
        self._socket.close()

    def next_number(self) -> int:
        """Return a number that no earlier message of this connection has."""
        self._number += 1
        return self._number

    def send(self, *parts: bytes) -> None:
        """Send a frame, given in parts, as soon as everything that this turn of the loop wrote is stored."""
        self._socket.send(*parts)
        if not self._held:
            self._hold()

    def _hold(self) -> None:
        self._held = True
        self._outbox.hold(self.release)

    # The outbox's side

    def release(self, failure: sqlite3.Error | None) -> None:
        """Send the frames of this turn; the connection ends if too much is waiting for the client.

        If the turn could not be stored, they are discarded, and an error is reported for each frame of the client.
        """
        self._held = False
        unstored, self._unstored = self._unstored, []
        if failure is not None:
            self._socket.discard()
            for frame in unstored:
                self._fail(frame, failure)
            return
        self._sent_s = self._now()
        if not self._socket.flush() and not self._ended:
            self.end(SlowClient(f"more than {MOST_UNSENT_BYTES // (1024 * 1024)} MiB are waiting to be read"))

    def _fail(self, frame: StompFrame, failure: sqlite3.Error) -> None:
        try:
            self._report(frame, failure)
        except HttpProblem as problem:
            self.end(problem, frame.headers.get("receipt"))

    # The protocol

    def _handle(self, data: bytes) -> None:
        receipt: str | None = None
        if self._ended:
            return
        try:
            frame = read_frame(data)
            if frame is None:
                return
            receipt = frame.headers.get("receipt")
            if (frame.command in ("CONNECT", "STOMP")) == bool(self.session_id):
                reason = "already connected" if self.session_id else "not connected; send CONNECT first"
                raise BadFrame(f"{frame.command} was sent, but the client is {reason}")
            _COMMANDS[frame.command](self, frame)
        except BadFrame as error:
            self.end(BadConversation(str(error)), receipt)
        except HttpProblem as problem:
            self.end(problem, receipt)
        except Exception as error:
            self.end(self._services.failed(error, "a frame"), receipt)

    def _connect(self, frame: StompFrame) -> None:
        headers = frame.headers
        if "1.2" not in headers.get("accept-version", "").split(","):
            raise BadFrame("the emulator speaks STOMP 1.2; accept-version does not name it")
        username = headers.get("StompX-User", "")
        if not username or len(username) > NAME_LIMIT:
            # The vendor's clients reconnect forever after any other error, and can then start no other session.
            raise Denied("the header 'StompX-User' is missing or too long")
        self._beats = wants_heartbeats(headers.get("heart-beat", "0,0"))
        self._begin(self._start_session(username, headers))

    async def _start_session(self, username: str, headers: Mapping[str, str]) -> None:
        context, database = self._context(), self._services.database
        earlier = sessions.find_by_token(database, headers.get("StompX-Auth-Session-ID", ""))
        if earlier is not None and earlier.user.name == username:
            token = headers["StompX-Auth-Session-ID"]
            user, session_id = earlier.user, earlier.id
            before = self._services.topics.connections.get(session_id)
            if before is not None:
                before.end(Refused("another connection continues this session"))
            actions.reconnect(context, earlier)
        else:
            event = {"username": username, "authParams": read_auth_params(headers.get("StompX-Auth-Params"))}
            decision = await actions.attempt_start_session(database, self._services.dispatch, event)
            if decision.user is None or not decision.allowed:
                raise Denied(decision.reason or "the session was denied")
            user, token = decision.user, secrets.token_urlsafe(24)
            if self._ended:
                return
            session_id = actions.connect(context, user, headers.get("StompX-User-Agent"), token)
        self.user_id, self.session_id = user.id, session_id
        self._services.topics.connections[session_id] = self
        beat = f"{HEARTBEAT_S * 1000:.0f}" if self._beats else "0"
        self._send("CONNECTED", {"version": "1.2", "session": token, "heart-beat": f"{beat},{beat}"})

    def _subscribe(self, frame: StompFrame) -> None:
        name, destination = frame.required("id"), frame.required("destination")
        self._subscriptions.check_new(name)
        if destination in ERROR_QUEUES:
            self._errors = name, destination
            self._done(frame)
        elif RELAY in destination:
            self._answer(frame, lambda: self._relay(frame, destination, name))
        else:
            self._answer(frame, lambda: self._subscribe_topic(destination, name))

    def _relay(self, frame: StompFrame, destination: str, name: str) -> None:
        resource = relayed(self._request(frame, read_relay, {}, frame.headers))
        number = str(self.next_number())
        headers = {"destination": destination, "content-type": "application/json", "subscription": name}
        self._send("MESSAGE", headers | {"message-id": number, "ack": number}, compact_json({"resource": resource}))

    def _subscribe_topic(self, destination: str, name: str) -> None:
        user = self._user()
        channel = check_topic(self._services.database, read_topic(destination), user)
        chat = None if channel is None else actions.open_chat(self._context(user), self.session_id, user, channel)
        self._subscriptions.add(name, Subscription(self, name, destination, chat))

    def _unsubscribe(self, frame: StompFrame) -> None:
        name = frame.required("id")
        subscription = self._subscriptions.remove(name)
        if subscription is not None and subscription.chat is not None:
            actions.close_chat(self._context(), subscription.chat)
        elif self._errors is not None and name == self._errors[0]:
            self._errors = None
        self._done(frame)

    def _perform(self, frame: StompFrame) -> None:
        frame.required("destination")
        self._answer(frame, lambda: perform(self._request(frame, read_action, read_document(frame.body), {})))

    def _acknowledge(self, frame: StompFrame) -> None:
        frame.required("id")  # nothing is sent again, so nothing is remembered
        self._done(frame)

    def _disconnect(self, frame: StompFrame) -> None:
        sessions.forget_token(self._services.database, self.session_id)
        self._done(frame)
        self._outbox.flush()
        self._ended = True
        self._leave()
        self._socket.close()

    def _refuse_transaction(self, frame: StompFrame) -> None:
        raise BadFrame(f"transactions are not supported: {frame.command}")

    # Helpers

    def _answer(self, frame: StompFrame, work: Callable[[], Awaitable[None] | None]) -> None:
        """Do what a frame asks for; a failure is reported on the errors queue, and the connection goes on."""
        try:
            doing = work()
            if doing is None:
                self._done(frame)
        except Exception as error:
            self._report(frame, error)
            return
        if doing is not None:
            self._begin(self._reported(frame, doing))

    async def _reported(self, frame: StompFrame, doing: Awaitable[None]) -> None:
        try:
            await doing
            self._done(frame)
        except Exception as error:
            self._report(frame, error)

    def _report(self, frame: StompFrame, error: Exception) -> None:
        if isinstance(error, BadFrame):
            raise error
        if self._services.database.failure is not None:  # with what was undone, this report is discarded
            self._unstored.append(frame)
        problem = self._problem(error, f"{frame.command} {frame.headers.get('destination')}")
        if self._errors is None:
            raise problem
        name, destination = self._errors
        headers = {"destination": destination, "content-type": "application/json", "subscription": name}
        headers["message-id"] = str(self.next_number())
        headers |= _receipt(frame.headers.get("receipt"))
        if frame.command == "SUBSCRIBE":
            headers["subscription-id"] = frame.headers["id"]
        self._send("MESSAGE", headers, error_body(problem))

    def _problem(self, error: Exception, action: str) -> HttpProblem:
        if isinstance(error, HttpProblem):
            return error
        return Refused(str(error)) if isinstance(error, Malformed) else self._services.failed(error, action)

    def _begin(self, work: Awaitable[None]) -> None:
        """Do what takes longer; frames that arrive meanwhile wait."""
        self._inbox.begin(self._ended_by_failure(work))

    async def _ended_by_failure(self, work: Awaitable[None]) -> None:
        await self._services.gate.enter()
        try:
            await work
        except BadFrame as error:
            self.end(BadConversation(str(error)))
        except HttpProblem as problem:
            self.end(problem)
        except Exception as error:
            self.end(self._services.failed(error, "a session"))
        finally:
            self._services.gate.leave()

    def _done(self, frame: StompFrame) -> None:
        if self._services.database.uncommitted:
            self._unstored.append(frame)
            if not self._held:
                self._hold()
        receipt = frame.headers.get("receipt")
        if receipt is not None:
            self._send("RECEIPT", {"receipt-id": receipt})

    def _send(self, command: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.send(write_frame(command, headers, body))

    def _user(self) -> User:
        user = users.get(self._services.database, self.user_id)
        if user is None:
            raise Denied("the user was deleted")
        return user

    def _context(self, user: User | None = None, receipt: str | None = None) -> ActionContext:
        base = self._base
        assert base is not None  # noqa: S101 - set when the connection opened
        return ActionContext(
            base.database, base.dispatch, base.topics, base.links, actor=user, origin=Origin(self, receipt)
        )

    def _request(
        self, frame: StompFrame, read: Callable[[str], Destination], body: Any, parameters: Mapping[str, str]
    ) -> ClientRequest:
        user = self._user()
        context = self._context(user, frame.headers.get("receipt"))
        at = read(frame.headers["destination"])
        return ClientRequest(self._services, context, user, self.session_id, at, body, parameters)

    def _leave(self) -> None:
        """End the user session with its subscriptions."""
        if not self.session_id:
            return
        hub = self._services.topics
        self._subscriptions.clear()
        if hub.connections.get(self.session_id) is not self:
            return
        del hub.connections[self.session_id]
        try:
            user = users.get(self._services.database, self.user_id)
            if user is not None:
                actions.disconnect(self._context(), self.session_id, user)
        except Exception as error:  # a full disk, for example; the next start of the emulator ends the session
            self._services.failed(error, "the end of a session")


_COMMANDS: Mapping[str, Callable[[ClientSession, StompFrame], None]] = {
    "CONNECT": ClientSession._connect,
    "STOMP": ClientSession._connect,
    "SUBSCRIBE": ClientSession._subscribe,
    "UNSUBSCRIBE": ClientSession._unsubscribe,
    "SEND": ClientSession._perform,
    "ACK": ClientSession._acknowledge,
    "NACK": ClientSession._acknowledge,
    "DISCONNECT": ClientSession._disconnect,
    "BEGIN": ClientSession._refuse_transaction,
    "COMMIT": ClientSession._refuse_transaction,
    "ABORT": ClientSession._refuse_transaction,
}


def _receipt(receipt: str | None) -> dict[str, str]:
    return {} if receipt is None else {"receipt-id": receipt}
