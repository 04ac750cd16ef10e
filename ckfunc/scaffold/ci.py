"""Pipelines that check, plan, deploy and report drift in a CI system."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

from ckfunc import __version__
from ckfunc.base.errors import CkfuncError, UsageProblem
from ckfunc.base.git import GitMissing, GitRefused, git
from ckfunc.scaffold.render import render
from ckfunc.scaffold.writing import Written, write_all

FILES = {"github": ".github/workflows/ckfunc.yml", "gitlab": ".gitlab-ci.yml"}
"""Where each CI system looks for its pipeline, from the top of the repository."""

_CREDENTIALS = ("CHATKITTY_CLIENT_ID", "CHATKITTY_CLIENT_SECRET")
_USUAL_BRANCHES = ("main", "master", "trunk")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The options of a pipeline.

    `directory` is the project's, from the top of the repository, "." for the top. `mark` is how the plan's comment
    begins. `install` is what pip installs. `variables` are those that the manifest refers to. With `manual`, somebody
    starts each deploy by hand where the CI system has no approvals of its own.
    """

    target: str
    mark: str
    branch: str
    install: str
    directory: str = "."
    variables: tuple[str, ...] = ()
    manual: bool = True

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of all secrets that a deploy needs."""
        return (*_CREDENTIALS, *sorted(set(self.variables).difference(_CREDENTIALS)))


def pipeline_text(system: str, pipeline: Pipeline) -> str:
    """Return the file for a CI system, a key of FILES.

    Raises CkfuncError for a directory, and UsageProblem for a branch or requirement, that a script cannot contain.
    """
    if not re.fullmatch(r"[\w ./-]+", pipeline.directory):
        raise CkfuncError(
            f"the directory {pipeline.directory!r} cannot be named in a pipeline",
            hint="use letters, digits, spaces, dots, - and _ in the names of directories",
        )
    if not re.fullmatch(r"[\w./-]+", pipeline.branch):
        raise UsageProblem(
            f"the branch {pipeline.branch!r} cannot be named in a pipeline",
            hint="--branch NAME names another branch, of letters, digits, dots, /, - and _",
        )
    if not re.fullmatch(r"[\w@:/.+=<>~!,\[\] ?#&%-]+", pipeline.install):
        raise UsageProblem(
            "--install is not a requirement that pip can install",
            hint='examples: "ckfunc==1.2.3", "git+https://example.com/ckfunc.git@v1.2.3"',
        )
    return render(
        f"ci/{system}.yml",
        target=pipeline.target,
        branch=pipeline.branch,
        mark=pipeline.mark,
        install=f'"{pipeline.install}"',
        directory=pipeline.directory,
        prefix="" if pipeline.directory == "." else f"{pipeline.directory}/",
        secrets=pipeline.secrets,
        manual=pipeline.manual,
    )


def write_pipeline(top: Path, system: str, pipeline: Pipeline, *, force: bool = False) -> tuple[Written, ...]:
    """Write the file below `top`, the top of the repository. Raises FilesExist, CannotWrite."""
    return write_all(top, {FILES[system]: pipeline_text(system, pipeline)}, force=force)


def deployed_branch(top: Path) -> str:
    """Return the branch that a repository is deployed from: the remote's default branch, or the most likely other one.

    Without a remote that is a branch with a usual name, then the current one, then git's own default.
    """
    remote = _asked(top, "symbolic-ref", "--short", "refs/remotes/origin/HEAD")
    if remote:
        return remote.removeprefix("origin/")
    configured = _asked(top, "config", "--get", "init.defaultBranch")
    branches = _asked(top, "for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()
    for name in (configured, *_USUAL_BRANCHES):
        if name in branches:
            return name
    return _asked(top, "symbolic-ref", "--short", "HEAD") or configured or _USUAL_BRANCHES[0]


def _asked(top: Path, *arguments: str) -> str:
    try:
        return git(top, *arguments).decode("utf-8", "replace").strip()
    except (GitMissing, GitRefused):
        return ""


def installed_from() -> str | None:
    """Return the requirement with which pip installs this ckfunc on another machine; None when no such place is known.

    Source: PEP 610, direct_url.json; what comes from the package index has no such file.
    """
    try:
        text = importlib.metadata.distribution("ckfunc").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    if text is None:
        return f"ckfunc=={__version__}"
    found = json.loads(text)
    url, vcs = str(found.get("url", "")), found.get("vcs_info")
    if vcs:
        return f"{vcs['vcs']}+{_public(url)}@{vcs['commit_id']}"
    if urlsplit(url).scheme == "file":
        return _checkout(Path(url2pathname(unquote(urlsplit(url).path))))
    return _public(url)


def _checkout(directory: Path) -> str | None:
    """Return the requirement for the commit of a checkout that has a remote."""
    remote, commit = _asked(directory, "remote", "get-url", "origin"), _asked(directory, "rev-parse", "HEAD")
    if urlsplit(remote).scheme not in {"https", "ssh"} or not commit:
        return None
    return f"git+{_public(remote)}@{commit}"


def _public(url: str) -> str:
    """Return an address without the password or token that may be in it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2] if parts.scheme == "https" else parts.netloc
    return urlunsplit(parts._replace(netloc=host))


def next_steps(system: str, pipeline: Pipeline) -> Iterable[str]:
    """Return what has to be set up in the CI system before the pipeline works."""
    names = ", ".join(pipeline.secrets)
    if system == "github":
        yield f"Add these repository secrets: {names}"
        yield f'To approve each deploy, give the environment "{pipeline.target}" required reviewers'
    else:
        yield f'Add these masked CI/CD variables, with the environment scope "{pipeline.target}": {names}'
        yield "Add a nightly schedule under Build > Pipeline schedules; without one, drift is not looked for"
        if pipeline.manual:
            yield f"The target {pipeline.target} is protected: start `ckfunc deploy` by hand after reading the plan"
