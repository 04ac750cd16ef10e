"""Read expected outcomes of runs from test files."""

from __future__ import annotations

import re
from typing import Protocol

from ckfunc.manifest.tree import Node
from ckfunc.manifest.validation import Branch, Leaf
from ckfunc.model.function import Status
from ckfunc.testing.case import Expectation, ExpectedCall, ExpectedText, ExpectedValue


class Report(Protocol):
    """Reports a mistake at a place in a test file."""

    def __call__(self, where: Node, message: str, hint: str | None = None, /) -> None:
        """Report a mistake."""


def read_expectation(expect: Branch | None, report: Report) -> Expectation:
    """Return the expected outcome of a run; without `expect`, success."""
    if expect is None:
        return Expectation()
    fails = "error" in expect.keys or "error_matches" in expect.keys
    status = Status(expect.text("status") or (Status.FAILED if fails else Status.SUCCEEDED))
    _check_consistency(expect, status, report, fails=fails)
    calls = expect.items("calls")
    return Expectation(
        status=status,
        result=_expected_result(expect),
        error=expect.text("error"),
        error_matches=read_pattern(expect.leaf("error_matches"), "error_matches", "error", report),
        console=tuple(leaf.text for leaf in expect.items("console") or () if isinstance(leaf, Leaf)),
        calls=None if calls is None else tuple(_call(call) for call in calls if isinstance(call, Branch)),
        other_calls="other_calls" not in expect.values or expect.flag("other_calls"),
    )


def read_text(branch: Branch, name: str, report: Report) -> ExpectedText:
    """Return the expected text under `name`, `name_includes` and `name_matches`."""
    matches = f"{name}_matches"
    if name in branch.keys and (key := branch.keys.get(f"{name}_includes") or branch.keys.get(matches)):
        report(key, f"`{name}` and `{key.text}` can't be used together", "remove one of them")
    pattern = read_pattern(branch.leaf(matches), matches, f"{name}_includes", report)
    return ExpectedText(branch.text(name), branch.text(f"{name}_includes"), pattern)


def read_pattern(leaf: Leaf | None, name: str, plain: str, report: Report) -> str | None:
    """Return a regular expression. `plain` is the key that takes plain text instead."""
    if leaf is None:
        return None
    try:
        re.compile(leaf.text)
    except (re.error, RecursionError, OverflowError) as error:
        report(leaf.node, f"{name} is not a regular expression: {error}", f"`{plain}` takes plain text")
    return leaf.text


def check_others(expect: Branch, name: str, report: Report) -> None:
    """Report `other_NAME` without `NAME`."""
    others = f"other_{name}"
    if others in expect.keys and name not in expect.keys:
        report(expect.keys[others], f"`{others}` needs `{name}`", f"add `{name}: []`")


def _check_consistency(expect: Branch, status: Status, report: Report, *, fails: bool) -> None:
    wrong = ("error", "error_matches") if status is Status.SUCCEEDED else ("result", "result_includes")
    for name in wrong:
        if key := expect.keys.get(name):
            hint = "remove it, or change `status`" if "status" in expect.keys or not fails else "remove one of them"
            report(key, f"a {status.value} run has no {name.partition('_')[0]}", hint)
    if "result" in expect.keys and (key := expect.keys.get("result_includes")):
        report(key, "`result` and `result_includes` can't be used together", "remove one of them")
    check_others(expect, "calls", report)


def _expected_result(expect: Branch) -> ExpectedValue | None:
    if exact := expect.given("result"):
        return ExpectedValue(exact.data)
    part = expect.given("result_includes")
    return ExpectedValue(part.data, subset=True) if part else None


def _call(entry: Branch) -> ExpectedCall:
    body, status = entry.given("body"), entry.leaf("status")
    return ExpectedCall(
        method=entry.text("method"),
        path=entry.text("path"),
        body=ExpectedValue(body.data, subset=True) if body else None,
        status=int(status.text) if status else None,
    )
