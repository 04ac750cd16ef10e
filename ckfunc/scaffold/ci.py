"""Pipelines that check, plan, deploy and report drift in a CI system."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

from ckfunc import __version__
from ckfunc.base.annotations import MARK
from ckfunc.base.errors import CkfuncError, UsageProblem
from ckfunc.base.frozen import frozen
from ckfunc.base.git import GitMissing, GitRefused, git, repository_of
from ckfunc.manifest.project import is_protected, referenced_variables, targets
from ckfunc.scaffold.templates import render
from ckfunc.scaffold.writing import Written, write_all

FILES = {"github": ".github/workflows/ckfunc.yml", "gitlab": ".gitlab-ci.yml"}
"""The path of each CI system's pipeline, relative to the top of the repository."""

_CREDENTIALS = ("CHATKITTY_CLIENT_ID", "CHATKITTY_CLIENT_SECRET")
_USUAL_BRANCHES = ("main", "master", "trunk")


@frozen
class Pipeline:
    """The options of a pipeline.

    `directory` is the path of the project, relative to the top of the repository. `install` is the requirement for pip.
    `variables` are those that the manifest refers to. With `manual`, deploys are started manually if the CI system has
    no approvals.
    """

    target: str
    branch: str
    install: str
    directory: str = "."
    variables: tuple[str, ...] = ()
    manual: bool = True

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of all secrets that a deploy needs."""
        return (*_CREDENTIALS, *sorted(set(self.variables).difference(_CREDENTIALS)))


def project_pipeline(
    directory: Path, *, target: str | None, branch: str | None, install: str | None
) -> tuple[Path, Pipeline, tuple[str, ...]]:
    """Return the top of the repository of the project in `directory`, the project's pipeline, and warnings.

    By default, it deploys the default branch to the project's only remote target, or else to "production", with the
    ckfunc that runs now.
    """
    top, names = repository_of(directory), targets(directory)
    remote = [name for name in names if name != "local"]
    target = target or (remote[0] if len(remote) == 1 else "production")
    released = f"ckfunc=={__version__}"
    install = install or installed_from()
    warnings = []
    if target not in names:
        warnings.append(f"functions.yaml has no target {target!r} yet: add it before the pipeline runs")
    if install is None:
        warnings.append(
            f"the pipeline installs {released} from the package index, but this ckfunc comes from a local directory "
            "(--install SPEC names another source, such as a git address)"
        )
    pipeline = Pipeline(
        target=target,
        directory=directory.relative_to(top).as_posix(),
        variables=referenced_variables(directory, target),
        branch=branch or deployed_branch(top),
        install=install or released,
        manual=target not in names or is_protected(directory, target),
    )
    return top, pipeline, tuple(warnings)


def pipeline_text(system: str, pipeline: Pipeline) -> str:
    """Return the pipeline for a CI system (a key of FILES).

    Raises CkfuncError for a directory that a script cannot contain, UsageProblem for such a branch or requirement.
    """
    if not re.fullmatch(r"[\w ./-]+", pipeline.directory):
        raise CkfuncError(
            f"a pipeline cannot use the directory {pipeline.directory!r}",
            hint="use only letters, digits, spaces, dots, - and _ in names of directories",
        )
    if not re.fullmatch(r"[\w./-]+", pipeline.branch):
        raise UsageProblem(
            f"a pipeline cannot use the branch {pipeline.branch!r}",
            hint="choose a branch with --branch NAME, with only letters, digits, dots, /, - and _ in its name",
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
        mark=MARK,
        install=f'"{pipeline.install}"',
        directory=pipeline.directory,
        prefix="" if pipeline.directory == "." else f"{pipeline.directory}/",
        secrets=pipeline.secrets,
        manual=pipeline.manual,
    )


def write_pipeline(top: Path, system: str, pipeline: Pipeline, *, force: bool = False) -> tuple[Written, ...]:
    """Write the pipeline below `top`, the top of the repository. Raises FilesExist, CannotWrite."""
    return write_all(top, {FILES[system]: pipeline_text(system, pipeline)}, force=force)


def deployed_branch(top: Path) -> str:
    """Return the branch to deploy from: the remote's default branch.

    Without a remote, it is a branch with a usual name, or the current branch, or git's default.
    """
    remote = _git(top, "symbolic-ref", "--short", "refs/remotes/origin/HEAD")
    if remote:
        return remote.removeprefix("origin/")
    configured = _git(top, "config", "--get", "init.defaultBranch")
    branches = _git(top, "for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()
    for name in (configured, *_USUAL_BRANCHES):
        if name in branches:
            return name
    return _git(top, "symbolic-ref", "--short", "HEAD") or configured or _USUAL_BRANCHES[0]


def _git(top: Path, *arguments: str) -> str:
    try:
        return git(top, *arguments).decode("utf-8", "replace").strip()
    except (GitMissing, GitRefused):
        return ""


def installed_from() -> str | None:
    """Return the requirement with which pip installs this ckfunc on another machine; None if there is none.

    Source: PEP 610, direct_url.json. A distribution from the package index has no such file.
    """
    try:
        text = importlib.metadata.distribution("ckfunc").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    if text is None:
        return f"ckfunc=={__version__}"
    origin = json.loads(text)
    url, vcs = str(origin.get("url", "")), origin.get("vcs_info")
    if vcs:
        return f"{vcs['vcs']}+{_public(url)}@{vcs['commit_id']}"
    if urlsplit(url).scheme == "file":
        return _checkout(Path(url2pathname(unquote(urlsplit(url).path))))
    return _public(url)


def _checkout(directory: Path) -> str | None:
    """Return the requirement for the current commit of a checkout, or None if it has no remote."""
    remote, commit = _git(directory, "remote", "get-url", "origin"), _git(directory, "rev-parse", "HEAD")
    if urlsplit(remote).scheme not in {"https", "ssh"} or not commit:
        return None
    return f"git+{_public(remote)}@{commit}"


def _public(url: str) -> str:
    """Return a URL without user name, password and token."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2] if parts.scheme == "https" else parts.netloc
    return urlunsplit(parts._replace(netloc=host))


def next_steps(system: str, pipeline: Pipeline) -> Iterable[str]:
    """Return the steps that set up the CI system for the pipeline."""
    names = ", ".join(pipeline.secrets)
    if system == "github":
        yield f"Add these repository secrets: {names}"
        yield f'To approve each deploy, add required reviewers to the environment "{pipeline.target}"'
    else:
        yield f'Add these masked CI/CD variables, with the environment scope "{pipeline.target}": {names}'
        yield "Add a nightly schedule under Build > Pipeline schedules; without it, drift is not detected"
        if pipeline.manual:
            yield f"The target {pipeline.target} is protected: start `ckfunc deploy` manually after you read the plan"
