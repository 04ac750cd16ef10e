"""Examples of the platform's documentation, compared with the emulator's responses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conformance.asking import ask
from conformance.judging import OPERATIONS
from conformance.shapes import Shape, shape
from conformance.world import inhabited

from ckfunc.wire.dialects import canonical

# One worker of a parallel run takes them all, so that they are asked for once.
pytestmark = [pytest.mark.xdist_group("examples"), pytest.mark.timeout(300)]

GOLDEN = Path(__file__).parent.parent / "golden" / "platform-examples.json"
_EXAMPLES = json.loads(GOLDEN.read_text(encoding="utf-8"))
EXAMPLES: dict[str, Any] = {
    # An answer that is the same as another operation's is there by the name of that one.
    operation: _EXAMPLES[one] if isinstance(one, str) else one
    for operation, one in _EXAMPLES.items()
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
"""What an answer has beyond its example, and why; of keystrokes also links, as their example was made from a schema."""

LESS = {"endedTime": "a job that is accepted has not ended"}
"""What an example has that an answer cannot have, and why; of operations that answer 202."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with inhabited(tmp_path_factory.mktemp("examples")) as server:
        yield ask(server)


def test_there_is_an_example_of_every_operation_that_has_one() -> None:
    without = {
        "checkUserExists": "no body",
        "retrieveApplicationMessageReadReceiptSummaries": "newer than the document",
        "listChannelReportedMessages": "newer than the document",
        "countUserUnreadMessages": "newer than the document",
    }
    assert set(EXAMPLES) == set(OPERATIONS) - set(without)


@pytest.mark.parametrize("operation", EXAMPLES)
def test_an_example_of_the_document_is_answered_in_its_form(answers: Mapping[str, Any], operation: str) -> None:
    example, answer = form(operation, EXAMPLES[operation]), form(operation, canonical(answers[operation]))
    accepted = OPERATIONS[operation].status == 202
    assert [one for one in sorted(example - answer) if not (accepted and one[0] in LESS)] == []
    more = [one for one in sorted(answer - example) if not expected(one[0], example)]
    assert [place for place, _ in more if not (operation.endswith("Keystrokes") and place.startswith("_links/"))] == []


def form(operation: str, document: Any) -> Shape:
    """Return the form of an answer or example; page links must lead to the list that was asked for.

    Those of the examples do not: one page stands for all lists of its kind.
    """
    found = shape(canonical(document))
    if "page" not in document:
        return found
    own = re.sub(r"{\w+}", "{n}", OPERATIONS[operation].path)
    paged = {(place, text.partition("?")) for place, text in found if place.startswith("_links/")}
    rest = {one for one in found if not one[0].startswith("_links/")}
    assert all(path.startswith("/v1/") for _, (path, _, _) in paged)
    prefix = "/v1" if "sessions" in own else "/v1/applications/{n}"
    return frozenset(rest | {(place, f"{prefix}{own}?{query}") for place, (_, _, query) in paged})


def expected(place: str, example: Shape) -> bool:
    """Tell whether an answer may have more than the example at a place: by name, or in a variant that it lacks."""
    if any(place == one or place.endswith(f"/{one}") for one in MORE):
        return True
    variants = [place[: found.end()] for found in re.finditer(r"<[^>]+>", place)]
    return any((variant, "object") not in example for variant in variants)


def test_page_links_lead_to_the_list_that_was_asked_for(answers: Mapping[str, Any]) -> None:
    for operation, answer in answers.items():
        if "page" in answer:
            own = re.sub(r"{\w+}", r"\\d+", OPERATIONS[operation].path)
            for link in answer["_links"].values():
                assert re.search(rf"/v1(/applications/1)?{own}\?", link["href"]), operation
