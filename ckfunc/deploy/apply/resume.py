"""Checks that an unfinished deploy can be resumed.

It needs the same sources, and an application that nobody else has changed.
"""

from __future__ import annotations

from pathlib import Path

from ckfunc.base.errors import CkfuncError
from ckfunc.base.text import digest
from ckfunc.deploy.apply import journal
from ckfunc.deploy.apply.journal import JournalRecord
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.remote import Remote
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS, script_of

_HINT = "`ckfunc diff` shows theirs and yours; `ckfunc deploy` deploys over it"


class NotResumable(CkfuncError):
    """There is no deploy to finish, or it cannot be finished as it was meant."""


def unfinished(root: Path, target: str, identity: str | None) -> JournalRecord:
    """Return the journal of the deploy to finish: the last one, unless it is complete. Raises NotResumable."""
    last = next((one for one in journal.records(root, target) if one.identity == identity), None)
    if last is None or last.ok:
        raise NotResumable(
            f"the last deploy to {target} is complete: there is nothing to resume"
            if last
            else f"nothing has been deployed to this application as {target} from here: there is nothing to resume",
            hint="`ckfunc deploy` deploys what differs",
        )
    if last.command != "deploy":
        again = "ckfunc undo" if last.command == "undo" else "ckfunc rollback TYPE"
        raise NotResumable(
            f"what did not come to its end on {target} was the {last.command} of {last.time}, which is no deploy",
            hint=f"`{again}` goes on with it; `ckfunc deploy` deploys the project",
        )
    return last


def require_resumable(record: JournalRecord, plan: Plan, remote: Remote) -> None:
    """Refuse to go on when the sources changed since, or when someone else deployed. Raises NotResumable."""
    moved = [
        name
        for name, wanted in record.after.functions.items()
        if wanted is not None and digest(script_of(plan.want.get(FUNCTIONS, {}), name)) != wanted[1]
    ]
    now = journal.wanted_kinds(plan, remote, record.after.kinds)
    moved += [kind for kind, values in record.after.kinds.items() if now.get(kind) != values]
    if moved:
        raise NotResumable(
            f"the sources have changed since that deploy ({', '.join(sorted(moved))})",
            hint="`ckfunc deploy` deploys them as they are now",
        )
    for kind in sorted({one.kind for one in plan.changes} - {FUNCTIONS}):
        if theirs := journal.strangers(record, kind, plan.have[kind], remote):
            raise NotResumable(
                f"someone else has changed the {BY_KIND[kind].title} since that deploy ({', '.join(theirs)})",
                hint=_HINT,
            )
    for name in sorted(one.name for one in plan.changes if one.kind == FUNCTIONS):
        before = record.before.functions.get(name, (-1, ""))
        number = plan.versions.get(name, 0)
        if number not in {before[0] if before else 0, record.versions.get(name)}:
            raise NotResumable(f"someone else has deployed v{number} of {name} since that deploy", _HINT)
