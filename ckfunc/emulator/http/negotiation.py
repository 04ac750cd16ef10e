"""In which spelling an answer goes out: as Accept asks, else as the path suggests."""

from __future__ import annotations

from functools import lru_cache

from ckfunc.wire.dialects import Dialect

# No source says which type selects which spelling; this follows what the vendor's SDKs send and read.
_SPELLING = {
    "application/vnd.chatkitty.v1+json": Dialect.CAMEL,
    "application/vnd.chatkitty+json": Dialect.SNAKE,
}
_NEUTRAL = ("application/json", "application/hal+json", "application/vnd.hal+json")


@lru_cache(maxsize=512)
def answer_format(accept: str, versioned: bool) -> tuple[Dialect, str]:
    """Return the spelling and media type of an answer; `versioned` tells whether the path began with /v1."""
    by_path = Dialect.CAMEL if versioned else Dialect.SNAKE
    for kind in _preferred(accept):
        if kind in _SPELLING:
            return _SPELLING[kind], kind
        if kind in _NEUTRAL:
            return by_path, kind
    return by_path, by_path.media_type


def _preferred(accept: str) -> list[str]:
    """Return the media types of an Accept header, the most wanted first; a weight that cannot be read counts as 1."""
    found: list[tuple[float, str]] = []
    for one in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in one.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 1.0
        if weight > 0:
            found.append((-weight, kind))
    return [kind for _, kind in sorted(found, key=lambda pair: pair[0])]
