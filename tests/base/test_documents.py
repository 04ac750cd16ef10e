"""JSON writers and readers, compared with those of Python."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckfunc.base.documents import json_reader, json_writer

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"ensure_ascii": False},
    {"separators": (",", ":")},
    {"ensure_ascii": False, "separators": (",", ":"), "default": dict},
)


@given(value=VALUES)
def test_a_writer_writes_what_python_writes(value: Any) -> None:
    for options in OPTIONS:
        assert json_writer(**options)(value) == json.dumps(value, **options)


def test_a_writer_converts_unknown_objects_with_its_default() -> None:
    assert json_writer(default=dict)([MappingProxyType({"a": 1})]) == '[{"a": 1}]'
    with pytest.raises(TypeError, match="mappingproxy"):
        json_writer()(MappingProxyType({"a": 1}))


@given(value=VALUES, before=st.text(" \t\n", max_size=2), after=st.text(" \t\n", max_size=2))
def test_a_reader_reads_what_python_reads(value: Any, before: str, after: str) -> None:
    text = before + json.dumps(value) + after
    assert json_reader(json.JSONDecoder())(text) == json.loads(text)


@pytest.mark.parametrize("text", ["", " ", "{", "[1] 2", '{"a": 1}x', " x", "\ufeff1", "nul"])
def test_a_reader_reports_mistakes_as_python_does(text: str) -> None:
    with pytest.raises(json.JSONDecodeError) as expected:
        json.JSONDecoder().decode(text)
    with pytest.raises(json.JSONDecodeError) as actual:
        json_reader(json.JSONDecoder())(text)
    assert (actual.value.msg, actual.value.pos) == (expected.value.msg, expected.value.pos)
