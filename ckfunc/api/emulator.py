"""Client of the emulator's control endpoints."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
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
    answer = client.session.control("GET", "/emulator/health", subject)
    return dict(_read(client, subject, answer))


def invocation_details(client: Client, ids: Iterable[int]) -> dict[int, InvocationDetail]:
    """Read console output and duration of runs, by id; runs that the emulator does not know are omitted."""
    unique_ids = sorted(set(ids))
    subject = "the console output of invocations"
    details: dict[int, InvocationDetail] = {}
    for start in range(0, len(unique_ids), MAX_IDS):
        query = {"ids": ",".join(map(str, unique_ids[start : start + MAX_IDS]))}
        document = client.session.control("GET", "/emulator/invocations", subject, query=query)
        for detail in reading(subject, client.session.server, _details, document):
            details[detail.id] = detail
    return details


def trigger(client: Client, trigger_type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Fire an event and wait until its function has finished. Sent once.

    Return the emulator's response: `invocation` (or None), `detail`, `allowed` (only for session attempts), `reason`.
    """
    subject = f"the event {trigger_type}"
    body = {"type": trigger_type, "data": dict(data)}
    try:
        answer = client.session.control("POST", "/emulator/trigger", subject, body=body, timeout_s=_TRIGGER_TIMEOUT_S)
    except RequestRejected as error:
        raise RequestRejected(
            error.message.replace("creating", "firing", 1),
            hint=f"""set the event's fields: `ckfunc trigger {trigger_type} --data '{{"username": "jane"}}'`""",
            status=error.status,
        ) from error
    return dict(_read(client, subject, answer))


def set_enabled(client: Client, function_id: int, enabled: bool) -> None:
    """Enable or disable a function. On the platform, only the dashboard can do this."""
    path = f"/emulator/functions/{function_id}/enabled"
    client.session.control("PUT", path, f"the state of function {function_id}", body={"enabled": enabled})


def post_seed(client: Client, document: Any) -> Seeded:
    """Add the rows of a seed that the emulator does not have yet; return their numbers."""
    subject = "the seed"
    answer = client.session.control("POST", "/emulator/seed", subject, body=document, timeout_s=_TRIGGER_TIMEOUT_S)
    return reading(subject, client.session.server, read_seeded, answer)


@frozen
class FaultControls:
    """The faults that an emulator injects into requests to the Platform API."""

    client: Client

    def all(self) -> tuple[ActiveFault, ...]:
        """Read the faults, oldest first."""
        return _faults(self.client, "GET", "the faults")

    def add(self, fault: Fault) -> ActiveFault:
        """Add a fault."""
        answer = self.client.session.control("POST", _FAULTS, "the fault", body=write_fault(fault))
        return reading("the fault", self.client.session.server, read_active_fault, answer)

    def remove(self, ids: Collection[int]) -> tuple[ActiveFault, ...]:
        """Remove faults, and return them. Raises NotFound, before any is removed, if one of them does not exist."""
        active = {fault.id for fault in self.all()}
        if unknown := [str(fault_id) for fault_id in ids if fault_id not in active]:
            raise NotFound(
                f"the emulator has no fault {' or '.join(unknown)}; nothing was removed",
                hint="`ckfunc emulator faults` lists the faults",
            )
        return tuple(_remove_fault(self.client, fault_id) for fault_id in dict.fromkeys(ids))

    def clear(self) -> tuple[ActiveFault, ...]:
        """Remove all faults, and return them."""
        return _faults(self.client, "DELETE", "the faults")


def snapshots(client: Client) -> tuple[DataSnapshot, ...]:
    """Read the snapshots of the emulator's data, newest first."""
    answer = client.session.control("GET", _SNAPSHOTS, "the snapshots")
    return tuple(reading("the snapshots", client.session.server, _each_snapshot, answer))


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
    answer = client.session.control(method, path, subject, body=body, timeout_s=_REPLACEMENT_TIMEOUT_S)
    return reading(subject, client.session.server, read_snapshot, answer)


def _each_snapshot(document: Any) -> list[DataSnapshot]:
    return [read_snapshot(entry) for entry in required(resource(document, "the response"), "snapshots", list)]


def _remove_fault(client: Client, fault_id: int) -> ActiveFault:
    subject = f"fault {fault_id}"
    removed = client.session.control("DELETE", f"{_FAULTS}/{fault_id}", subject)
    return reading(subject, client.session.server, read_active_fault, removed)


def _faults(client: Client, method: str, subject: str) -> tuple[ActiveFault, ...]:
    answer = client.session.control(method, _FAULTS, subject)
    return tuple(reading(subject, client.session.server, _active_faults, answer))


def _active_faults(document: Any) -> list[ActiveFault]:
    return [read_active_fault(entry) for entry in required(resource(document, "the response"), "faults", list)]


def _read(client: Client, subject: str, answer: Any) -> Mapping[str, Any]:
    # Nothing is respelled here, because the names in an invocation's args are user data.
    reading(subject, client.session.server, lambda document: resource(document, subject), answer)
    document: Mapping[str, Any] = answer
    return document


def _details(document: Any) -> list[InvocationDetail]:
    return [read_detail(entry) for entry in required(resource(document, "the response"), "invocations", list)]
