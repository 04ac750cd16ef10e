"""Faults that the emulator injects into requests to the Platform API."""

from __future__ import annotations

from collections.abc import Sequence

from ckfunc.base.frozen import frozen
from ckfunc.base.text import Line, Segment, table

DEFAULT_SEED = 1

_HEADINGS = ("ID", "OPERATION", "FAULT", "REQUESTS", "AFFECTED")


@frozen
class Fault:
    """A fault. After a delay, the request fails with `status`, or is carried out, possibly without a response.

    `operation` is the id of an operation of the Platform API, None for all of them. It applies to `rate_percent` of
    their requests, chosen with random numbers from `seed`, or only to the `first` ones.
    """

    operation: str | None = None
    status: int | None = None
    retry_after_s: int | None = None
    """The value of the header Retry-After, None to omit it."""
    delay_ms: int = 0
    lost: bool = False
    """Whether the connection is closed without a response, after the request was carried out."""
    rate_percent: float = 100.0
    first: int | None = None
    seed: int = DEFAULT_SEED

    @property
    def effect(self) -> str:
        """The fault in words, such as "429 with Retry-After 1 s"."""
        parts = [f"delay of {self.delay_ms} ms"] if self.delay_ms else []
        if self.status is not None:
            after = "" if self.retry_after_s is None else f" with Retry-After {self.retry_after_s} s"
            parts.append(f"{self.status}{after}")
        if self.lost:
            parts.append("response lost")
        return ", ".join(parts)

    @property
    def requests(self) -> str:
        """The requests that are affected, in words, such as "20% of requests"."""
        if self.first is not None:
            return "first request" if self.first == 1 else f"first {self.first} requests"
        return "all requests" if self.rate_percent == 100 else f"{self.rate_percent:g}% of requests"


@frozen
class ActiveFault:
    """A fault of an emulator: `seen` of its operation's requests were considered, and `hits` were affected."""

    id: int
    fault: Fault
    seen: int = 0
    hits: int = 0

    @property
    def is_certain(self) -> bool:
        """Whether it affects the next request of its operation, whatever the random numbers are."""
        return self.fault.rate_percent == 100 and (self.fault.first is None or self.hits < self.fault.first)


def fault_table(active: Sequence[ActiveFault]) -> list[Line]:
    """Return a table of faults; nothing if there are none."""
    rows: list[Line] = [
        [
            Segment(str(fault.id), "muted"),
            Segment(fault.fault.operation or "all", "title"),
            Segment(fault.fault.effect),
            Segment(fault.fault.requests),
            Segment(f"{fault.hits} of {fault.seen}"),
        ]
        for fault in active
    ]
    return table(_HEADINGS, rows) if rows else []
