"""Versions of a function as rows of a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from ckfunc.base.clock import timestamp
from ckfunc.base.text import Segment, line_count, printable
from ckfunc.deploy.history import script_digest
from ckfunc.deploy.resources import newlines

if TYPE_CHECKING:
    from ckfunc.deploy.blame import Commit
    from ckfunc.model.application import Function, FunctionVersion
    from ckfunc.model.outputs import VersionJson

HEADINGS = ("VERSION", "DEPLOYED", "SCRIPT", "LINES", "STATE", "COMMIT")


def when(deployed: Mapping[int, datetime], seen: Mapping[int, datetime], number: int) -> str:
    """Return when a version was deployed, or first seen (`by TIME`), or "" if neither is known."""
    moment = deployed.get(number) or seen.get(number)
    if moment is None:
        return ""
    return f"{'' if number in deployed else 'by '}{moment.astimezone():%Y-%m-%d %H:%M}"


def version_cells(function: Function, version: FunctionVersion, local: str | None, when: str) -> list[Segment]:
    """Return a row without its commit. `local` is the script in the working copy, `when` the time to show."""
    text = newlines(version.handler_script)
    current = version.version_number == function.current_version_number
    marks = [
        *(["deployed"] if current else []),
        *(["disabled"] if current and not function.enabled else []),
        *(["local"] if local == text else []),
    ]
    return [
        Segment(f"v{version.version_number}", "title" if current else "plain"),
        Segment(when),
        Segment(script_digest(version)[:12], "muted"),
        Segment(f"{line_count(text):>5}"),
        Segment(", ".join(marks), "success"),
    ]


def commit_cell(commit: Commit | None) -> Segment:
    """Return the commit of a version."""
    if commit is None:
        return Segment("not found in git", "muted")
    return Segment(f"{commit.id[:10]}  {commit.time:%Y-%m-%d}  {_short(commit.author)}: {_short(commit.subject)}")


def _short(text: str) -> str:
    line = " ".join(printable(text).split())
    return line if len(line) <= 60 else f"{line[:59]}…"


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
    document: VersionJson = {
        "type": function.type,
        "version": version.version_number,
        "id": version.id,
        "deployed": version.version_number == function.current_version_number,
        "digest": script_digest(version),
        "lines": line_count(text),
    }
    if deployed is not None:
        document["deployed_time"] = timestamp(deployed)
    if local is not None:
        document["matches_local"] = local == text
    if commit is not None:
        document["commit"] = {
            "id": commit.id,
            "author": commit.author,
            "time": commit.time.isoformat(),
            "subject": commit.subject,
        }
    return document
