"""JSON of snapshots of an emulator's data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.model.job import DataSnapshot
from ckfunc.wire.reading import Malformed, required, resource

if TYPE_CHECKING:
    from ckfunc.model.outputs import SnapshotJson


def write_snapshot(snapshot: DataSnapshot) -> SnapshotJson:
    """Return a snapshot as JSON."""
    return {
        "name": snapshot.name,
        "createdTime": timestamp(snapshot.created_time),
        "sizeBytes": snapshot.size_bytes,
    }


def read_snapshot(document: Any) -> DataSnapshot:
    """Read a snapshot; raises Malformed."""
    data = resource(document, "the snapshot")
    text = required(data, "createdTime", str)
    try:
        created = parse_timestamp(text)
    except ValueError:
        raise Malformed(f"field 'createdTime' is not a time: {text[:60]!r}") from None
    return DataSnapshot(required(data, "name", str), created, required(data, "sizeBytes", int))
