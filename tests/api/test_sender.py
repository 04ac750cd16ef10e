"""Retries, and the waits between them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from ckfunc.api.sender import may_repeat, retry_delay_s

NOW = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)


def test_the_wait_doubles_from_half_a_second_with_jitter() -> None:
    assert [retry_delay_s({}, attempt, jitter=lambda: 1.0) for attempt in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert [retry_delay_s({}, attempt, jitter=lambda: 0.0) for attempt in (1, 2, 3)] == [0.25, 0.5, 1.0]
    assert 0.25 <= retry_delay_s({}, 1) <= 0.5


def test_the_wait_is_at_most_a_minute() -> None:
    assert retry_delay_s({}, 100_000, jitter=lambda: 1.0) == 60.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("61", 60.0),
        ("9" * 5000, 60.0),
        (format_datetime(datetime(2024, 5, 1, 12, 0, 9, tzinfo=UTC), usegmt=True), 9.0),
        (format_datetime(datetime(2024, 5, 1, 13, 0, 9, tzinfo=UTC), usegmt=True), 60.0),
        (format_datetime(datetime(2024, 5, 1, 11, 0, 0, tzinfo=UTC), usegmt=True), 0.0),
        ("Wed, 01 May 2024 12:00:05 -0000", 5.0),
    ],
)
def test_retry_after_in_seconds_or_as_a_date_wins(value: str, seconds: float) -> None:
    assert retry_delay_s({"retry-after": value}, 3, now=NOW) == seconds


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "٣", "nan", "Wed, 99 May 2024 12:00:05 GMT"])
def test_an_invalid_retry_after_is_ignored(value: str) -> None:
    assert retry_delay_s({"retry-after": value}, 2, now=NOW, jitter=lambda: 1.0) == 1.0


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (b'{"error": "RateLimitedError", "coolOffDuration": "PT7S"}', 7.0),
        (b'{"cool_off_duration":"PT1.5S"}', 1.5),
        (b'{"coolOffDuration": "PT99999S"}', 60.0),
        (b'{"coolOffDuration": "P1D"}', 1.0),
        (b'{"coolOffDuration": 7}', 1.0),
        (b"", 1.0),
    ],
)
def test_the_cool_off_duration_of_an_error_is_waited_for(body: bytes, seconds: float) -> None:
    assert retry_delay_s({}, 2, body=body, jitter=lambda: 1.0) == seconds
    assert retry_delay_s({"retry-after": "3"}, 2, body=body) == 3.0


def test_only_idempotent_methods_are_repeated() -> None:
    assert [name for name in ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE") if may_repeat(name)] == [
        "GET",
        "HEAD",
        "PUT",
    ]
