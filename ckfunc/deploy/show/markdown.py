"""Plans as a Markdown comment on a pull request.

A comment has a table and folded source diffs. Text from elsewhere is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ckfunc.base.diffs import unified
from ckfunc.base.text import printable
from ckfunc.deploy.gates import GateVerdict
from ckfunc.deploy.plan.diff import ChangeAction, ResourceChange
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS
from ckfunc.deploy.show.text import SIGNS, label, plan_summary, shown_values

MARK = "<!-- ckfunc plan -->"
"""The first line: by it, the comment of an earlier run is found again."""

LIMIT = 60_000
"""How many characters a comment may have, about: GitHub takes 65,536."""

_SOURCE_CHANGES = {ChangeAction.CREATE: "new", ChangeAction.UPDATE: "changed", ChangeAction.REMOVE: "**removed**"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~@&$:-])")


def plan_markdown(plan: Plan, *, limit: int = LIMIT, verdict: str = "") -> str:
    """Return the plan as GitHub and GitLab Markdown, with no secret in it; source diffs are left out past `limit`.

    `verdict` is Markdown that comes first.
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
        head += ["| | what | change |", "|---|---|---|", *(_row(plan, one) for one in plan.changes), ""]
    if plan.removals:
        count = len(plan.removals)
        head += [f"**{count} {'value' if count == 1 else 'values'} will be removed** from the application.", ""]
    head += [f"> ⚠ {escaped(one)}\n" for one in plan.warnings]
    if plan.unmanaged:
        names = ", ".join(escaped(one.name) for one in plan.unmanaged)
        head += [f"Not in functions.yaml, left alone: {names}", ""]
    return _within("\n".join(head), list(_folded(plan)), limit)


def verdicts_markdown(verdicts: Sequence[GateVerdict]) -> str:
    """Return the verdicts of gates as a part of a comment; "" for none."""
    if not verdicts:
        return ""
    whole = "all gates pass" if all(one.ok for one in verdicts) else "**a gate does not pass**"
    rows = [
        f"| {'✓' if one.ok else '✗'} | {escaped(one.gate)} | "
        f"{'<br>'.join(escaped(text) for text in (one.summary, *one.details))} |"
        for one in verdicts
    ]
    return "\n".join(["", f"#### Gates: {whole}", "", "| | gate | verdict |", "|---|---|---|", *rows, ""])


def _within(head: str, folded: list[str], limit: int) -> str:
    """Return head and details, as many of these as fit, with a word about the others."""
    if len(head) > limit:
        # A table of thousands of rows: whole lines of it, so that the Markdown stays sound.
        kept = head[:limit].rpartition("\n")[0]
        return f"{kept}\n\nThe plan is too long for a comment: see `ckfunc diff`.\n"
    left, shown = limit - len(head), []
    for one in folded:
        if len(one) <= left:
            shown.append(one)
            left -= len(one)
    missing = len(folded) - len(shown)
    if missing:
        shown.append(f"{missing} source {'diff is' if missing == 1 else 'diffs are'} left out: see `ckfunc diff`.\n")
    return "\n".join([head, *shown]).rstrip("\n") + "\n"


def _row(plan: Plan, change: ResourceChange) -> str:
    return f"| {escaped(SIGNS[change.action])} | {escaped(label(change.kind, change.name))} | {_what(plan, change)} |"


def _what(plan: Plan, change: ResourceChange) -> str:
    if change.kind == FUNCTIONS:
        old = plan.versions.get(change.name)
        return "new function, v1" if old is None else f"v{old} → v{old + 1}"
    if BY_KIND[change.kind].source:
        return _SOURCE_CHANGES[change.action]
    before, after = (escaped(one or "") for one in shown_values(plan, change))
    if change.action is ChangeAction.REMOVE:
        return f"**removed**, is {before}"
    return after if change.action is ChangeAction.CREATE else f"{before} → {after}"


def _folded(plan: Plan) -> Iterator[str]:
    for change in plan.changes:
        if not BY_KIND[change.kind].source:
            continue
        before, after = (one if isinstance(one, str) else "" for one in (change.before, change.after))
        script = plan.files.get((change.kind, change.name))
        path = script.path if script else "nothing"
        lines = "\n".join(printable(one) for one in unified(before, after, "deployed" if before else "nothing", path))
        fence = "`" * max(3, 1 + max((len(one) for one in re.findall(r"`+", lines)), default=0))
        title = _html(label(change.kind, change.name))
        yield f"<details><summary>{title}</summary>\n\n{fence}diff\n{lines}\n{fence}\n\n</details>\n"


def escaped(text: str) -> str:
    """Return text from elsewhere as Markdown that shows it and does nothing else: no link, no mention, no new line."""
    return _SPECIAL.sub(r"\\\1", " ".join(printable(text).split())).replace("\\@", "@\u200b")


def _html(text: str) -> str:
    flat = " ".join(printable(text).split())
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")
