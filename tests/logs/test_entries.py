"""Values of --since and --until."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ckfunc.base.errors import EXIT_USAGE, UsageProblem
from ckfunc.logs.entries import parse_since

NOW = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("10m", timedelta(minutes=10)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
        ("30s", timedelta(seconds=30)),
        ("500ms", timedelta(milliseconds=500)),
        ("1w", timedelta(weeks=1)),
        ("1h30m", timedelta(minutes=90)),
        (" 1 H 30 M ", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("0s", timedelta()),
    ],
)
def test_a_duration_is_subtracted_from_now(text: str, before: timedelta) -> None:
    assert parse_since(text, NOW) == NOW - before


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-04-30T10:00:00Z", datetime(2024, 4, 30, 10, tzinfo=UTC)),
        ("2024-04-30T10:00:00.1234567Z", datetime(2024, 4, 30, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2024-04-30T10:00:00+02:00", datetime(2024, 4, 30, 8, tzinfo=UTC)),
        ("2024-04-30T10:00:00", datetime(2024, 4, 30, 13, tzinfo=UTC)),
        ("2024-04-30 10:00", datetime(2024, 4, 30, 13, tzinfo=UTC)),
        ("2024-04-30", datetime(2024, 4, 30, 3, tzinfo=UTC)),
    ],
)
def test_a_time_without_an_offset_is_local(text: str, moment: datetime) -> None:
    assert parse_since(text, NOW, timezone(timedelta(hours=-3))) == moment


def test_the_default_is_the_system_time_zone() -> None:
    assert parse_since("2024-04-30T10:00:00", NOW) == datetime(2024, 4, 30, 10).astimezone()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "10",
        "m",
        "10x",
        "-10m",
        "10m ago",
        "tomorrow",
        "2024-13-01",
        "2024-05-01T25:00",
        "999999999999w",
        "１0m",
        "1e3s",
        "10:30",
    ],
)
def test_an_invalid_value_is_a_usage_error_with_examples(text: str) -> None:
    with pytest.raises(UsageProblem, match="invalid --since value") as caught:
        parse_since(text, NOW)
    assert caught.value.exit_code == EXIT_USAGE
    assert caught.value.hint and "10m" in caught.value.hint


def test_today_and_yesterday_begin_at_local_midnight() -> None:
    zone = timezone(timedelta(hours=-13))  # a zone where it is still the previous day
    assert parse_since("today", NOW) == NOW.astimezone().replace(hour=0, minute=0).astimezone(UTC)
    assert parse_since("today", NOW, zone) == datetime(2024, 4, 30, 13, tzinfo=UTC)
    assert parse_since(" Yesterday ", NOW, zone) == datetime(2024, 4, 29, 13, tzinfo=UTC)


def test_an_error_names_the_option() -> None:
    with pytest.raises(UsageProblem, match="invalid --until value 'soon'"):
        parse_since("soon", NOW, option="--until")
