"""Client of the emulator's control endpoints."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from ckfunc.api.client import Client, reading
from ckfunc.base.errors import NotFound, RequestRejected
from ckfunc.base.frozen import frozen
from ckfunc.model.application import InvocationDetail
from ckfunc.model.fault import ActiveFault, Fault
from ckfunc.model.job import DataSnapshot, Seeded
from ckfunc.wire.applications import read_detail
from ckfunc.wire.faults import read_active_fault, write_fault
from ckfunc.wire.jobs import read_seeded, read_snapshot
from ckfunc.wire.reading import required, resource

T = TypeVar("T")

MAX_IDS = 100
"""The maximum number of ids in a request for details of runs."""

_FAULTS = "/emulator/faults"
_SNAPSHOTS = "/emulator/snapshots"

# The first run may wait until packages are installed.
_TRIGGER_TIMEOUT_S = 300.0
# Much data is copied twice.
_REPLACEMENT_TIMEOUT_S = 300.0


def health(client: Client) -> dict[str, Any]:
    """Read the emulator's health."""
    subject = "the emulator's health"
    return _control(client, "GET", "/emulator/health", subject, _unchanged(subject))


def invocation_details(client: Client, ids: Iterable[int]) -> dict[int, InvocationDetail]:
    """Read console output and duration of runs, by id; runs that the emulator does not know are omitted."""
    unique_ids = sorted(set(ids))
    subject, read = "the console output of invocations", _each("invocations", read_detail)
    details: dict[int, InvocationDetail] = {}
    for start in range(0, len(unique_ids), MAX_IDS):
        query = {"ids": ",".join(map(str, unique_ids[start : start + MAX_IDS]))}
        listed = _control(client, "GET", "/emulator/invocations", subject, read, query=query)
        details |= {detail.id: detail for detail in listed}
    return details


def trigger(client: Client, trigger_type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Fire an event and wait until its function has finished. Sent once.

    Return the emulator's response: `invocation` (or None), `detail`, `allowed` (only for session attempts), `reason`.
    """
    subject = f"the event {trigger_type}"
    body = {"type": trigger_type, "data": dict(data)}
    read = _unchanged(subject)
    try:
        return _control(client, "POST", "/emulator/trigger", subject, read, body=body, timeout_s=_TRIGGER_TIMEOUT_S)
    except RequestRejected as error:
        raise RequestRejected(
            error.message.replace("creating", "firing", 1),
            hint=f"""set the event's fields: `ckfunc trigger {trigger_type} --data '{{"username": "jane"}}'`""",
            status=error.status,
        ) from error


def set_enabled(client: Client, function_id: int, enabled: bool) -> None:
    """Enable or disable a function. On the platform, only the dashboard can do this."""
    path = f"/emulator/functions/{function_id}/enabled"
    client.session.control("PUT", path, f"the state of function {function_id}", body={"enabled": enabled})


def post_seed(client: Client, document: Any) -> Seeded:
    """Add the rows of a seed that the emulator does not have yet; return their numbers."""
    path, timeout_s = "/emulator/seed", _TRIGGER_TIMEOUT_S
    return _control(client, "POST", path, "the seed", read_seeded, body=document, timeout_s=timeout_s)


@frozen
class FaultControls:
    """The faults that an emulator injects into requests to the Platform API."""

    client: Client

    def all(self) -> tuple[ActiveFault, ...]:
        """Read the faults, oldest first."""
        return _control(self.client, "GET", _FAULTS, "the faults", _each("faults", read_active_fault))

    def add(self, fault: Fault) -> ActiveFault:
        """Add a fault."""
        return _control(self.client, "POST", _FAULTS, "the fault", read_active_fault, body=write_fault(fault))

    def remove(self, ids: Collection[int]) -> tuple[ActiveFault, ...]:
        """Remove faults, and return them. Raises NotFound, before any is removed, if one of them does not exist."""
        active = {fault.id for fault in self.all()}
        if unknown := [str(fault_id) for fault_id in ids if fault_id not in active]:
            raise NotFound(
                f"the emulator has no fault {' or '.join(unknown)}; nothing was removed",
                hint="`ckfunc emulator faults` lists the faults",
            )
        return tuple(
            _control(self.client, "DELETE", f"{_FAULTS}/{fault_id}", f"fault {fault_id}", read_active_fault)
            for fault_id in dict.fromkeys(ids)
        )

    def clear(self) -> tuple[ActiveFault, ...]:
        """Remove all faults, and return them."""
        return _control(self.client, "DELETE", _FAULTS, "the faults", _each("faults", read_active_fault))


def snapshots(client: Client) -> tuple[DataSnapshot, ...]:
    """Read the snapshots of the emulator's data, newest first."""
    return _control(client, "GET", _SNAPSHOTS, "the snapshots", _each("snapshots", read_snapshot))


def save_snapshot(client: Client, name: str, *, replace: bool) -> DataSnapshot:
    """Save all data of the emulator as a snapshot."""
    return _snapshot(client, "PUT", name, "", {"replace": replace})


def restore_snapshot(client: Client, name: str) -> DataSnapshot:
    """Replace all data of the emulator with a snapshot."""
    return _snapshot(client, "POST", name, "/restore", {})


def remove_snapshot(client: Client, name: str) -> DataSnapshot:
    """Delete a snapshot."""
    return _snapshot(client, "DELETE", name, "", None)


def reset(client: Client) -> None:
    """Delete all data of the emulator."""
    client.session.control("POST", "/emulator/reset", "a reset", body={}, timeout_s=_REPLACEMENT_TIMEOUT_S)


def _snapshot(client: Client, method: str, name: str, action: str, body: Any) -> DataSnapshot:
    subject, path = f"snapshot {name}", f"{_SNAPSHOTS}/{quote(name, safe='')}{action}"
    return _control(client, method, path, subject, read_snapshot, body=body, timeout_s=_REPLACEMENT_TIMEOUT_S)


def _control(client: Client, method: str, path: str, subject: str, read: Callable[[Any], T], **options: Any) -> T:
    """Call a control endpoint, and read its response; `options` are those of `Session.control`."""
    return reading(subject, client.session.server, read, client.session.control(method, path, subject, **options))


def _unchanged(subject: str) -> Callable[[Any], dict[str, Any]]:
    """Return a reader of objects. It respells nothing, because names in an invocation's args are user data."""

    def read(document: Any) -> dict[str, Any]:
        resource(document, subject)
        return dict(document)

    return read


def _each(name: str, read: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    """Return a reader of the list `name` in a response."""
    return lambda document: tuple(map(read, required(resource(document, "the response"), name, list)))
