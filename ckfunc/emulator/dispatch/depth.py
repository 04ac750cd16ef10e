"""How deep a chain of events is: an event that a handler's own call caused is one deeper than that handler's run."""

from __future__ import annotations

DEEPEST = 16
"""A chain this long is a loop: a handler that answers each message with a message of its own, say."""

_MOST_REMEMBERED = 20_000


class Depths:
    """Remembers how deep the latest runs were."""

    def __init__(self) -> None:
        self._of: dict[int, int] = {}

    def below(self, caller: int | None) -> int:
        """Return the depth of an event that run `caller` (None: a client) caused; a client's is 0."""
        return 0 if caller is None else 1 + self._of.get(caller, 0)

    def note(self, invocation_id: int, depth: int) -> None:
        """Remember a run's depth; a call of its handler may come after its end."""
        self._of[invocation_id] = depth
        if len(self._of) > _MOST_REMEMBERED:
            del self._of[next(iter(self._of))]
