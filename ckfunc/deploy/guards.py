"""What a deploy does not do unless it is told to, each by a flag of its own."""

from __future__ import annotations

from ckfunc.base.errors import CkfuncError
from ckfunc.base.text import printable
from ckfunc.deploy.plan import Plan
from ckfunc.deploy.resources import BY_KIND

_MOST_NAMES = 8


class NeedsFlag(CkfuncError):
    """What is to be done needs to be allowed."""


def allow_removals(plan: Plan, *, allowed: bool) -> None:
    """Refuse to remove packages and variables that the manifest lacks, unless that is allowed. Raises NeedsFlag."""
    # The init script goes when its file is empty, which says what is meant.
    gone = [one for one in plan.removals if not BY_KIND[one.kind].source]
    if allowed or not gone:
        return
    names = [f"{BY_KIND[one.kind].noun} {printable(one.name)}" for one in gone]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    raise NeedsFlag(
        f"the application has what functions.yaml lacks, and would lose it: {', '.join(names[:_MOST_NAMES])}{more}",
        hint="add it to functions.yaml (`ckfunc pull` does that), or pass --allow-removals",
    )
