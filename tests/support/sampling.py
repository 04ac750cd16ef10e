"""Parameters of tests that are too many for `make test`: the others run in `make test-slow`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark import ParameterSet


def sampled(values: Iterable[Any], *, every: int = 2) -> list[ParameterSet]:
    """Return parameters for `parametrize`, of which only the first and each `every`-th one after it are not slow."""
    found = []
    for number, value in enumerate(values):
        if not isinstance(value, ParameterSet):
            value = pytest.param(*value) if isinstance(value, tuple) else pytest.param(value)  # noqa: PLW2901
        found.append(value if number % every == 0 else value._replace(marks=[*value.marks, pytest.mark.slow]))
    return found
