"""What someone else did, since the plan was made, to what a step is about to write: the same, or something else."""

from __future__ import annotations

from ckfunc.deploy import once
from ckfunc.deploy.once import Overtaken
from ckfunc.deploy.plan import CreateFunction, CreateVersion, Plan, Put, Step
from ckfunc.deploy.remote import Remote
from ckfunc.deploy.report import DONE, Item, Result
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS
from ckfunc.deploy.standing import Standing
from ckfunc.model.function import Function

_SAME = "someone else has just done the same"


def met(step: Step, plan: Plan, standing: Standing, remote: Remote) -> tuple[Item, ...]:
    """Return what becomes of a step that is not to be done any more; nothing when it is. Raises ApiFailure."""
    if isinstance(step, Put):
        return _met_values(step, standing)
    function = standing.moved(step)
    # A function without a version is what is left of a deploy that was cut off: its first version is still to come.
    if function is None or (isinstance(step, CreateFunction) and not function.current_version_number):
        return ()
    return (_met_version(function, plan, remote),)


def conflict(plan: Plan, trigger_type: str, error: Overtaken) -> Item:
    """Return the item of a function that someone else has deployed."""
    old = plan.versions.get(trigger_type)
    return Item(FUNCTIONS, trigger_type, Result.CONFLICT, old, error.number, note=error.message, hint=error.hint)


def _met_values(step: Put, standing: Standing) -> tuple[Item, ...]:
    have = standing.changed(step)
    if have is None:
        return ()
    if have == step.values:
        return tuple(Item(one.kind, one.name, DONE[one.action], note=_SAME) for one in step.changes)
    note = f"someone else changed the {BY_KIND[step.kind].title} meanwhile; nothing was written"
    hint = "`ckfunc diff` shows what it is now; then deploy again"
    return tuple(Item(one.kind, one.name, Result.CONFLICT, note=note, hint=hint) for one in step.changes)


def _met_version(function: Function, plan: Plan, remote: Remote) -> Item:
    name, old = function.type, plan.versions.get(function.type)
    theirs = once.current(remote, function)
    if theirs is None:
        gone = Overtaken(f"the application has no version of {name} any more", hint="look at `ckfunc diff`")
        return conflict(plan, name, gone)
    script = next(one.script for one in plan.steps if isinstance(one, CreateVersion) and one.type == name)
    if once.same_script(theirs, script):
        done = Result.CREATED if old is None else Result.UPDATED
        return Item(FUNCTIONS, name, done, old, theirs.version_number, note=_SAME)
    return conflict(plan, name, once.overtaken(function, theirs, script))
