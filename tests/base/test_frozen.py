"""Dataclasses that cost little."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import field, replace
from typing import Any

import pytest

from ckfunc.base.frozen import frozen


@frozen
class Point:
    x: int
    y: int = 0
    note: str = field(default="", compare=False)
    data: tuple[int, ...] = field(default=(), repr=False)


@frozen
class Pixel(Point):
    colour: str = "red"


@frozen
class Single:
    names: tuple[str, ...]


@frozen
class Empty:
    pass


@frozen
class Named:
    name: str
    password: str

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and self.name == other.name

    def __hash__(self) -> int:
        return 7


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Point(1), Point(1, 0)),
        (Point(1, 2, "a"), Point(1, 2, "b")),
        (Pixel(1, colour="blue"), Pixel(1, colour="blue")),
        (Single(("a",)), Single(("a",))),
        (Empty(), Empty()),
        (Named("a", "b"), Named("a", "c")),
    ],
    ids=repr,
)
def test_instances_with_equal_fields_are_equal(first: object, second: object) -> None:
    assert first == second
    assert hash(first) == hash(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Point(1), Point(2)),
        (Point(1), Point(1, data=(1,))),
        (Point(1), Pixel(1)),
        (Pixel(1), Pixel(1, colour="blue")),
        (Single(("a",)), ("a",)),
        (Empty(), None),
        (Named("a", "b"), Named("c", "b")),
    ],
    ids=repr,
)
def test_other_instances_differ(first: object, second: object) -> None:
    assert first != second
    assert second != first


def test_the_text_shows_the_fields_except_those_that_are_hidden() -> None:
    assert repr(Pixel(1, 2, "n", (3,))) == "Pixel(x=1, y=2, note='n', colour='red')"
    assert repr(Empty()) == "Empty()"
    assert repr(Named("jane", "secret")) == "<jane>"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value)), replace])
def test_copies_are_equal(copied: Callable[[Any], Any]) -> None:
    assert copied(Pixel(1, 2, "n", (3,))) == Pixel(1, 2, "n", (3,))
    assert copied(Single(("a",))) == Single(("a",))


def test_an_instance_has_no_other_attributes() -> None:
    with pytest.raises(AttributeError):
        Single(()).other = 1  # type: ignore[attr-defined]


def test_a_pattern_matches_by_position() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
