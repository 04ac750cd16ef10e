"""Annotations of files for continuous integration: GitHub, GitLab, SARIF.

Paths in a report are relative to the root of the repository, where the services look for the files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from ckfunc import __version__
from ckfunc.base.errors import Problem
from ckfunc.base.frozen import frozen
from ckfunc.base.text import digest

MARK = "<!-- ckfunc plan -->"
"""The first line of a comment with a plan, which identifies the comment of an earlier run."""


class AnnotationLevel(StrEnum):
    """The severity of an annotation, in GitHub's terms."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@frozen
class Annotation:
    """A message at a place in a file. `line` and `column` count from 1; line 0 is the whole file.

    `rule` names the kind of the message, such as TS2322 or failed-test.
    """

    path: str
    line: int
    column: int
    rule: str
    message: str
    level: AnnotationLevel = AnnotationLevel.ERROR


def of_mistakes(problems: Iterable[Problem], rule: str) -> tuple[Annotation, ...]:
    """Return problems in the project's files as annotations."""
    return tuple(Annotation(each.path, each.line, each.column, rule, each.sentence) for each in problems)


def in_repository(annotations: Iterable[Annotation], root: Path, environ: Mapping[str, str]) -> tuple[Annotation, ...]:
    """Return the annotations with paths relative to the repository that the project's directory `root` is in.

    GitHub and GitLab name the checkout in the environment; elsewhere it is the nearest directory with a `.git`.
    """
    root = root.resolve()
    checkouts = [Path(environ[name]).resolve() for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR") if environ.get(name)]
    checkouts += [directory for directory in (root, *root.parents) if (directory / ".git").exists()]
    checkout = next((directory for directory in checkouts if root.is_relative_to(directory)), root)
    prefix = root.relative_to(checkout)
    return tuple(replace(note, path=(prefix / note.path).as_posix()) for note in annotations)


def github(annotations: Sequence[Annotation]) -> str:
    """Return workflow commands, one line each.

    Source: https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
    """
    return "".join(f"{_workflow_command(note)}\n" for note in annotations)


def _workflow_command(note: Annotation) -> str:
    properties = {"file": note.path, "title": f"ckfunc {note.rule}"}
    if note.line:
        properties |= {"line": str(note.line), "col": str(max(note.column, 1))}
    listed = ",".join(
        f"{name}={_escaped(value).replace(':', '%3A').replace(',', '%2C')}" for name, value in properties.items()
    )
    return f"::{note.level.value} {listed}::{_escaped(note.message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


_GITLAB_SEVERITIES = {
    AnnotationLevel.ERROR: "major",
    AnnotationLevel.WARNING: "minor",
    AnnotationLevel.NOTICE: "info",
}


def gitlab(annotations: Sequence[Annotation]) -> str:
    """Return a Code Quality report. Equal messages about one file get different fingerprints.

    Source: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
    """
    seen: dict[str, int] = {}
    report = []
    for note in annotations:
        identity = json.dumps([note.rule, note.path, note.message])
        seen[identity] = seen.get(identity, 0) + 1
        report.append(
            {
                "description": note.message,
                "check_name": note.rule,
                "fingerprint": digest(f"{identity}{seen[identity]}"),
                "severity": _GITLAB_SEVERITIES[note.level],
                "location": {"path": note.path, "lines": {"begin": max(note.line, 1)}},
            }
        )
    return json.dumps(report, indent=2) + "\n"


def sarif(annotations: Sequence[Annotation]) -> str:
    """Return a SARIF 2.1.0 log with one run.

    Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
    """
    rules = list(dict.fromkeys(note.rule for note in annotations))
    run = {
        "tool": {"driver": {"name": "ckfunc", "version": __version__, "rules": [{"id": rule} for rule in rules]}},
        "columnKind": "utf16CodeUnits",
        "results": [
            {
                "ruleId": note.rule,
                "ruleIndex": rules.index(note.rule),
                "level": "note" if note.level is AnnotationLevel.NOTICE else note.level.value,
                "message": {"text": note.message},
                "locations": [{"physicalLocation": _physical_location(note)}],
            }
            for note in annotations
        ],
    }
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2) + "\n"


def _physical_location(note: Annotation) -> dict[str, object]:
    location: dict[str, object] = {"artifactLocation": {"uri": quote(note.path)}}
    if note.line:
        location["region"] = {"startLine": note.line, "startColumn": max(note.column, 1)}
    return location


FORMATS: Mapping[str, Callable[[Sequence[Annotation]], str]] = {"github": github, "gitlab": gitlab, "sarif": sarif}
"""The formats of `--format`."""
