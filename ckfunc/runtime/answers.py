"""What the frames of a Node process mean. A handler can write to the channel, so nothing in them is taken on trust."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ckfunc.base.documents import DEEPEST, deeper_than
from ckfunc.model.execution import HandlerError
from ckfunc.model.function import ConsoleLine
from ckfunc.runtime.frames import BrokenStream

_LEVELS = frozenset({"log", "info", "debug", "warn", "error", "trace"})
_STREAMS = frozenset({"log", "error"})
_LONGEST_MS = 1e9
_TOO_DEEP = HandlerError(
    "ResultError", f"the handler's result is nested too deeply; at most {DEEPEST} levels are allowed"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request came to: `error` says why it failed, else `body` is the result as JSON text ("" for none).

    `duration_ms` is how long it took as the process measured it, 0 if it did not tell.
    """

    error: HandlerError | None = None
    body: str = ""
    duration_ms: float = 0.0


AGAIN = Answer()
"""The answer to a request that the process did not begin."""


def request_of(header: Mapping[str, Any]) -> int:
    """Return the number of the request that a frame belongs to. Raises BrokenStream."""
    identity = header.get("id", 0)
    if type(identity) is not int:
        raise BrokenStream("a frame's id is no number")
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


def read_answer(header: Mapping[str, Any], body: str) -> Answer:
    """Return what a `ready`, `done` or `failed` frame says. Raises BrokenStream."""
    took = header.get("ms", 0.0)
    if type(took) not in (int, float) or not 0 <= took < _LONGEST_MS:
        raise BrokenStream("a frame's duration is no number")
    match header.get("op"):
        case "ready":
            return Answer()
        case "again":
            return AGAIN
        case "done":
            return Answer(_problem(body), body, took) if body else Answer(duration_ms=took)
        case "failed":
            return Answer(_error(header.get("error")), "", took)
    raise BrokenStream("a frame is of no known kind")


def _problem(body: str) -> HandlerError | None:
    """Return why a result cannot be kept, or None."""
    try:
        result = _decode(body)
    except RecursionError:
        return _TOO_DEEP
    except ValueError:
        raise BrokenStream("a result is no JSON") from None
    # A text with few brackets cannot be deep; most have few.
    if body.count("[") + body.count("{") > DEEPEST and deeper_than(result, DEEPEST):
        return _TOO_DEEP
    return None


def _error(given: Any) -> HandlerError:
    if not isinstance(given, dict):
        raise BrokenStream("a failure has no reason")
    texts = [given.get(name) for name in ("name", "message", "stack")]
    if not all(isinstance(text, str) for text in texts):
        raise BrokenStream("a failure's reason is no text")
    return HandlerError(*(str(text).encode("utf-8", "replace").decode() for text in texts))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


_decode = json.JSONDecoder(parse_constant=_no_constant).decode
