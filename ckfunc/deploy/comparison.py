"""Comparison of two versions of a function, or with the working copy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckfunc.base.diffs import styled_diff, unified
from ckfunc.base.text import Segment, printable
from ckfunc.deploy.history import Reference, function_of, require_handler, version_of
from ckfunc.deploy.resources import newlines

if TYPE_CHECKING:
    from ckfunc.deploy.cache import VersionCache
    from ckfunc.deploy.remote import Remote
    from ckfunc.model.function import FunctionVersion
    from ckfunc.model.outputs import ComparisonJson
    from ckfunc.model.project import Project


@dataclass(frozen=True, slots=True)
class NamedScript:
    """A script to compare, with its name in the diff; `text` has plain newlines."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The unified diff of two scripts: without lines if they are equal."""

    before: str
    after: str
    diff: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether the scripts are the same."""
        return not self.diff

    def lines(self) -> Iterator[tuple[Segment]]:
        """Yield the diff as styled lines."""
        for line in styled_diff(self.diff):
            yield (line,)

    def to_json(self) -> ComparisonJson:
        """Return the comparison for `--json`."""
        text = "".join(f"{printable(line)}\n" for line in self.diff)
        return {"before": self.before, "after": self.after, "equal": self.equal, "diff": text}


def compare(before: NamedScript, after: NamedScript) -> Comparison:
    """Return the changes from one script to another."""
    return Comparison(before.name, after.name, tuple(unified(before.text, after.text, before.name, after.name)))


def named_version(trigger_type: str, version: FunctionVersion) -> NamedScript:
    """Return the script of a version, with the name TYPE@NUMBER."""
    return NamedScript(f"{printable(trigger_type)}@{version.version_number}", newlines(version.handler_script))


def deployed_script(remote: Remote, wanted: Reference, cache: VersionCache) -> NamedScript:
    """Return the script of a version on the platform. Raises UnknownVersion and AmbiguousFunction."""
    function = function_of(remote, wanted.type)
    return named_version(function.type, version_of(remote, function, wanted.number, cache))


def working_copy(project: Project, trigger_type: str) -> NamedScript:
    """Return the handler in the working copy. Raises NoSuchFunction."""
    script = require_handler(project, trigger_type)
    return NamedScript(f"{printable(script.path)}{' (bundled)' if script.modules else ''}", newlines(script.text))
