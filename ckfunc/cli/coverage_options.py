"""The options of coverage reports, for `ckfunc test` and `ckfunc test merge`."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ckfunc.cli.app import App
from ckfunc.cli.options import FILE

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_LCOV = Path("coverage", "lcov.info")
"""The lcov file, relative to the project."""


def lcov_option(text: str) -> Callable[[F], F]:
    """Add the option of an lcov file."""
    return click.option("--lcov", type=FILE, metavar="FILE", help=text)


def _number(_ctx: click.Context, _param: click.Parameter, percent: float | None) -> float | None:
    if percent is not None and math.isnan(percent):  # FloatRange accepts it, and no coverage is below it
        raise click.BadParameter("nan is not in the range 0<=x<=100.")
    return percent


def threshold_option(function: F) -> F:
    """Add the option of the required coverage."""
    return click.option(
        "--coverage-threshold",
        "threshold",
        type=click.FloatRange(0, 100),
        callback=_number,
        metavar="PERCENT",
        help="Exit with 1 if fewer lines are covered.",
    )(function)


def lcov_path(app: App, given: Path | None) -> Path:
    """Return the lcov file to write. Raises LeadsOutside, and NoProject for the default."""
    return app.named(given or app.root() / DEFAULT_LCOV)
