"""The pure parts of a plan and of the table of resources."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ckfunc.deploy.show.text
from ckfunc.base.errors import WrongApplication
from ckfunc.base.secrets import Secret
from ckfunc.base.text import STYLES, newlines, unified
from ckfunc.deploy.plan.plan import ChangeAction, diff
from ckfunc.deploy.plan.snapshot import require_application
from ckfunc.deploy.resources import RESOURCES, Snapshot
from ckfunc.model.application import ApplicationSettings, Dependency, Function, FunctionVersion, Runtime
from ckfunc.model.project import Target

VALUES = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=5)
TEXTS = st.lists(st.sampled_from(["a", "b", "", " "]), max_size=12).map("\n".join)


@given(VALUES, VALUES)
def test_changes_turn_the_current_values_into_the_wanted_ones(want: dict[str, str], have: dict[str, str]) -> None:
    changes = diff("environment", want, have)
    result = dict(have)
    for change in changes:
        assert result.pop(change.name, None) == change.before
        if change.action is not ChangeAction.REMOVE:
            result[change.name] = str(change.after)
    assert result == want
    assert [change.name for change in changes] == sorted(change.name for change in changes)


@given(VALUES)
def test_equal_values_produce_no_changes(values: dict[str, str]) -> None:
    assert diff("environment", values, dict(values)) == ()


def test_a_value_of_none_differs_from_a_missing_value() -> None:
    (change,) = diff("functions", {"a": "x"}, {"a": None})
    assert change.action is ChangeAction.UPDATE


@given(TEXTS, TEXTS)
def test_a_source_diff_is_empty_only_for_equal_texts(before: str, after: str) -> None:
    assert bool(list(unified(before, after, "a", "b"))) is (before != after)


@given(st.text(alphabet="a\r\n", max_size=8))
def test_normalizing_newlines_twice_changes_nothing(text: str) -> None:
    assert newlines(newlines(text)) == newlines(text) and "\r" not in newlines(text)


@pytest.mark.parametrize(
    ("want", "got", "fine"),
    [
        (None, "42", True),
        ("42", "42", True),
        ("042", "42", True),
        ("42", "43", False),
        ("19B458D0-2B50", "19b458d0-2b50", True),
        ("19b458d0-2b50", "42", False),
    ],
)
def test_a_target_is_bound_to_its_application(want: str | None, got: str, fine: bool) -> None:
    target = Target("production", application=want)
    if fine:
        require_application(target, got)
    else:
        with pytest.raises(WrongApplication) as caught:
            require_application(target, got)
        assert "'production'" in caught.value.message and caught.value.hint


def test_resources_are_written_in_dependency_order() -> None:
    order = ["dependencies", "environment", "initialization_script", "functions", "settings"]
    assert [resource.kind for resource in RESOURCES] == order
    runtime = Runtime(1, "24", (Dependency("zod", "1"),), {"KEY": Secret("s3cret")}, "// init")
    version = FunctionVersion(1, 1, "// handler")
    functions = (Function(1, "call.active", "", True, 1),)
    seen = Snapshot(runtime, functions, {"call.active": version}, ApplicationSettings())
    secret = [
        resource.kind
        for resource in RESOURCES
        if any(isinstance(value, Secret) for value in resource.have(seen).values())
    ]
    assert secret == ["environment"] and all(resource.have(seen) for resource in RESOURCES)


def test_every_used_style_is_declared() -> None:
    path = Path(ckfunc.deploy.show.text.__file__)
    used = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Segment" and len(node.args) == 2:
            style = node.args[1]
            used |= {style.value} if isinstance(style, ast.Constant) else set()
    assert used and used <= set(STYLES)
