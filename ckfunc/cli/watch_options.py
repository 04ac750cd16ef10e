"""Options of watched deploys, with their completion."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import click

from ckfunc.base.errors import UsageProblem
from ckfunc.model.project import MAX_FAILURES, MOST_MIN_RUNS, WATCH_FOR, WatchPolicy

_NONE = "none"
Command = TypeVar("Command", bound=Callable[..., Any])


def _pattern_option(
    name: str, pattern: str, examples: Sequence[str], metavar: str, help_text: str
) -> Callable[[Command], Command]:
    """Return an option whose text must match a regular expression, with examples to complete."""

    def matching(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(pattern, value):
            raise UsageProblem(f"invalid {name} value {value!r}", hint=f"examples: {', '.join(examples)}")
        return value

    def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        return [one for one in examples if one.startswith(incomplete)]

    return click.option(name, callback=matching, shell_complete=complete, metavar=metavar, help=help_text)


def watch_options(command: Command) -> Command:
    """Add --watch-for, --max-failures and --min-runs to a command."""
    for option in (
        click.option(
            "--min-runs",
            type=click.IntRange(1, MOST_MIN_RUNS),
            metavar="N",
            help="With --watch-for: runs of a new version needed to judge it. Default: 20.",
        ),
        _pattern_option(
            "--max-failures",
            MAX_FAILURES,
            ("2%", "0%", "0.5%", "5%"),
            "PERCENT",
            "With --watch-for: share of failures allowed on top of the earlier failure rate. Default: 2%.",
        ),
        _pattern_option(
            "--watch-for",
            rf"{WATCH_FOR}|{_NONE}",
            ("10m", "90s", "1h30m", _NONE),
            "DURATION",
            "Watch new versions; revert the deploy if too many runs fail. Default: watch_for of the target, or none.",
        ),
    ):
        command = option(command)
    return command


def policy_of(
    usual: WatchPolicy, watch_for: str | None, max_failures: str | None, min_runs: int | None
) -> WatchPolicy | None:
    """Return how to watch a deploy: by the options, and for the rest as `usual`; None is not at all.

    Raises UsageProblem.
    """
    if watch_for == _NONE:
        policy = replace(usual, watch_for_s=0.0).with_texts(None, max_failures, min_runs)
    else:
        policy = usual.with_texts(watch_for, max_failures, min_runs)
    if not policy.watch_for_s and (max_failures is not None or min_runs is not None):
        option = "--max-failures" if max_failures is not None else "--min-runs"
        raise UsageProblem(f"{option} needs --watch-for", hint="for example, `ckfunc deploy --watch-for 10m`")
    return policy if policy.watch_for_s else None
