"""Run a deploy, from the manifest to the verified application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ckfunc.base.clock import Clock, SystemClock
from ckfunc.base.secrets import Secret
from ckfunc.base.workers import AT_ONCE
from ckfunc.deploy.apply import journal as journals
from ckfunc.deploy.apply.conflicts import deploy_lock
from ckfunc.deploy.apply.journal import JournalRecord
from ckfunc.deploy.apply.report import WRONG, DeployReport, Ending, Item, nothing_done
from ckfunc.deploy.apply.resume import require_resumable
from ckfunc.deploy.apply.steps import OnStep, apply
from ckfunc.deploy.apply.verify import read_back
from ckfunc.deploy.cache import VersionCache, deployed_literals, keep_literals
from ckfunc.deploy.history import Rollback, rolled_back
from ckfunc.deploy.plan import plan as planning
from ckfunc.deploy.plan import saved as saving
from ckfunc.deploy.plan.checks import Check, allow_removals, require_valid
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.plan.saved import SavedPlan
from ckfunc.deploy.plan.selection import narrowed, require_known
from ckfunc.deploy.plan.snapshot import guard, overview, with_versions
from ckfunc.deploy.remote import Remote, Snapshot
from ckfunc.deploy.resources import ENVIRONMENT, FUNCTIONS
from ckfunc.model.project import Project, Target


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """What a deploy may do, and how. `only` names trigger types and "runtime"; nothing in it context everything.

    `resume` is the journal of the deploy that this one finishes, `saved` the plan that it must come to.
    """

    only: tuple[str, ...] = ()
    allow_removals: bool = False
    allow_other_application: bool = False
    allow_stale: bool = False
    at_once: int = AT_ONCE
    saved: SavedPlan | None = None
    resume: JournalRecord | None = None


@dataclass(frozen=True, slots=True)
class DeployContext:
    """What a plan is carried out with. `command` is its name in the journal, `undoes` the deploy that it reverts."""

    root: Path
    cache: VersionCache
    on_step: OnStep = lambda _: None
    clock: Clock = field(default_factory=SystemClock)
    at_once: int = AT_ONCE
    command: str = "deploy"
    only: tuple[str, ...] = ()
    undoes: JournalRecord | None = None


def plan(project: Project, client: Remote, cache: VersionCache, options: DeployOptions = DeployOptions()) -> Plan:
    """Return what a deploy would do. Reads only: an unchanged project costs two requests and the token.

    Raises WrongApplication, AmbiguousFunction, PlatformOwned, UsageProblem, ApiFailure.
    """
    require_known(project, options.only)
    seen = overview(client)
    if not options.allow_other_application:
        guard(project.target, seen, client, cache)
    types = [one.type for one in project.functions or () if not options.only or one.type in options.only]
    literals = deployed_literals(project.root, project.target.name, client.identity)
    made = planning.make(project, with_versions(seen, types, client, cache, at_once=options.at_once), literals)
    return narrowed(made, options.only)


def prepare(
    project: Project, client: Remote, *, check: Check, cache: VersionCache, options: DeployOptions = DeployOptions()
) -> Plan:
    """Return a plan that may be carried out: its scripts parse, and nothing that it does needs a further word.

    `check` parses changed scripts and is not called without any. Raises what `plan` raises, InvalidScripts, StalePlan,
    NeedsFlag and NotResumable.
    """
    assert not project.runtime.unknown  # noqa: S101 - such a plan can be shown, and would remove what it does not know
    made = plan(project, client, cache, options)
    if options.saved is not None and not options.allow_stale:
        saving.require_current(options.saved, made, client)
    if options.resume is not None:
        require_resumable(options.resume, made, client)
    if not made.is_empty:
        require_valid(made, check)
        allow_removals(made, allowed=options.allow_removals)
    return made


def deploy(
    project: Project,
    client: Remote,
    *,
    check: Check,
    confirm: Callable[[Plan], bool],
    on_step: OnStep = lambda _: None,
    cache: VersionCache | None = None,
    options: DeployOptions = DeployOptions(),
    clock: Clock | None = None,
) -> DeployReport:
    """Make the application match the manifest.

    `confirm` sees the plan once nothing else speaks against it, and is not called when nothing changes. Raises what
    `prepare` raises, and Busy while another process deploys to the application, all before the first write; afterwards
    every failure is in the report.
    """
    cache = cache or VersionCache(project.root)
    made = prepare(project, client, check=check, cache=cache, options=options)
    context = DeployContext(project.root, cache, on_step, clock or SystemClock(), options.at_once, only=options.only)
    if made.is_empty:
        report = nothing_done(made, Ending.COMPLETE, "")
        if not options.only and (killed := options.resume or _killed(project.root, made, client)):
            journals.finish(killed, report)
        _keep_literals(project, made, report, client)
        return report
    if not confirm(made):
        return nothing_done(made, Ending.DECLINED, "not attempted: declined")
    report = carry_out(made, client, context, options.resume)
    _keep_literals(project, made, report, client)
    return report


def _keep_literals(project: Project, made: Plan, report: DeployReport, client: Remote) -> None:
    """Remember the literals of a deploy that the application is known to have."""
    good = {one.name for one in report.items if one.kind == ENVIRONMENT and one.result not in WRONG}
    values = made.want.get(ENVIRONMENT, {})
    public = good & made.literals
    literals = {name: one.reveal() for name, one in values.items() if name in public and isinstance(one, Secret)}
    keep_literals(project.root, project.target.name, client.identity, literals)


def carry_out(made: Plan, client: Remote, context: DeployContext, resumed: JournalRecord | None = None) -> DeployReport:
    """Do what a plan says, with a journal, as the only one on this machine; read the application back.

    Raises Busy, and what keeps the journal from being written, before the first write.
    """
    with deploy_lock(client.identity, context.root, context.clock):
        # An undo or a rollback after a deploy that was killed is something else than what that deploy was to come to.
        earlier = resumed or (_killed(context.root, made, client) if context.command == "deploy" else None)
        with journals.begin(
            context.root, made, client, context.clock, context.command, context.only, earlier, context.undoes
        ) as journal:
            ledger = apply(
                made,
                client,
                context.cache,
                context.on_step,
                journal=journal,
                clock=context.clock,
                at_once=context.at_once,
            )
            report = read_back(made, ledger, client, context.clock)
            journal.end(report)
            return report


def roll_back(wanted: Rollback, root: Path, target: Target, client: Remote, clock: Clock) -> Item:
    """Deploy the script of an older version again, and return the result of its function.

    Raises what `carry_out` raises.
    """
    cache = VersionCache(root)
    function = replace(wanted.function, current_version_number=wanted.current.version_number)
    seen = Snapshot(client.runtime(), (function,), {function.type: wanted.current})
    made = planning.make(rolled_back(wanted, root, target), seen)
    report = carry_out(made, client, DeployContext(root, cache, clock=clock, command="rollback"))
    return next(one for one in report.items if one.kind == FUNCTIONS and one.name == function.type)


def _killed(root: Path, made: Plan, client: Remote) -> JournalRecord | None:
    """Return the last deploy's journal if that deploy was killed: this one goes on from what it has left."""
    found = journals.last(root, made.target.name, client.identity)
    return found if found is not None and found.ok is None else None
