"""Run a deploy, from the plan to the verified application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ckfunc.base.clock import Clock, SystemClock
from ckfunc.base.errors import CkfuncError
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.base.workers import AT_ONCE
from ckfunc.deploy.apply import journal as journals
from ckfunc.deploy.apply.conflicts import deploy_lock
from ckfunc.deploy.apply.journal import JournalRecord
from ckfunc.deploy.apply.recovery import Undo, require_resumable
from ckfunc.deploy.apply.report import WRONG, DeployReport, Ending, Item, nothing_done
from ckfunc.deploy.apply.steps import OnStep, apply
from ckfunc.deploy.apply.verify import read_back
from ckfunc.deploy.cache import VersionCache, deployed_literals, store_literals
from ckfunc.deploy.gates import GateVerdict, require_passed
from ckfunc.deploy.history import Rollback, function_of, prepare_rollback, rolled_back
from ckfunc.deploy.plan import plan as planning
from ckfunc.deploy.plan import saved as saving
from ckfunc.deploy.plan.checks import Check, allow_removals, require_valid
from ckfunc.deploy.plan.plan import Plan, require_known, select
from ckfunc.deploy.plan.saved import SavedPlan
from ckfunc.deploy.plan.snapshot import guard, overview, with_versions
from ckfunc.deploy.resources import ENVIRONMENT, FUNCTIONS, SETTINGS, Remote, Snapshot, secrets_of
from ckfunc.model.project import Project, Target, WatchPolicy


@frozen
class DeployOptions:
    """Options of a deploy. `only` selects trigger types, "runtime" and "settings"; empty means everything.

    `resume` is the journal of the unfinished deploy to complete. `saved` is a plan that this deploy must match.
    `watch` is recorded in the journal, so that a watch can be resumed.
    """

    only: tuple[str, ...] = ()
    allow_removals: bool = False
    allow_other_application: bool = False
    allow_stale: bool = False
    at_once: int = AT_ONCE
    saved: SavedPlan | None = None
    resume: JournalRecord | None = None
    watch: WatchPolicy | None = None


@frozen
class DeployContext:
    """Everything that `carry_out` needs besides the plan.

    `command` is the name that the journal records, `undoes` the deploy that this one reverts.
    """

    root: Path
    cache: VersionCache
    on_step: OnStep = lambda _: None
    clock: Clock = field(default_factory=SystemClock)
    command: str = "deploy"
    undoes: JournalRecord | None = None
    options: DeployOptions = DeployOptions()


def plan(project: Project, client: Remote, cache: VersionCache, options: DeployOptions = DeployOptions()) -> Plan:
    """Return the plan of a deploy. Only reads: an unchanged project costs the token and two requests,
    three with settings.

    Raises WrongApplication, AmbiguousFunction, PlatformOwned, UsageProblem, ApiFailure.
    """
    require_known(project, options.only)
    if options.only and SETTINGS not in options.only:
        project = replace(project, settings=None)
    snapshot = overview(client, () if project.settings is None else (SETTINGS,))
    if not options.allow_other_application:
        guard(project.target, snapshot, client, cache)
    types = [name for name in project.types if not options.only or name in options.only]
    literals = deployed_literals(project.root, project.target.name, client.identity)
    full_plan = planning.make(project, with_versions(snapshot, types, client, cache, at_once=options.at_once), literals)
    return select(full_plan, options.only)


def prepare(
    project: Project, client: Remote, *, check: Check, cache: VersionCache, options: DeployOptions = DeployOptions()
) -> Plan:
    """Return a plan that is safe to carry out: its scripts are valid, and its removals are allowed.

    `check` is called with the changed scripts, if there are any. Raises InvalidScripts, StalePlan, NeedsFlag,
    NotResumable, and whatever `plan` raises.
    """
    # A plan with unknown variables can be shown, but carrying it out would remove them.
    assert not project.runtime.unknown  # noqa: S101
    deploy_plan = plan(project, client, cache, options)
    if options.saved is not None and not options.allow_stale:
        saving.require_current(options.saved, deploy_plan, client)
    if options.resume is not None:
        require_resumable(options.resume, deploy_plan, client)
    if not deploy_plan.is_empty:
        require_valid(deploy_plan, check)
        allow_removals(deploy_plan, allowed=options.allow_removals)
    return deploy_plan


@dataclass(slots=True)
class DeployConditions:
    """Conditions of a deploy: its packages exist, its gates pass, the user agrees, and the hook succeeds.

    `require_packages` raises if a package, or a module of one, does not exist. `try_gates` runs the gates, if there are
    any. `reload` reads the project again. `agree` asks the user, and `hook` runs the command that precedes the first
    write, while the terminal is `paused`.
    """

    project: Project
    require_packages: Callable[[Plan], None]
    try_gates: Callable[[Plan], tuple[GateVerdict, ...]] | None
    reload: Callable[[], Project]
    agree: Callable[[Plan], bool]
    hook: Callable[[Plan], object]
    paused: Callable[[], AbstractContextManager[None]]
    verdicts: tuple[GateVerdict, ...] = ()
    former_values: Mapping[str, Secret] = field(default_factory=dict)
    """The variables before the deploy."""

    def hold(self, plan: Plan) -> bool:
        """Check the conditions in this order; return whether the user agrees. Raises CkfuncError."""
        have = plan.have.get(ENVIRONMENT, {})
        self.former_values = secrets_of(have)
        self.require_packages(plan)
        if self.try_gates is not None:
            self.verdicts = self.try_gates(plan)
            require_passed(self.verdicts)
            # Gates read the files again: what passed must be what is deployed.
            if self.reload() != self.project:
                problem = "the project was changed while its gates ran; nothing was written"
                raise CkfuncError(problem, hint="run the command again")
        agreed = self.agree(plan)
        if agreed:
            with self.paused():
                self.hook(plan)
        return agreed


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

    `confirm` is called with the plan after all checks have passed, unless nothing changes. Raises whatever `prepare`
    raises, and Busy while another process deploys to the application, always before the first write. Later failures are
    in the report.
    """
    cache = cache or VersionCache(project.root)
    deploy_plan = prepare(project, client, check=check, cache=cache, options=options)
    context = DeployContext(project.root, cache, on_step, clock or SystemClock(), options=options)
    if deploy_plan.is_empty:
        report = nothing_done(deploy_plan, Ending.COMPLETE, "")
        if not options.only and (killed := options.resume or _killed_deploy(project.root, deploy_plan, client)):
            journals.finish(killed, report)
        _record_literals(project, deploy_plan, report, client)
        return report
    if not confirm(deploy_plan):
        return nothing_done(deploy_plan, Ending.DECLINED, "not attempted: declined")
    report = carry_out(deploy_plan, client, context, options.resume)
    _record_literals(project, deploy_plan, report, client)
    return report


