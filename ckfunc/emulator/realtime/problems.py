"""Problems that end a client's connection, and their JSON."""

from __future__ import annotations

from datetime import UTC, datetime

from ckfunc.base.clock import timestamp
from ckfunc.emulator.http.problems import Denied, HttpProblem
from ckfunc.wire.dialects import compact_json


class BadConversation(HttpProblem):
    """A client breaks the protocol."""

    error = "ProtocolError"
    text = "The client broke the protocol"


class SlowClient(HttpProblem):
    """A client does not read what it subscribed to."""

    error = "SlowConsumerError"
    text = "The client does not read fast enough"


class TooManyClients(HttpProblem):
    """Every connection that the emulator allows for clients is in use."""

    error = "TooManyClientsError"
    text = "Too many clients are connected"


def error_body(problem: HttpProblem) -> bytes:
    """Return the body of an ERROR frame, or of a message on the errors queue."""
    name = "AccessDeniedError" if isinstance(problem, Denied) else problem.error
    document = {"error": name, "message": problem.explanation, "timestamp": timestamp(datetime.now(UTC))}
    return compact_json(document)
