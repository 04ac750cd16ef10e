"""Read-only git commands whose output depends only on the repository."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_TIMEOUT_S = 60.0

# Settings that override the user's own, so that output has the same format everywhere. Source: git-config(1).
_SETTINGS = (
    "color.ui=false",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "diff.renames=true",
    "i18n.logOutputEncoding=UTF-8",
    "log.diffMerges=separate",
    "log.mailmap=true",
    "log.showRoot=true",
    "log.showSignature=false",
)

# Variables set by the shell or a git hook that would select another repository, index or object store. Source: git(1).
_REMOVED_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_GLOB_PATHSPECS",
    "GIT_GRAFT_FILE",
    "GIT_ICASE_PATHSPECS",
    "GIT_INDEX_FILE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)

_VARIABLES = {
    "GIT_NO_LAZY_FETCH": "1",  # a partial clone must not open a network connection
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",  # messages are compared
}


class GitMissing(Exception):
    """git is not installed, or timed out."""


class GitRefused(Exception):
    """git exited with an error; `reason` is its message in English."""

    def __init__(self, reason: str, returncode: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.returncode = returncode

    @property
    def dubious_ownership(self) -> bool:
        """Return whether git refuses because the repository belongs to another user."""
        return "dubious ownership" in self.reason

    @property
    def no_commits(self) -> bool:
        """Return whether the repository has no commits."""
        return "does not have any commits" in self.reason


def git(root: Path, *arguments: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> bytes:
    """Run a git command in `root` and return its output; `stdin` is its standard input.

    Raises GitMissing, and GitRefused if it exits with an error.
    """
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    inherited = os.environ if environ is None else environ
    env = {name: value for name, value in inherited.items() if name not in _REMOVED_VARIABLES} | _VARIABLES
    command = ["git", "-C", str(root), *settings, *arguments]
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=_TIMEOUT_S, env=env)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise GitMissing(str(problem)) from None
    if done.returncode != 0:
        raise GitRefused(done.stderr.decode("utf-8", "replace"), done.returncode)
    return done.stdout


def repository_of(directory: Path) -> Path:
    """Return the top of the git repository that contains `directory`; without a repository, `directory`."""
    return next((path for path in (directory, *directory.parents) if (path / ".git").exists()), directory)


def trust_command(root: Path) -> str:
    """Return the command that makes git accept a repository of another user."""
    return f"git config --global --add safe.directory '{repository_of(root)}'"
