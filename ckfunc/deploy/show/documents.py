"""Plans as JSON documents, and as Markdown comments on pull requests.

Secrets are masked. A comment has a table and folded source diffs; all untrusted text in it is escaped.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ckfunc.base.annotations import MARK
from ckfunc.base.errors import EXIT_OK
from ckfunc.base.text import one_line, printable, unified
from ckfunc.deploy.gates import GateVerdict
from ckfunc.deploy.plan.plan import ChangeAction, Plan, ResourceChange
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS
from ckfunc.deploy.show.text import (
    SIGNS,
    label,
    next_version,
    plan_summary,
    script_path,
    shown_values,
    side_names,
    source_text,
)

if TYPE_CHECKING:
    from ckfunc.deploy.apply.report import DeployReport
    from ckfunc.deploy.observation import Observation
    from ckfunc.model.outputs import ChangeJson, PlanJson, RefusedDeployJson, ReportJson

LIMIT = 60_000
"""Approximate maximum length of a comment in characters. GitHub accepts 65,536."""
_SOURCE_CHANGES = {ChangeAction.CREATE: "new", ChangeAction.UPDATE: "changed", ChangeAction.REMOVE: "**removed**"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~@&$:-])")


def plan_json(plan: Plan, verdicts: Sequence[GateVerdict] | None = None) -> PlanJson:
    """Return the plan as JSON, without secrets, with source diffs as text, and with the verdicts of gates."""
    counts = Counter(change.action for change in plan.changes)
    document: PlanJson = {
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
    if verdicts is not None:
        document["gates"] = [verdict.to_json() for verdict in verdicts]
    return document


def report_json(
    report: DeployReport, observation: Observation | None = None, verdicts: Sequence[GateVerdict] | None = None
) -> ReportJson:
    """Return the JSON of a deploy's report with the results of its watch and its gates, if it had any."""
    document = report.to_json()
    if observation is not None:
        document["ok"] = document["ok"] and observation.exit_code == EXIT_OK
        document["watch"] = observation.to_json()
    if verdicts is not None:
        document["gates"] = [verdict.to_json() for verdict in verdicts]
    return document


def refused_json(plan: Plan, verdicts: Sequence[GateVerdict]) -> RefusedDeployJson:
    """Return the JSON of a deploy that its gates have refused."""
    return {"target": plan.target.name, "ok": False, "gates": [verdict.to_json() for verdict in verdicts]}


def _change_json(plan: Plan, change: ResourceChange) -> ChangeJson:
    document: ChangeJson = {"kind": change.kind, "name": printable(change.name), "action": change.action.value}
    if change.kind == FUNCTIONS:
        document["old_version"], document["new_version"] = plan.versions.get(change.name), next_version(plan, change)
    if BY_KIND[change.kind].source:
        lines = unified(source_text(change.before), source_text(change.after), *side_names(plan, change))
        document["path"] = script_path(plan, change)
        document["diff"] = "".join(f"{printable(line)}\n" for line in lines)
    else:
        document["before"], document["after"] = shown_values(plan, change)
    return document


def plan_markdown(plan: Plan, *, limit: int = LIMIT, verdict: str = "") -> str:
    """Return the plan as GitHub and GitLab Markdown, without secrets. Source diffs beyond `limit` are omitted.

    `verdict` is Markdown that goes before the table.
    """
    application = f" (application {plan.application_id})" if plan.application_id is not None else ""
    head = [
        MARK,
        f"### ckfunc: {escaped(plan.target.name)}{application}",
        "",
        f"**{plan_summary(plan)}**",
        "",
        *([verdict] if verdict else []),
    ]
    if plan.changes:
        head += ["| | what | change |", "|---|---|---|", *(_row(plan, change) for change in plan.changes), ""]
    if plan.removals:
        count = len(plan.removals)
        head += [f"**{count} {'value' if count == 1 else 'values'} will be removed** from the application.", ""]
    head += [f"> ⚠ {escaped(warning)}\n" for warning in plan.warnings]
    if plan.unmanaged:
        names = ", ".join(escaped(label(entry.kind, entry.name)) for entry in plan.unmanaged)
        head += [f"Not in functions.yaml, left alone: {names}", ""]
    return _limited("\n".join(head), list(_folded(plan)), limit)


def verdicts_markdown(verdicts: Sequence[GateVerdict]) -> str:
    """Return the verdicts of gates as a section of a comment, or "" if there are none."""
    if not verdicts:
        return ""
    summary = "all gates passed" if all(verdict.ok for verdict in verdicts) else "**a gate failed**"
    rows = [
        f"| {'✓' if verdict.ok else '✗'} | {escaped(verdict.gate)} | "
        f"{'<br>'.join(escaped(text) for text in (verdict.summary, *verdict.details))} |"
        for verdict in verdicts
    ]
    return "\n".join(["", f"#### Gates: {summary}", "", "| | gate | verdict |", "|---|---|---|", *rows, ""])


def _limited(head: str, folded: list[str], limit: int) -> str:
    """Return the head, and as many folded blocks as fit, with a note about the omitted ones."""
    if len(head) > limit:
        # A table of thousands of rows: cut between lines, so that the Markdown stays valid.
        shortened = head[:limit].rpartition("\n")[0]
        return f"{shortened}\n\nThe plan is too long for a comment: see `ckfunc diff`.\n"
    remaining, shown = limit - len(head), []
    for block in folded:
        if len(block) <= remaining:
            shown.append(block)
            remaining -= len(block)
    missing = len(folded) - len(shown)
    if missing:
        shown.append(f"{missing} source {'diff is' if missing == 1 else 'diffs are'} left out: see `ckfunc diff`.\n")
    return "\n".join([head, *shown]).rstrip("\n") + "\n"


def _row(plan: Plan, change: ResourceChange) -> str:
    name = escaped(label(change.kind, change.name))
    return f"| {escaped(SIGNS[change.action])} | {name} | {_change_cell(plan, change)} |"


def _change_cell(plan: Plan, change: ResourceChange) -> str:
    if change.kind == FUNCTIONS:
        old = plan.versions.get(change.name)
        return "new function, v1" if old is None else f"v{old} → v{old + 1}"
    if BY_KIND[change.kind].source:
        return _SOURCE_CHANGES[change.action]
    before, after = (escaped(value or "") for value in shown_values(plan, change))
    if change.action is ChangeAction.REMOVE:
        return f"**removed**, currently {before}"
    return after if change.action is ChangeAction.CREATE else f"{before} → {after}"


def _folded(plan: Plan) -> Iterator[str]:
    for change in plan.changes:
        if not BY_KIND[change.kind].source:
            continue
        before, after = source_text(change.before), source_text(change.after)
        script = plan.files.get((change.kind, change.name))
        path = script.path if script else "nothing"
        lines = "\n".join(printable(line) for line in unified(before, after, "deployed" if before else "nothing", path))
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", lines)), default=0))
        title = _html(label(change.kind, change.name))
        yield f"<details><summary>{title}</summary>\n\n{fence}diff\n{lines}\n{fence}\n\n</details>\n"


def escaped(text: str) -> str:
    """Return untrusted text as Markdown that only shows it, without links, mentions or line breaks."""
    return _SPECIAL.sub(r"\\\1", one_line(text)).replace("\\@", "@\u200b")


def _html(text: str) -> str:
    flat = one_line(text)
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")
