"""New invocations of a log that is followed."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from support.invocations import BEGAN, Finished, ScriptedClock, Served, invocations, nothing
from support.loopback import Reply, Request
from support.sampling import sampled

from ckfunc.base.errors import ApiFailure, CredentialsRejected
from ckfunc.logs.entries import Filter, Gap, Item, LogEntry, Recovered, Trouble
from ckfunc.logs.follow import LOOPBACK, REMOTE, Pace, backoff_s, follow
from ckfunc.logs.tail import MOST_HELD, InvocationListing
from ckfunc.model.application import Status

EVERY_ROUND = Pace(quick_s=0.1, idle_s=0.4, functions_s=0.0, per_function_s=0.0)


def followed(
    served: Served,
    *steps: Callable[[], object],
    types: tuple[str, ...] = (),
    limit: int | None = 0,
    **wanted: Any,
) -> list[Item]:
    """Follow the logs, and call one of `steps` before each round."""
    items: list[Item] = []
    with served.client() as client:
        try:
            clock, filtered = ScriptedClock(*steps), Filter(**wanted)
            for item in follow(client, types, clock=clock, limit=limit, row_filter=filtered, pace=EVERY_ROUND):
                items.append(item)
        except Finished:
            pass
    return items


def ids(items: list[Item]) -> list[int]:
    assert all(isinstance(item, LogEntry) for item in items), items
    return [item.invocation.id for item in items if isinstance(item, LogEntry)]


def shown(items: list[Item]) -> list[tuple[int, str]]:
    return [(item.invocation.id, item.invocation.status.value) for item in items if isinstance(item, LogEntry)]


# -- completeness ------------------------------------------------------------------------------------------------


def test_only_new_invocations_are_reported_unless_a_backlog_is_requested() -> None:
    with invocations("a") as served:
        served.add(1, 50)
        assert ids(followed(served, lambda: served.add(1, 2))) == [51, 52]
        assert ids(followed(served, lambda: served.add(1), limit=3)) == [50, 51, 52, 53]
        since = BEGAN + timedelta(seconds=52)
        assert ids(followed(served, lambda: served.add(1), limit=None, since=since)) == [52, 53, 54]


def test_the_first_invocation_of_a_function_is_reported() -> None:
    with invocations("a") as served:
        assert ids(followed(served, nothing, lambda: served.add(1), nothing)) == [1]


@pytest.mark.parametrize("sorts", [True, False])
@pytest.mark.parametrize(
    "burst", sampled([1, 9, 10, 11, 99, 100, 101, 750, pytest.param(2500, marks=pytest.mark.slow)])
)
def test_a_burst_between_two_rounds_is_reported_completely_and_in_order(burst: int, sorts: bool) -> None:
    with invocations("a", sorts=sorts) as served:
        served.add(1, 25)
        items = followed(served, lambda: served.add(1, burst), nothing, lambda: served.add(1))
        assert ids(items) == list(range(26, 25 + burst + 2))


@pytest.mark.parametrize("sorts", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_rows_inserted_between_pages_are_neither_lost_nor_repeated(sorts: bool) -> None:
    with invocations("a", "b", sorts=sorts) as served:
        served.add(1, 30)
        added = 0

        def before(request: Request) -> None:
            nonlocal added
            if "/invocations" in request.path and added < 900:
                added += 3
                served.add(1, 2)
                served.add(2, 1)

        def begin() -> None:
            served.add(1, MOST_HELD + 400)
            served.before = before

        items = followed(served, begin, *[nothing] * 60)
        assert added == 900
        assert ids(items) == list(range(31, served.last_id + 1))


@pytest.mark.slow
def test_rows_of_all_functions_are_merged_by_id_even_if_added_during_a_round() -> None:
    with invocations(*"abcdefghij") as served:

        def before(request: Request) -> None:
            if "/invocations" in request.path and served.last_id < 300:
                served.add(served.last_id % 10 + 1)

        served.before = before
        items = followed(served, *[nothing] * 40)
        found = ids(items)
        assert found == sorted(found)
        assert found[-1] == 300
        assert len(found) >= 290  # except for those added before the first listing ended


def test_a_row_that_becomes_visible_late_is_reported() -> None:
    with invocations("a") as served:
        served.add(1, 5)
        items = followed(served, lambda: served.put(1, 9), lambda: served.put(1, 8), nothing)
        assert ids(items) == [9, 8]


@pytest.mark.slow
def test_ten_thousand_invocations_are_followed_in_constant_memory() -> None:
    with invocations("a", "b") as served:
        counts: list[int] = []
        peaks: list[int] = []

        def step() -> None:
            # The served rows are dropped, so that only the follower's own memory can grow.
            for number in (1, 2):
                served.rows[number] = served.rows[number][-300:]
            served.server.requests.clear()
            served.add(1, 250)
            served.add(2, 250)
            peaks.append(tracemalloc.get_traced_memory()[0])

        with served.client() as client:
            tracemalloc.start()
            try:
                last = 0
                for item in follow(client, clock=ScriptedClock(*[step] * 20, nothing), pace=EVERY_ROUND):
                    assert isinstance(item, LogEntry)
                    assert item.invocation.id == last + 1
                    last = item.invocation.id
            except Finished:
                counts.append(last)
            finally:
                tracemalloc.stop()
        assert counts == [10_000]
        assert max(peaks[10:]) < max(peaks[3:10]) * 1.5 + 500_000


@pytest.mark.slow
def test_ten_thousand_invocations_at_once_are_reported_in_order() -> None:
    with invocations("a") as served:
        served.add(1, 3)
        assert ids(followed(served, lambda: served.add(1, 10_000))) == list(range(4, 10_004))
        assert len(served.pages()) < 230


def test_an_idle_round_makes_one_request_per_function() -> None:
    with invocations("a", "b") as served:
        served.add(1, 500)

        def forget() -> None:
            served.server.requests.clear()

        with served.client() as client:
            pace = Pace(0.1, 0.4, 1000.0, 0.0)
            with pytest.raises(Finished):
                list(follow(client, clock=ScriptedClock(forget, nothing, nothing), pace=pace))
        assert len(served.server.requests) == 6


# -- RUNNING -----------------------------------------------------------------------------------------------------


def test_a_running_invocation_is_reported_again_when_it_ends() -> None:
    with invocations("a") as served:
        items = followed(
            served,
            lambda: served.add(1, status="RUNNING"),
            nothing,
            lambda: served.add(1),
            lambda: served.end(1, "FAILED"),
            nothing,
        )
        assert shown(items) == [(1, "RUNNING"), (2, "SUCCEEDED"), (1, "FAILED")]


@pytest.mark.parametrize("sorts", [True, False])
def test_running_invocations_are_found_far_back_in_the_list(sorts: bool) -> None:
    with invocations("a", sorts=sorts) as served:
        served.add(1, 40)

        def begin() -> None:
            served.add(1, status="RUNNING")
            served.add(1, 700)
            served.add(1, 3, status="RUNNING")
            served.add(1, 1500)

        def end() -> None:
            for invocation_id in (41, 742, 743, 744):
                served.end(invocation_id)

        items = followed(served, begin, nothing, end, *[nothing] * 12)
        counts = Counter(ids(items))
        assert [entry for entry in shown(items) if counts[entry[0]] == 2 and entry[1] == "SUCCEEDED"] == [
            (invocation_id, "SUCCEEDED") for invocation_id in (41, 742, 743, 744)
        ]
        assert len(items) == 1 + 700 + 3 + 1500 + 4


def test_running_invocations_of_the_backlog_are_reported_again() -> None:
    with invocations("a") as served:
        served.add(1, status="RUNNING")
        served.add(1, 60)
        items = followed(served, lambda: served.end(1), *[nothing] * 3, limit=61)
        assert shown(items)[0] == (1, "RUNNING")
        assert shown(items)[-1] == (1, "SUCCEEDED")


@pytest.mark.slow
def test_a_long_running_invocation_is_checked_less_and_less_often() -> None:
    with invocations("a") as served:
        served.add(1, status="RUNNING")
        served.add(1, 500)
        followed(served, *[nothing] * 300, limit=501)
        searches = [page for page in served.pages() if "page=5" in page]
        assert 3 <= len(searches) <= 12


def test_a_removed_running_invocation_is_no_longer_checked() -> None:
    with invocations("a") as served:
        served.add(1, status="RUNNING")
        served.add(1, 50)
        items = followed(served, lambda: served.remove(1), *[nothing] * 40, limit=51)
        assert len(items) == 51
        assert sum("size=100" in page for page in served.pages()) < 6


def test_the_status_filter_applies_again_when_an_invocation_ends() -> None:
    with invocations("a") as served:

        def steps() -> list[Callable[[], object]]:
            return [lambda: served.add(1, 2, status="RUNNING"), lambda: served.end(served.last_id, "FAILED"), nothing]

        assert shown(followed(served, *steps(), status=Status.FAILED)) == [(2, "FAILED")]
        assert shown(followed(served, *steps(), status=Status.RUNNING)) == [
            (3, "RUNNING"),
            (4, "RUNNING"),
        ]


def test_other_versions_are_filtered_out() -> None:
    with invocations("a") as served:

        def add() -> None:
            served.add(1, 2)
            served.add(1, 1, versionNumber=2)

        assert ids(followed(served, add, version=2)) == [3]


def test_a_row_is_found_after_the_list_has_shrunk() -> None:
    for sorts in (True, False):
        with invocations("a", sorts=sorts) as served, served.client() as client:
            served.add(1, 950)
            listing = InvocationListing(client, 1)
            list(listing.windows(100))
            served.rows[1] = served.rows[1][-120:]
            found = dict(listing.find([5, 831, 900, 950], 949, 100))
            assert found.pop(5) is None
            assert {invocation_id: row and row.id for invocation_id, row in found.items()} == {
                831: 831,
                900: 900,
                950: 950,
            }
            served.rows[1] = []
            assert dict(listing.find([900], 50, 100)) == {900: None}


def test_a_row_that_is_not_yet_listed_is_searched_again_later() -> None:
    with invocations("a") as served, served.client() as client:
        served.add(1, 30)
        assert list(InvocationListing(client, 1).find([29, 99], 1, 10))[1:] == []


def test_a_row_that_keeps_moving_is_searched_again_later() -> None:
    with invocations("a") as served, served.client() as client:
        served.add(1, 100)

        def before(request: Request) -> None:
            # Row 50 is on page 6 while page 5 is read, and on page 5 while page 6 is.
            if "/invocations" in request.path:
                served.rows[1] = [row for row in served.rows[1] if row["id"] <= 100]
                if "page=5" in request.path:
                    served.last_id = 100
                    served.add(1, 10)

        served.before = before
        assert list(InvocationListing(client, 1).find([50], 50, 10)) == []
        assert len(served.pages()) < 30


# -- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [
        Reply(drop=True),
        Reply(500, {"message": "broken"}),
        Reply(429, headers={"Retry-After": "1"}),
        Reply(200, b"<html>garbage"),
        Reply(200, {"page": "garbage"}),
        Reply(403),
    ],
)
def test_following_continues_after_errors_and_reports_the_next_attempt(broken: Reply) -> None:
    with invocations("a") as served:
        served.add(1, 2)

        def breaks() -> None:
            served.add(1, 150)
            served.before = lambda request: broken if "/invocations" in request.path else None

        def heals() -> None:
            served.before = None
            served.add(1)

        items = followed(served, breaks, nothing, heals, nothing)
        troubles = [item for item in items if isinstance(item, Trouble)]
        assert [trouble.next_try_s for trouble in troubles] == [1.0, 2.0]
        assert all(trouble.reason for trouble in troubles)
        assert items.index(Recovered(2)) > items.index(troubles[-1])
        assert next(item for item in items if isinstance(item, LogEntry)).invocation.id == 3
        assert ids([item for item in items if isinstance(item, LogEntry)]) == list(range(3, 154))


def test_an_error_during_a_burst_loses_no_invocation() -> None:
    with invocations("a", "b") as served:
        asked = 0

        def before(request: Request) -> Reply | None:
            nonlocal asked
            if "/invocations" not in request.path:
                return None
            asked += 1
            return Reply(500) if asked % 29 == 0 else None

        def begin() -> None:
            served.add(1, 1300)
            served.add(2, 700)
            served.before = before

        items = followed(served, begin, *[nothing] * 60)
        assert any(isinstance(item, Trouble) for item in items)
        found = ids([item for item in items if isinstance(item, LogEntry)])
        assert sorted(found) == list(range(1, 2001))
        assert len(found) == 2000


def test_an_error_loses_no_console_output() -> None:
    with invocations("a", emulator_id="e1") as served:

        def begin() -> None:
            served.add(1)
            served.details[1] = {"id": 1, "console": [{"level": "log", "text": "hello"}], "durationMs": 1.0}
            served.before = lambda request: Reply(500) if "/emulator/" in request.path else None

        def heals() -> None:
            served.before = None

        items = followed(served, begin, heals, nothing)
        assert [type(item) for item in items] == [Trouble, LogEntry, Recovered]
        assert isinstance(items[1], LogEntry)
        assert items[1].detail is not None
        assert items[1].detail.console[0].text == "hello"


def test_errors_of_one_function_do_not_delay_the_others() -> None:
    with invocations("a", "b") as served:

        def begin() -> None:
            served.before = lambda request: Reply(500) if "functions/1/" in request.path else None
            served.add(1)
            served.add(2)

        def heals() -> None:
            served.before = None

        items = followed(served, begin, heals, nothing)
        assert [item.type if isinstance(item, LogEntry) else type(item) for item in items] == [
            "b",
            Trouble,
            "a",
            Recovered,
        ]


def test_a_token_that_expires_while_following_is_renewed_silently() -> None:
    with invocations("a") as served:

        def begin() -> None:
            served.expire_token()
            served.add(1)

        assert ids(followed(served, begin)) == [1]
        assert served.tokens == 2


def test_following_ends_if_the_credentials_are_refused_at_the_start() -> None:
    with invocations("a") as served:
        served.before = lambda request: Reply(401) if "/oauth" in request.path else None
        with pytest.raises(CredentialsRejected):
            followed(served, nothing)


def test_a_programming_error_is_raised() -> None:
    class Broken:
        connection = None

    with pytest.raises(AttributeError):
        next(follow(Broken()))  # type: ignore[arg-type]  # on purpose


def test_the_backoff_doubles_up_to_half_a_minute() -> None:
    assert [backoff_s(failed) for failed in (1, 2, 3, 4, 5, 6, 100)] == [1, 2, 4, 8, 16, 30, 30]


# -- added and removed functions and databases -------------------------------------------------------------------


def test_a_function_created_while_following_is_followed_from_its_first_invocation() -> None:
    with invocations("a") as served:

        def create() -> None:
            served.function(2, "b")
            served.add(2, 120)

        assert ids(followed(served, create, nothing, lambda: served.add(2))) == list(range(1, 122))


def test_only_requested_types_are_followed_including_those_created_later() -> None:
    with invocations("a") as served:

        def create() -> None:
            served.function(2, "b")
            served.add(1)
            served.add(2)

        items = followed(served, create, nothing, types=("b",))
        assert ids(items) == [2]
        assert isinstance(items[0], LogEntry)
        assert items[0].type == "b"


def test_a_removed_function_is_reported() -> None:
    with invocations("a", "b") as served:

        def remove() -> None:
            del served.functions[2]
            served.add(1)

        items = followed(served, remove, nothing)
        assert [item for item in items if isinstance(item, Gap)] == [Gap("b", "the function no longer exists")]
        assert ids([item for item in items if isinstance(item, LogEntry)]) == [1]


def test_a_404_reveals_a_function_removed_between_two_listings() -> None:
    with invocations("a", "b") as served, served.client() as client:
        clock = ScriptedClock(lambda: served.functions.pop(2), nothing, nothing)
        items: list[Item] = []
        with pytest.raises(Finished):
            for item in follow(client, clock=clock, pace=Pace(0.1, 0.4, 1000.0, 0.0)):
                items.append(item)
        assert [type(item) for item in items] == [Trouble, Gap, Recovered]


def test_rows_removed_before_they_were_read_are_reported_as_a_gap() -> None:
    with invocations("a") as served:
        served.add(1, 50)

        def purge() -> None:
            served.add(1, 400)
            served.rows[1] = served.rows[1][-200:]

        items = followed(served, purge, nothing)
        assert isinstance(items[0], Gap)
        assert "no longer listed" in items[0].reason
        assert ids(items[1:]) == list(range(251, 451))


def test_following_continues_after_a_log_reset() -> None:
    with invocations("a") as served:
        served.add(1, 500)

        def again() -> None:
            served.rows[1] = []
            for number in (1, 2):
                served.put(1, number, at=BEGAN + timedelta(hours=1, seconds=number))

        items = followed(served, again, nothing)
        assert items[0] == Gap("a", "the log was reset")
        assert ids(items[1:]) == [1, 2]


def test_an_outdated_copy_of_the_list_causes_no_duplicates() -> None:
    with invocations("a") as served:
        served.add(1, 20)
        newest = served.rows[1][-3:]

        def lag() -> None:
            served.rows[1] = served.rows[1][:-3]

        def catch_up() -> None:
            served.rows[1] = served.rows[1] + newest
            served.add(1)

        assert ids(followed(served, lag, nothing, catch_up, nothing)) == [21]


def test_following_continues_after_an_emulator_changes_its_database() -> None:
    with invocations("a", emulator_id="e1") as served:
        served.add(1, 20)

        def other() -> None:
            served.emulator_id = "e2"
            served.functions = {7: "a"}
            served.rows = {7: []}
            for number in range(1, 6):
                served.put(7, number, at=BEGAN - timedelta(hours=1))
            served.put(7, 6, at=BEGAN + timedelta(hours=1))

        items = followed(served, other, nothing, nothing)
        assert items[0] == Gap(None, "the emulator now uses a different database")
        assert ids(items[1:]) == [6]


def test_another_database_is_detected_between_two_listings_of_functions() -> None:
    with invocations("a", emulator_id="e1") as served, served.client() as client:

        def other() -> None:
            served.emulator_id = "e2"
            served.rows[1] = []
            served.add(1)

        served.add(1, 20)
        clock = ScriptedClock(other, nothing, nothing)
        items: list[Item] = []
        with pytest.raises(Finished):
            for item in follow(client, clock=clock, pace=Pace(0.1, 0.4, 1000.0, 0.0)):
                items.append(item)
        assert items[0] == Gap(None, "the emulator now uses a different database")
        assert ids(items[1:]) == [21]


# -- pace --------------------------------------------------------------------------------------------------------


def test_rounds_are_frequent_during_activity_and_slow_down_when_idle() -> None:
    with invocations("a") as served, served.client() as client:
        clock = ScriptedClock(*[nothing] * 10, lambda: served.add(1), nothing)
        with pytest.raises(Finished):
            list(follow(client, clock=clock))
        assert clock.slept[0] == LOOPBACK.quick_s
        assert clock.slept[9] == LOOPBACK.idle_s
        assert clock.slept[11] == LOOPBACK.quick_s
        assert LOOPBACK.quick_s < clock.slept[12] < LOOPBACK.idle_s


def test_rounds_stay_frequent_for_a_while_during_a_running_invocation() -> None:
    with invocations("a") as served, served.client() as client:
        clock = ScriptedClock(lambda: served.add(1, status="RUNNING"), *[nothing] * 200)
        with pytest.raises(Finished):
            list(follow(client, clock=clock))
        assert clock.slept[100] == LOOPBACK.quick_s
        assert clock.slept[-1] == LOOPBACK.idle_s


def test_many_remote_functions_are_polled_less_often() -> None:
    assert REMOTE.next_s(1.0, active=True, functions=3) == 1.0
    assert REMOTE.next_s(1.0, active=True, functions=100) == 5.0
    assert REMOTE.next_s(2.9, active=False, functions=1) == 3.0


def test_rejected_credentials_are_an_api_failure() -> None:
    assert issubclass(CredentialsRejected, ApiFailure)
