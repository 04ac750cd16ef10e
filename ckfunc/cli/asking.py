"""Confirmation on the terminal before something is written."""

from __future__ import annotations

from collections.abc import Iterable

from ckfunc.base.errors import UsageProblem
from ckfunc.base.text import Line
from ckfunc.cli.app import App


class NeedsYes(UsageProblem):
    """A confirmation is required, and there is no terminal to ask on."""


def confirmed(
    app: App,
    question: str,
    *,
    shown: Iterable[Line] = (),
    cancelled: str = "Nothing was written.",
    refusal: str = "there is no terminal to ask on; nothing was written",
    hint: str = "pass --yes to do it without a question",
) -> bool:
    """Show lines, ask, and return whether the answer is yes; after a no, print that it was cancelled.

    Raises NeedsYes, before anything is shown.
    """
    if not app.output.interactive:
        raise NeedsYes(refusal, hint=hint)
    agreed = app.output.confirm(question, shown)
    if not agreed:
        app.output.talk(f"Cancelled. {cancelled}")
    return agreed
