"""Client of the emulator's own controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ckfunc.api.client import Client, reading
from ckfunc.base.errors import RequestRejected
from ckfunc.model.function import InvocationDetail
from ckfunc.model.job import Seeded
from ckfunc.wire.functions import read_detail
from ckfunc.wire.reading import required, resource
from ckfunc.wire.seeds import read_seeded

AT_ONCE = 100
"""How many runs are asked about in one request, at most."""

# A first run may wait for packages to be installed.
_TRIGGER_TIMEOUT_S = 300.0


def health(client: Client) -> dict[str, Any]:
    """Read how the emulator is."""
    what = "the emulator's health"
    found = client.session.control("GET", "/emulator/health", what)
    return dict(_read(client, what, found))


def invocation_details(client: Client, ids: Iterable[int]) -> dict[int, InvocationDetail]:
    """Read console output and duration of runs, by id; a run that the emulator does not know is left out."""
    wanted = sorted(set(ids))
    what = "the console output of invocations"
    found: dict[int, InvocationDetail] = {}
    for start in range(0, len(wanted), AT_ONCE):
        query = {"ids": ",".join(map(str, wanted[start : start + AT_ONCE]))}
        document = client.session.control("GET", "/emulator/invocations", what, query=query)
        for detail in reading(what, client.session.where, _details, document):
            found[detail.id] = detail
    return found


def trigger(client: Client, trigger_type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Fire an event and wait until its function has finished. Sent once.

    Returns the emulator's response: `invocation` (or None), `detail`, `allowed` (only for session attempts), `reason`.
    """
    what = f"the event {trigger_type}"
    body = {"type": trigger_type, "data": dict(data)}
    try:
        found = client.session.control("POST", "/emulator/trigger", what, body=body, timeout_s=_TRIGGER_TIMEOUT_S)
    except RequestRejected as error:
        raise RequestRejected(
            error.message.replace("creating", "firing", 1),
            hint=f"""an event needs its fields: `ckfunc trigger {trigger_type} --data '{{"username": "jane"}}'`""",
            status=error.status,
        ) from error
    return dict(_read(client, what, found))


def set_enabled(client: Client, function_id: int, enabled: bool) -> None:
    """Enable or disable a function, which on the platform is possible only in the dashboard."""
    path = f"/emulator/functions/{function_id}/enabled"
    client.session.control("PUT", path, f"the switch of function {function_id}", body={"enabled": enabled})


def plant_seed(client: Client, document: Any) -> Seeded:
    """Add the rows of a seed that the emulator does not have yet, and return their numbers."""
    what = "the seed"
    found = client.session.control("POST", "/emulator/seed", what, body=document, timeout_s=_TRIGGER_TIMEOUT_S)
    return reading(what, client.session.where, read_seeded, found)


def _read(client: Client, what: str, found: Any) -> Mapping[str, Any]:
    # The names inside an invocation's args are user data, so nothing is respelled here.
    reading(what, client.session.where, lambda document: resource(document, what), found)
    answer: Mapping[str, Any] = found
    return answer


def _details(document: Any) -> list[InvocationDetail]:
    return [read_detail(one) for one in required(resource(document, "the answer"), "invocations", list)]
