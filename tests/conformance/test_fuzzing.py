"""Valid and invalid requests that schemathesis generates: every response is one that OpenAPI describes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from conformance.judging import OPERATIONS, strict
from conformance.world import inhabited
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from support.sampling import sampled

from ckfunc.emulator.asgi import ROUTES
from ckfunc.emulator.resources.openapi import document, operation_id
from ckfunc.wire.contract import Operation, operations
from ckfunc.wire.dialects import Dialect

# One worker of a parallel run takes them all: they share an emulator.
pytestmark = [pytest.mark.xdist_group("fuzzing"), pytest.mark.timeout(300)]

EXAMPLES, MANY_EXAMPLES = 3, 60
"""How many requests of each kind, right and wrong ones, each of the 70 operations gets."""

ROUTED = {operation_id(route) for route in ROUTES}

load_all_checks()
# What the platform calls a merge patch.
schemathesis.serializer.alias("application/json+merge-patch", "application/json")
NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with inhabited(tmp_path_factory.mktemp("fuzzing")) as url:
        yield url


@pytest.fixture(scope="module")
def session(server: str) -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        form = {"grant_type": "client_credentials"}
        answer = made.post(f"{server}/oauth/token", auth=("emulator", "emulator"), data=form, timeout=60)
        made.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        populate(made, server)
        yield made


def populate(session: requests.Session, server: str) -> None:
    """Make something that the ids 1 and 2 can name, of every kind that is not there yet."""
    for name in ("garden", "office"):
        channel = {"type": "PUBLIC", "name": name, "members": [{"id": 1}, {"id": 2}]}
        session.post(f"{server}/v1/channels", json=channel, timeout=60).raise_for_status()
    for kind in ("user.read.message", "user.reacted_to.message"):
        new = {"type": kind, "name": kind, "initializeAsynchronously": False}
        made = session.post(f"{server}/v1/runtimes/nodejs/functions", json=new, timeout=60)
        versions = f"{server}/v1/functions/{made.json()['id']}/versions"
        session.post(versions, json={"handlerScript": "function handleEvent() {}"}, timeout=60).raise_for_status()
    session.put(f"{server}/v1/users/1/secrets/dan", json={"secret": "x"}, timeout=60).raise_for_status()
    session.post(f"{server}/v1/analytics/messages", timeout=60).raise_for_status()


def closed(made: dict[str, Any]) -> dict[str, Any]:
    """Return the document with answers that may hold no field it does not name, and with ids that are mostly there."""
    prefix = "#/components/schemas/"
    made = json.loads(json.dumps(made))
    components = made["components"]["schemas"]
    todo = [one.response for one in operations() if one.response]
    answers: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in answers:
            answers.add(name)
            todo += re.findall(rf'"{prefix}(\w+)"', json.dumps(components[name]))
    for name in answers:
        components[name] = strict(name, Dialect.CAMEL, references=prefix)
    components["ChatUserIdReference"]["properties"]["id"] = {"enum": [1, 2]}
    components["ChatUserUsernameReference"]["properties"]["username"] = {"enum": ["dan", "eve"]}
    for methods in made["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path" or operation["operationId"] == "checkUserExists":
                    parameter["schema"] = {"enum": ["dan"] if parameter["name"] == "name" else [1, 2, 3]}
    return made


SCHEMA = schemathesis.openapi.from_dict(closed(document(ROUTES, "http://127.0.0.1")))
# What deletes comes last, the smallest things first, so that there is something to be asked for.
ORDER = sorted(
    (one for one in operations() if one.id in ROUTED),
    key=lambda one: -one.path.count("/") if one.method == "DELETE" else -99,
)


PLANS = [
    pytest.param(
        one, mode, id=f"{one.id}-{mode.value}", marks=() if mode is GenerationMode.POSITIVE else pytest.mark.slow
    )
    for one in ORDER
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or one.parameters or one.content
]


@pytest.mark.parametrize("examples", [EXAMPLES, pytest.param(MANY_EXAMPLES, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("operation", "mode"), sampled(PLANS, every=3))
def test_an_answer_is_one_that_the_document_describes(
    server: str, session: requests.Session, operation: Operation, mode: GenerationMode, examples: int
) -> None:
    strategy = SCHEMA.find_operation_by_id(operation.id).as_strategy(generation_mode=mode)
    checks = CHECKS.get_by_names(NAMES)

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def run(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=server, session=session, checks=checks, timeout=60)

    run()


def test_every_operation_is_fuzzed() -> None:
    assert {one.id for one in ORDER} == ROUTED & set(OPERATIONS)
