"""Examples of the platform's documentation, compared with the emulator's responses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conformance.example_calls import ask
from conformance.judging import OPERATIONS
from conformance.shapes import Shape, shape
from conformance.world import inhabited

from ckfunc.wire.dialects import canonical

# In a parallel run, one worker runs all of these tests, so that each operation is called once.
pytestmark = [pytest.mark.xdist_group("examples"), pytest.mark.timeout(300)]

GOLDEN = Path(__file__).parent.parent / "golden" / "platform-examples.json"
_EXAMPLES = json.loads(GOLDEN.read_text(encoding="utf-8"))
EXAMPLES: dict[str, Any] = {
    # If two operations have the same example, the second refers to the first by name.
    operation: _EXAMPLES[example] if isinstance(example, str) else example
    for operation, example in _EXAMPLES.items()
}

MORE = {
    "isGuest": "required, but the examples leave it out when it is false",
    "callStatus": "optional: only the older examples of users lack it",
    "nestedLevel": "required, but added after the examples were made",
    "muted": "the same",
    "guestUsers": "the toggles of the settings are flat in every schema, and nested in the example",
    "userCreatedChannels": "the same",
    "page/start": "in the schemas of the clients, not in the examples",
    "page/next": "the same",
    "createdTime": "the example of an application spells it created_time",
    "jobs[]/file": "where an export's result is; the examples show no export that has ended",
}
"""Fields of responses that are missing in the examples, with reasons. Links of keystrokes are also missing there."""

LESS = {"endedTime": "a job that is accepted has not ended"}
"""Fields of examples that are missing in responses with status 202, with reasons."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with inhabited(tmp_path_factory.mktemp("examples")) as server:
        yield ask(server)


def test_every_operation_has_an_example_except_for_known_exceptions() -> None:
    without = {
        "checkUserExists": "no body",
        "retrieveApplicationMessageReadReceiptSummaries": "newer than the document",
        "listChannelReportedMessages": "newer than the document",
        "countUserUnreadMessages": "newer than the document",
    }
    assert set(EXAMPLES) == set(OPERATIONS) - set(without)


@pytest.mark.parametrize("operation", EXAMPLES)
def test_a_response_has_the_same_shape_as_the_documented_example(answers: Mapping[str, Any], operation: str) -> None:
    example, answer = form(operation, EXAMPLES[operation]), form(operation, canonical(answers[operation]))
    accepted = OPERATIONS[operation].status == 202
    assert [entry for entry in sorted(example - answer) if not (accepted and entry[0] in LESS)] == []
    more = [entry for entry in sorted(answer - example) if not expected(entry[0], example)]
    assert [place for place, _ in more if not (operation.endswith("Keystrokes") and place.startswith("_links/"))] == []


def form(operation: str, document: Any) -> Shape:
    """Return the shape of a response or an example, with page links that lead to the requested list.

    Page links of the examples are replaced, because the documentation shows one page for all lists of a kind.
    """
    found = shape(canonical(document))
    if "page" not in document:
        return found
    own = re.sub(r"{\w+}", "{n}", OPERATIONS[operation].path)
    paged = {(place, text.partition("?")) for place, text in found if place.startswith("_links/")}
    rest = {entry for entry in found if not entry[0].startswith("_links/")}
    assert all(path.startswith("/v1/") for _, (path, _, _) in paged)
    prefix = "/v1" if "sessions" in own else "/v1/applications/{n}"
    return frozenset(rest | {(place, f"{prefix}{own}?{query}") for place, (_, _, query) in paged})


def expected(place: str, example: Shape) -> bool:
    """Return whether a response may have a field that the example lacks: known, or a new variant."""
    if any(place == suffix or place.endswith(f"/{suffix}") for suffix in MORE):
        return True
    variants = [place[: found.end()] for found in re.finditer(r"<[^>]+>", place)]
    return any((variant, "object") not in example for variant in variants)


def test_page_links_lead_to_the_requested_list(answers: Mapping[str, Any]) -> None:
    for operation, answer in answers.items():
        if "page" in answer:
            own = re.sub(r"{\w+}", r"\\d+", OPERATIONS[operation].path)
            for link in answer["_links"].values():
                assert re.search(rf"/v1(/applications/1)?{own}\?", link["href"]), operation
