"""Searches for past invocations."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.invocations import BEGAN, Served, invocations
from support.loopback import Reply, Request

from ckfunc.base.errors import ServiceTrouble
from ckfunc.logs.entries import Filter, Gap, LogEntry
from ckfunc.logs.finding import find_invocation, recent
from ckfunc.model.application import Status


def ids(served: Served, limit: int | None = None, **wanted: Any) -> list[int]:
    with served.client() as client:
        found = list(recent(client, client.functions(), limit, Filter(**wanted)))
    assert all(isinstance(item, LogEntry) for item in found)
    return [item.invocation.id for item in found if isinstance(item, LogEntry)]


def test_the_newest_invocations_of_all_functions_are_listed_oldest_first() -> None:
    with invocations("a", "b") as served:
        for _ in range(5):
            served.add(1)
            served.add(2, 2)
        assert ids(served, limit=4) == [12, 13, 14, 15]
        assert ids(served, limit=100) == list(range(1, 16))
        assert ids(served, limit=None) == list(range(1, 16))
        assert ids(served, limit=0) == []


def test_without_functions_or_invocations_the_log_is_empty() -> None:
    with invocations() as served:
        assert ids(served, limit=5) == []
    with invocations("a") as served:
        assert ids(served, limit=5) == []


def test_matching_invocations_are_searched_on_older_pages() -> None:
    with invocations("a") as served:
        served.add(1, 3, status="FAILED")
        served.add(1, 250)
        served.add(1, 2, status="FAILED", versionNumber=2)
        assert ids(served, limit=4, status=Status.FAILED) == [2, 3, 254, 255]
        assert ids(served, limit=9, version=2) == [254, 255]
        assert ids(served, limit=9, version=1, status=Status.FAILED) == [1, 2, 3]


def test_the_search_ends_at_rows_older_than_since() -> None:
    with invocations("a") as served:
        served.add(1, 1000)
        assert ids(served, since=BEGAN + timedelta(seconds=996)) == [996, 997, 998, 999, 1000]
        assert len(served.pages()) == 1


def test_rows_added_during_paging_cause_no_duplicates_or_omissions() -> None:
    with invocations("a") as served:
        served.add(1, 400)

        def before(request: Request) -> None:
            if "page=0" not in request.path and "/invocations" in request.path:
                served.add(1, 7)

        served.before = before
        assert ids(served, limit=350) == list(range(51, 401))


@pytest.mark.slow
def test_a_list_sorted_oldest_first_is_read_from_the_end() -> None:
    with invocations("a", sorts=False) as served:
        served.add(1, 10_000)
        assert ids(served, limit=5) == [9996, 9997, 9998, 9999, 10_000]
        assert len(served.pages()) <= 3


def test_a_platform_with_small_pages_is_read_completely() -> None:
    for sorts in (True, False):
        with invocations("a", granted=7, sorts=sorts) as served:
            served.add(1, 100)
            assert ids(served, limit=30) == list(range(71, 101))


def test_a_platform_that_does_not_know_its_number_of_rows_is_read_completely() -> None:
    with invocations("a", totals=False) as served:
        served.add(1, 450)
        assert ids(served, limit=230) == list(range(221, 451))
        with served.client() as client:
            matches = [find_invocation(client, client.functions(), number) for number in (3, 101, 250, 449)]
            assert [match[1].id for match in matches if match] == [3, 101, 250, 449]
            assert find_invocation(client, client.functions(), 451) is None


def test_the_search_ends_if_the_first_page_is_repeated_forever() -> None:
    with invocations("a", totals=False) as served:
        served.add(1, 350)

        def first_page(request: Request) -> Reply | None:
            if "/invocations?" not in request.path:
                return None
            number = int(request.path.partition("page=")[2].partition("&")[0])
            rows = served.rows[1][::-1] if "desc" in request.path else served.rows[1]
            links = {
                name: {"href": f"https://host/x?page={to}"} for name, to in (("self", number), ("next", number + 1))
            }
            return Reply(body={"_embedded": {"invocations": rows[:100]}, "_links": links})

        served.before = first_page
        with served.client() as client:
            assert find_invocation(client, client.functions(), 150) is None
        assert len(served.pages()) < 10


def test_an_emulator_adds_console_output_and_duration_of_ended_invocations() -> None:
    with invocations("a", emulator_id="e1") as served:
        served.add(1, 150)
        served.add(1, status="RUNNING")
        for number in range(1, 151):
            served.details[number] = {
                "id": number,
                "console": [{"level": "log", "text": f"line {number}"}],
                "durationMs": 2.5,
            }
        with served.client() as client:
            found = [item for item in recent(client, client.functions(), limit=200) if isinstance(item, LogEntry)]
        assert [entry.detail.console[0].text for entry in found[:-1] if entry.detail] == [
            f"line {number}" for number in range(1, 151)
        ]
        assert found[-1].detail is None
        assert sum("/emulator/invocations" in call for call in served.server.calls()) == 2


def test_the_real_platform_is_not_asked_for_emulator_details() -> None:
    with invocations("a") as served:
        served.add(1, 3)
        assert ids(served, limit=3) == [1, 2, 3]
        assert not any("/emulator" in call for call in served.server.calls())


def test_an_error_while_listing_is_raised() -> None:
    with invocations("a", "b") as served:
        served.before = lambda request: Reply(500) if "functions/2/" in request.path else None
        with served.client() as client, pytest.raises(ServiceTrouble):
            list(recent(client, client.functions(), limit=3))


def test_gaps_of_different_functions_are_different() -> None:
    assert Gap("a", "x") != Gap(None, "x")
