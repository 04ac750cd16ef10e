"""What became of each change so far, and whether going on makes sense."""

from __future__ import annotations

from dataclasses import dataclass, field

from ckfunc.base.errors import CkfuncError, CredentialsRejected, Unreachable
from ckfunc.base.workers import AT_ONCE
from ckfunc.deploy.once import is_unclear
from ckfunc.deploy.report import Ending, Item
from ckfunc.deploy.resources import Wanted
from ckfunc.model.function import Function


@dataclass(slots=True)
class Ledger:
    """Written to by the threads that do the steps, each for its own items.

    `doubtful` is true once a write was done or may have been done: only then is reading back of use.
    `closed` is set by a failure after which nothing more is sent, not even to read back. `created` holds the functions
    that have been created, by type, and `values` what was written of the runtime, by kind. `first` says that whoever
    else deploys at the same time came later: their deploys stop, and what this one wrote is to stay. `met` says that
    there was someone else.
    """

    items: dict[tuple[str, str], Item] = field(default_factory=dict)
    created: dict[str, Function] = field(default_factory=dict)
    values: dict[str, Wanted] = field(default_factory=dict, repr=False)
    ending: Ending = Ending.COMPLETE
    reason: str | None = None
    doubtful: bool = False
    closed: bool = False
    first: bool = False
    met: bool = False
    lost_in_a_row: int = 0

    @property
    def stopped(self) -> bool:
        """Whether no further step may start."""
        return self.reason is not None

    def stop(self, reason: str, ending: Ending = Ending.STOPPED) -> None:
        """Let no further step start; the first reason stays."""
        if self.reason is None:
            self.ending, self.reason = ending, reason

    def enter(self, *items: Item) -> tuple[Item, ...]:
        """Note, and return, what became of some changes."""
        self.items.update({(one.kind, one.name): one for one in items})
        return items

    def written(self) -> None:
        """Note that a write was done."""
        self.doubtful, self.lost_in_a_row = True, 0

    def failed(self, error: CkfuncError) -> None:
        """Note what a failure means for the steps to come, and whether the write may have been done all the same."""
        if isinstance(error, CredentialsRejected):
            self.closed = True
            self.stop("the credentials were rejected")
        elif is_unclear(error):
            self.doubtful = True
        # One lost connection is an accident; as many in a row as run at a time means that each further one would
        # only cost the user another wait.
        self.lost_in_a_row = self.lost_in_a_row + 1 if isinstance(error, Unreachable) else 0
        if self.lost_in_a_row >= AT_ONCE:
            self.closed = True
            self.stop("the API stayed out of reach")
