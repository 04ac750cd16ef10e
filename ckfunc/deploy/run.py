"""How a deploy goes, from the manifest to an application that was read back."""

from __future__ import annotations

from collections.abc import Callable

from ckfunc.deploy import plan as planning
from ckfunc.deploy.apply import OnStep, apply
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.plan import Plan
from ckfunc.deploy.remote import Remote
from ckfunc.deploy.report import Ending, Report, nothing_done
from ckfunc.deploy.scripts import Check, require_valid
from ckfunc.deploy.snapshot import Snapshot, application_key, overview, with_versions
from ckfunc.deploy.verify import read_back
from ckfunc.model.project import Project


def plan(project: Project, client: Remote, cache: VersionCache) -> Plan:
    """Return what a deploy would do. Reads only: an unchanged project costs two requests and the token.

    Raises WrongApplication, AmbiguousFunction, PlatformOwned, ApiFailure.
    """
    seen = overview(client)
    guard(project, seen, client, cache)
    types = [one.type for one in project.functions or ()]
    return planning.make(project, with_versions(seen, types, client, cache))


def deploy(
    project: Project,
    client: Remote,
    *,
    check: Check,
    confirm: Callable[[Plan], bool],
    on_step: OnStep = lambda _: None,
    cache: VersionCache | None = None,
) -> Report:
    """Make the application match the manifest.

    `check` parses changed scripts and is not called without any; `confirm` sees the plan after that and is not called
    when nothing changes. Raises what `plan` raises and InvalidScripts, all before the first write; afterwards every
    failure is in the report.
    """
    cache = cache or VersionCache(project.root)
    made = plan(project, client, cache)
    if made.is_empty:
        return nothing_done(made, Ending.COMPLETE, "")
    require_valid(made, check)
    if not confirm(made):
        return nothing_done(made, Ending.DECLINED, "not attempted: declined")
    return read_back(made, apply(made, client, cache, on_step), client)


def guard(project: Project, seen: Snapshot, client: Remote, cache: VersionCache) -> None:
    """Refuse credentials of another application than the target names. Raises WrongApplication."""
    want = project.target.application
    if want is None:
        return
    if not want.isdecimal():
        got = application_key(client, cache)
    elif seen.runtime.application_id is not None:
        got = str(seen.runtime.application_id)
    else:
        got = str(client.application().id)
    planning.require_application(project.target, got)
