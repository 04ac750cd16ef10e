"""Plans and versions as JSON documents, with secrets masked."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from ckfunc.base.clock import timestamp
from ckfunc.base.diffs import line_count, unified
from ckfunc.base.errors import EXIT_OK
from ckfunc.base.text import printable
from ckfunc.deploy.history import script_digest
from ckfunc.deploy.plan.diff import ChangeAction, ResourceChange
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS, newlines
from ckfunc.deploy.show.text import next_version, script_path, shown_values, side_names, source_text

if TYPE_CHECKING:
    from ckfunc.model.function import Function, FunctionVersion
    from ckfunc.model.outputs import ChangeJson, PlanJson, ReportJson, VersionJson

if TYPE_CHECKING:  # imports the bundler, the manifest and the undo
    from ckfunc.deploy.blame import Commit
    from ckfunc.deploy.observation import Observation


def plan_json(plan: Plan) -> PlanJson:
    """Return the plan as JSON, without secrets, with source diffs as text."""
    counts = Counter(change.action for change in plan.changes)
    return {
        "target": plan.target.name,
        "application": plan.application_id,
        "summary": {
            **{action.value: counts[action] for action in ChangeAction},
            "unchanged": len(plan.unchanged),
            "unmanaged": len(plan.unmanaged),
        },
        "changes": [_change_json(plan, change) for change in plan.changes],
        "unchanged": [{"kind": entry.kind, "name": printable(entry.name)} for entry in plan.unchanged],
        "unmanaged": [{"kind": entry.kind, "name": printable(entry.name)} for entry in plan.unmanaged],
        "warnings": [printable(warning) for warning in plan.warnings],
    }


def with_observation(report: ReportJson, observation: Observation | None) -> ReportJson:
    """Return the JSON of a deploy's report with the result of its watch; None if it was not watched."""
    if observation is not None:
        report["ok"] = report["ok"] and observation.exit_code == EXIT_OK
        report["watch"] = observation.to_json()
    return report


def _change_json(plan: Plan, change: ResourceChange) -> ChangeJson:
    found: ChangeJson = {"kind": change.kind, "name": printable(change.name), "action": change.action.value}
    if change.kind == FUNCTIONS:
        found["old_version"], found["new_version"] = plan.versions.get(change.name), next_version(plan, change)
    if BY_KIND[change.kind].source:
        lines = unified(source_text(change.before), source_text(change.after), *side_names(plan, change))
        found["path"] = script_path(plan, change)
        found["diff"] = "".join(f"{printable(line)}\n" for line in lines)
    else:
        found["before"], found["after"] = shown_values(plan, change)
    return found


def version_json(
    function: Function,
    version: FunctionVersion,
    local: str | None = None,
    commit: Commit | None = None,
    deployed: datetime | None = None,
) -> VersionJson:
    """Return a version as JSON.

    `local` is the source in the working copy, `commit` the commit of the version, `deployed` the time of its deploy.
    Unknown values are omitted.
    """
    text = newlines(version.handler_script)
    found: VersionJson = {
        "type": function.type,
        "version": version.version_number,
        "id": version.id,
        "deployed": version.version_number == function.current_version_number,
        "digest": script_digest(version),
        "lines": line_count(text),
    }
    if deployed is not None:
        found["deployed_time"] = timestamp(deployed)
    if local is not None:
        found["matches_local"] = local == text
    if commit is not None:
        found["commit"] = {
            "id": commit.id,
            "author": commit.author,
            "time": commit.time.isoformat(),
            "subject": commit.subject,
        }
    return found
