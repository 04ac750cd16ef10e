"""How deep a chain of events is: an event that a handler's own call caused is one deeper than that handler's run."""

from __future__ import annotations

DEEPEST = 16
"""A chain this long is a loop: a handler that answers each message with a message of its own, say."""


class Depths:
    """Remembers how deep each function's current runs are.

    A call by a handler is known by its function, not by its run; when several runs are under way, the shallowest one is
    taken to have made it. So a busy function is never mistaken for a loop, and a loop is still found.
    """

    def __init__(self) -> None:
        self._running: dict[int, dict[int, int]] = {}
        self._last: dict[int, int] = {}

    def below(self, caller: int | None) -> int:
        """Return the depth of an event that function `caller` (None: a client) causes now; a client's is 0."""
        if caller is None:
            return 0
        running = self._running.get(caller)
        # A call that outlives its run counts as part of the function's last one.
        return 1 + (min(running.values()) if running else self._last.get(caller, 0))

    def began(self, function_id: int, invocation_id: int, depth: int) -> None:
        """Note that a run began."""
        self._running.setdefault(function_id, {})[invocation_id] = depth

    def ended(self, function_id: int, invocation_id: int) -> None:
        """Note that a run ended."""
        self._last[function_id] = self._running[function_id].pop(invocation_id)
