"""The polling interval while following: short during activity, longer when idle."""

from __future__ import annotations

from dataclasses import dataclass

_SLOWING = 1.3
_FIRST_BACKOFF_S = 1.0
_LONGEST_BACKOFF_S = 30.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Polling intervals in seconds: during activity, when idle, and for the list of functions.

    `per_function_s` lengthens the intervals of applications with many functions, to limit the rate of requests.
    """

    quick_s: float
    idle_s: float
    functions_s: float
    per_function_s: float

    def next_s(self, last_s: float, *, active: bool, functions: int) -> float:
        """Return how long to wait after a round, in seconds. `last_s` is the wait before that round."""
        least_s = max(self.quick_s, self.per_function_s * functions)
        return least_s if active else max(min(last_s * _SLOWING, self.idle_s), least_s)


LOOPBACK = Pace(quick_s=0.1, idle_s=0.4, functions_s=2.0, per_function_s=0.005)
REMOTE = Pace(quick_s=1.0, idle_s=3.0, functions_s=15.0, per_function_s=0.05)


def backoff_s(failed: int) -> float:
    """Return how long to wait after `failed` consecutive failed rounds (at least 1), in seconds."""
    return min(_FIRST_BACKOFF_S * 2.0 ** min(failed - 1, 10), _LONGEST_BACKOFF_S)
