"""Checks that an unfinished deploy can be resumed.

The sources must be the same, and nobody else may have changed the application.
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

_HINT = "compare theirs and yours with `ckfunc diff`; `ckfunc deploy` replaces theirs"


class NotResumable(CkfuncError):
    """There is no unfinished deploy, or it cannot be resumed."""


def unfinished(root: Path, target: str, identity: str | None) -> JournalRecord:
    """Return the journal of the last deploy, which must be incomplete. Raises NotResumable."""
    last = next((record for record in journal.records(root, target) if record.identity == identity), None)
    if last is None or last.ok:
        raise NotResumable(
            f"nothing to resume: the last deploy to {target} is complete"
            if last
            else f"nothing to resume: this checkout has no record of a deploy to target {target!r} of this application",
            hint="`ckfunc deploy` starts a new deploy",
        )
    if last.command != "deploy":
        again = "ckfunc undo" if last.command == "undo" else "ckfunc rollback TYPE"
        raise NotResumable(
            f"the unfinished operation on {target} is not a deploy, but the {last.command} of {last.time}",
            hint=f"`{again}` continues it; `ckfunc deploy` deploys the project",
        )
    return last


def require_resumable(record: JournalRecord, plan: Plan, remote: Remote) -> None:
    """Refuse to resume if the sources have changed or someone else has deployed. Raises NotResumable."""
    for kind in sorted({change.kind for change in plan.changes} - {FUNCTIONS}):
        if theirs := journal.foreign_changes(record, kind, plan.have[kind], remote):
            raise NotResumable(
                f"someone else has changed the {BY_KIND[kind].title} since that deploy ({', '.join(theirs)})",
                hint=_HINT,
            )
    changed = [
        name
        for name, wanted in record.after.functions.items()
        if wanted is not None and digest(script_of(plan.want.get(FUNCTIONS, {}), name)) != wanted[1]
    ]
    now = journal.wanted_kinds(plan, remote, record.after.kinds)
    changed += [kind for kind, values in record.after.kinds.items() if now.get(kind) != values]
    if changed:
        raise NotResumable(
            f"the sources have changed since that deploy ({', '.join(sorted(changed))})",
            hint="`ckfunc deploy` deploys the current sources",
        )
    for name in sorted(change.name for change in plan.changes if change.kind == FUNCTIONS):
        before = record.before.functions.get(name, (-1, ""))
        number = plan.versions.get(name, 0)
        if number not in {before[0] if before else 0, record.versions.get(name)}:
            raise NotResumable(f"someone else has deployed v{number} of {name} since that deploy", _HINT)