def _record_literals(project: Project, deploy_plan: Plan, report: DeployReport, client: Remote) -> None:
    """Record the literals that the application has after a deploy."""
    good = {item.name for item in report.items if item.kind == ENVIRONMENT and item.result not in WRONG}
    public = good & deploy_plan.literals
    values = secrets_of(deploy_plan.want.get(ENVIRONMENT, {}))
    literals = {name: value.reveal() for name, value in values.items() if name in public}
    store_literals(project.root, project.target.name, client.identity, literals)


def carry_out(
    deploy_plan: Plan, client: Remote, context: DeployContext, resumed: JournalRecord | None = None
) -> DeployReport:
    """Carry out a plan under the lock of the application, keep a journal, and verify the result.

    Raises Busy, SystemRefusal and OSError (for the journal), always before the first write.
    """
    with deploy_lock(client.identity, context.root, context.clock):
        # An undo or a rollback does not finish a killed deploy.
        earlier = resumed or (
            _killed_deploy(context.root, deploy_plan, client) if context.command == "deploy" else None
        )
        clock, options = context.clock, context.options
        with journals.begin(
            context.root, deploy_plan, client, clock, context.command, options.only, earlier, context.undoes
        ) as journal:
            if options.watch is not None:
                journal.watch(options.watch)
            at_once = options.at_once
            ledger = apply(
                deploy_plan, client, context.cache, context.on_step, journal=journal, clock=clock, at_once=at_once
            )
            report = read_back(deploy_plan, ledger, client, clock)
            journal.end(report)
            return report


def carry_out_undo(undo: Undo, root: Path, client: Remote, clock: Clock) -> DeployReport:
    """Revert a deploy, or continue to revert it. Raises whatever `carry_out` raises."""
    context = DeployContext(root, VersionCache(root), clock=clock, command="undo", undoes=undo.record)
    return carry_out(undo.plan, client, context, undo.begun)


def find_rollback(root: Path, target: Target, client: Remote, trigger_type: str, version: int | None) -> Rollback:
    """Return the rollback of a function to a version (None: the newest one with another script). Only reads.

    Raises WrongApplication, NoSuchFunction and UnknownVersion.
    """
    cache = VersionCache(root)
    guard(target, Snapshot(client.runtime(), ()), client, cache)
    return prepare_rollback(client, function_of(client, trigger_type), version, cache)


def roll_back(rollback: Rollback, root: Path, target: Target, client: Remote, clock: Clock) -> Item:
    """Deploy the script of an older version again, and return the item of its function.

    Raises whatever `carry_out` raises.
    """
    cache = VersionCache(root)
    function = replace(rollback.function, current_version_number=rollback.current.version_number)
    snapshot = Snapshot(client.runtime(), (function,), {function.type: rollback.current})
    deploy_plan = planning.make(rolled_back(rollback, root, target), snapshot)
    report = carry_out(deploy_plan, client, DeployContext(root, cache, clock=clock, command="rollback"))
    return next(item for item in report.items if item.kind == FUNCTIONS and item.name == function.type)


def _killed_deploy(root: Path, deploy_plan: Plan, client: Remote) -> JournalRecord | None:
    """Return the journal of the last deploy if that was killed, because the next deploy continues it."""
    record = journals.last(root, deploy_plan.target.name, client.identity)
    return record if record is not None and record.ok is None else None
