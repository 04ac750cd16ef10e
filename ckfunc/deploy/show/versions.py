"""Versions of a function as rows of a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ckfunc.base.clock import timestamp
from ckfunc.base.frozen import frozen
from ckfunc.base.text import Line, Segment, line_count, newlines, one_line, shortened, table
from ckfunc.deploy.history import script_digest

if TYPE_CHECKING:
    from ckfunc.deploy.blame import Commit
    from ckfunc.deploy.history import Rollback
    from ckfunc.model.application import Function, FunctionVersion
    from ckfunc.model.outputs import VersionJson
    from ckfunc.model.project import Target

HEADINGS = ("VERSION", "DEPLOYED", "SCRIPT", "LINES", "STATE", "COMMIT")


@frozen
class VersionTable:
    """Versions of a function.

    `local` is the script in the working copy, `commits` are those of the versions by number, None to leave them out.
    `noted` are times of deploys, by number and digest.
    """

    function: Function
    versions: Sequence[FunctionVersion]
    local: str | None
    commits: Mapping[int, Commit] | None
    noted: Mapping[tuple[int, str], datetime]

    @property
    def deployed(self) -> dict[int, datetime]:
        """The known times of deploys, by version."""
        keys = [(version.version_number, script_digest(version)) for version in self.versions]
        return {key[0]: self.noted[key] for key in keys if key in self.noted}

    @property
    def has_every_time(self) -> bool:
        """Whether the time of each deploy is known."""
        return self.deployed.keys() == {version.version_number for version in self.versions}

    def to_json(self) -> list[VersionJson]:
        """Return the versions for `--json`."""
        times, commits = self.deployed, self.commits or {}
        numbers = [(version, version.version_number) for version in self.versions]
        return [
            version_json(self.function, version, self.local, commits.get(number), deployed=times.get(number))
            for version, number in numbers
        ]

    def lines(self, seen: Mapping[int, datetime]) -> list[Line]:
        """Return the table. `seen` are the times of first invocations, for versions without a time of a deploy."""
        times = self.deployed
        rows = [
            (
                *version_cells(self.function, version, self.local, when(times, seen, version.version_number)),
                Segment("") if self.commits is None else commit_cell(self.commits.get(version.version_number)),
            )
            for version in self.versions
        ]
        return table(HEADINGS, rows) if rows else []


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
    return shortened(one_line(text), 60)


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


def rollback_lines(rollback: Rollback, target: Target, number: int | None) -> tuple[Line, ...]:
    """Return the new version `number` of a rollback as a line, and the summary."""
    name, old = one_line(rollback.function.type), rollback.target.version_number
    change = Segment(f"{name}  v{rollback.current.version_number} → v{number}")
    summary = Segment(f"Rolled back {name} to v{old} on {target.name}.", "title")
    return (Segment("  ~ ", "update"), change, Segment(f"  the script of v{old}", "muted")), (), (summary,)
