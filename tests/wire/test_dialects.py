"""Spellings of names in the two wire dialects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckfunc.wire.dialects import Dialect, camel, canonical, dialect_of, snake, spelled

NAMES = [
    ("createdTime", "created_time"),
    ("displayPictureUrl", "display_picture_url"),
    ("id", "id"),
    ("_embedded", "_embedded"),
    ("userHasActiveSession", "user_has_active_session"),
    ("lastReceivedMessage", "last_received_message"),
]


@pytest.mark.parametrize(("in_camel", "in_snake"), NAMES)
def test_a_name_has_one_spelling_in_each_dialect(in_camel: str, in_snake: str) -> None:
    assert (snake(in_camel), camel(in_snake)) == (in_snake, in_camel)
    assert (camel(in_camel), snake(in_snake)) == (in_camel, in_snake)


def test_only_is_guest_is_written_in_camel_case_and_read_in_both() -> None:
    assert snake("isGuest") == "isGuest"
    assert camel("is_guest") == "isGuest"


user_data = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(user_data)
def test_user_data_is_unchanged(data: object) -> None:
    document = {"createdTime": 1, "properties": data, "_links": data, "nested": [{"authParams": data, "isGuest": True}]}
    assert canonical(spelled(document, Dialect.SNAKE)) == document
    assert canonical(document) == document


def test_the_first_name_with_two_spellings_determines_the_dialect_of_a_document() -> None:
    assert dialect_of([1, {"properties": {"aB": 1}}, {"created_time": 1}]) is Dialect.SNAKE
    assert dialect_of({"isGuest": True, "nested": {"aB": 1}}) is Dialect.CAMEL
    assert dialect_of({"id": 1, "properties": {"aB": 1}}) is None
    assert dialect_of("x") is None


def test_each_dialect_has_a_media_type() -> None:
    assert [dialect.media_type for dialect in Dialect] == ["application/json", "application/vnd.chatkitty+json"]
