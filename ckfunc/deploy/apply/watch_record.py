"""Records of a watched deploy in its journal.

The policy is recorded before the first write, then the end of the watch, a breach, and finally that the watch is over.
A crash between any two of them can be resumed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.base.frozen import frozen
from ckfunc.model.project import WatchPolicy


@frozen
class WatchRecord:
    """How far the watch of a deploy has come. `until` is None before it begins.

    `breached` says that the deploy must be reverted; `over`, that nothing is left to do.
    """

    policy: WatchPolicy
    until: datetime | None = None
    breached: bool = False
    over: bool = False


def policy_note(policy: WatchPolicy) -> dict[str, Any]:
    """Return the line that records how a deploy will be watched."""
    return {
        "event": "watch",
        "watch_for_s": policy.watch_for_s,
        "max_failures": str(policy.max_failures),
        "min_runs": policy.min_runs,
    }


def with_note(record: WatchRecord | None, note: Mapping[str, Any]) -> WatchRecord | None:
    """Return the record after another line of the journal. A damaged line raises an error, as `json` and `int` do."""
    if note["event"] == "watch":
        share = Fraction(str(note["max_failures"]))
        return WatchRecord(WatchPolicy(float(note["watch_for_s"]), share, int(note["min_runs"])))
    if record is None or note["event"] not in ("watching", "breach", "watched"):
        return record
    if note["event"] == "watching":
        return replace(record, until=parse_timestamp(str(note["until"])))
    return replace(record, breached=True) if note["event"] == "breach" else replace(record, over=True)


def record_begin(path: Path, until: datetime) -> None:
    """Record when the watch will end. Write failures are ignored: the deploy itself is complete."""
    append_note(path, {"event": "watching", "until": timestamp(until)})


def record_breach(path: Path) -> None:
    """Record that the deploy must be reverted. Write failures are ignored."""
    append_note(path, {"event": "breach"})


def record_end(path: Path) -> None:
    """Record that the watch is over. Write failures are ignored."""
    append_note(path, {"event": "watched"})


def journal_line(note: Mapping[str, Any]) -> bytes:
    """Return a note as a line of a journal."""
    return json.dumps(note, separators=(",", ":")).encode() + b"\n"


def append_note(path: Path, note: Mapping[str, Any]) -> None:
    """Append a line to a journal that is closed. Write failures are ignored."""
    with suppress(OSError), path.open("ab") as file:
        # The last line may be incomplete if ckfunc was killed while writing it.
        file.write(b"\n" + journal_line(note))
