"""What a CI system must be told so that it checks, plans, deploys and looks for drift."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ckfunc import __version__
from ckfunc.base.errors import CkfuncError
from ckfunc.scaffold.render import render
from ckfunc.scaffold.writing import Written, write_all

FILES = {"github": ".github/workflows/ckfunc.yml", "gitlab": ".gitlab-ci.yml"}
"""Where each CI system looks for it, from the top of the repository."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What a pipeline is made for. `directory` is the project's, from the top of the repository, "." for the top.

    `variables` are those that the manifest refers to, `mark` is how the plan's comment begins.
    """

    target: str
    mark: str
    directory: str = "."
    branch: str = "main"
    variables: tuple[str, ...] = ()
    has_check: bool = False


def pipeline_text(system: str, pipeline: Pipeline) -> str:
    """Return the file for a CI system, a key of FILES. Raises CkfuncError for a directory that no script can name."""
    if not re.fullmatch(r"[\w ./-]+", pipeline.directory):
        raise CkfuncError(
            f"the directory {pipeline.directory!r} cannot be named in a pipeline",
            hint="use letters, digits, spaces, dots, - and _ in the names of directories",
        )
    return render(
        f"ci/{system}.yml",
        version=__version__,
        target=pipeline.target,
        branch=pipeline.branch,
        mark=pipeline.mark,
        directory="" if pipeline.directory == "." else f"-C '{pipeline.directory}' ",
        variables=_secrets(pipeline.variables),
        has_check=pipeline.has_check,
    )


def write_pipeline(top: Path, system: str, pipeline: Pipeline, *, force: bool = False) -> tuple[Written, ...]:
    """Write the file below `top`, the top of the repository. Raises FilesExist, CannotWrite."""
    return write_all(top, {FILES[system]: pipeline_text(system, pipeline)}, force=force)


def _secrets(variables: Iterable[str]) -> list[str]:
    return sorted({one for one in variables if not one.startswith("CHATKITTY_")})
