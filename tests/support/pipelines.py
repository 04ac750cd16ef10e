"""Jobs of CI pipelines, each run by a shell in a fresh checkout."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ckfunc.base.files import cache_dir
from ckfunc.runtime.node import bare_environment

FILES = {"github": ".github/workflows/ckfunc.yml", "gitlab": ".gitlab-ci.yml"}
GITHUB_VALUES = {"github.token": "the-token", "github.event.pull_request.number": "7"}
PROGRAMS = {
    "ckfunc": f'exec {shlex.quote(sys.executable)} -m ckfunc "$@"',
    "python": f'exec {shlex.quote(sys.executable)} "$@"',
    "pip": "exit 0",
    "gh": 'echo "gh $*" >> "$GH_CALLS"',
}


@dataclass
class JobRun:
    """A job that has run. `outputs` are those of all its steps, `reports` the paths of a GitLab job's reports."""

    checkout: Path
    code: int = 0
    out: str = ""
    err: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    reports: dict[str, Path] = field(default_factory=dict)
    summary: str = ""


class PipelineRunner:
    """Runs the jobs of the pipeline in a repository. Artifacts of earlier jobs are passed on to later ones."""

    def __init__(self, directory: Path, repository: Path, system: str, url: str) -> None:
        self.system = system
        self.artifacts: dict[str, list[Path]] = {}
        self.gh_calls = directory / "gh-calls"
        self._directory = directory
        self._repository = repository
        self._url = url
        self._number = 0
        self._document: dict[str, Any] = yaml.safe_load((repository / FILES[system]).read_text(encoding="utf-8"))
        (directory / "bin").mkdir()
        for name, body in PROGRAMS.items():
            (directory / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
            (directory / "bin" / name).chmod(0o755)

    def run(self, name: str, secrets: Mapping[str, str]) -> JobRun:
        """Run a job to its end or its first failure."""
        self._number += 1
        place = self._directory / f"job-{self._number}"
        shutil.copytree(self._repository, place / "checkout")
        (place / "home").mkdir()
        run = JobRun(place / "checkout")
        if self.system == "github":
            self._github(run, self._document["jobs"][name], secrets)
        else:
            self._gitlab(run, name, secrets)
        return run

    def _github(self, run: JobRun, job: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        directory = self._document.get("defaults", {"run": {"working-directory": "."}})["run"]["working-directory"]
        output, summary = run.checkout.parent / "output", run.checkout.parent / "summary"
        paths = {"GITHUB_OUTPUT": output, "GITHUB_STEP_SUMMARY": summary, "GITHUB_WORKSPACE": run.checkout}
        environ = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/chat", **{k: str(v) for k, v in paths.items()}}
        output.touch()
        summary.touch()
        for step in job["steps"]:
            if not _is_due(step.get("if"), run):
                continue
            values = {**GITHUB_VALUES, **{f"secrets.{name}": value for name, value in secrets.items()}}
            own = {name: values.get(_expression(text), "") for name, text in step.get("env", {}).items()}
            if "run" in step:
                self._shell(run, step["run"], run.checkout / directory, {**environ, **own})
                run.outputs |= dict(line.split("=", 1) for line in output.read_text().splitlines())
            elif "upload-artifact" in step["uses"]:
                file = run.checkout / step["with"]["path"]
                assert file.exists() or step["with"]["if-no-files-found"] == "ignore", file
                self.artifacts[step["with"]["name"]] = [file]
            elif "download-artifact" in step["uses"]:
                for file in self.artifacts[step["with"]["name"]]:
                    shutil.copy(file, run.checkout / step["with"]["path"])
        run.summary = summary.read_text(encoding="utf-8")

    def _gitlab(self, run: JobRun, name: str, secrets: Mapping[str, str]) -> None:
        job = {**self._document[".ckfunc"], **self._document[f"ckfunc {name}"]}
        for needed in job.get("needs", ()):
            for path in self._document[needed].get("artifacts", {}).get("paths", ()):
                (file,) = self.artifacts[f"{needed} {path}"]
                shutil.copy(file, run.checkout / path)
        environ = {
            "GITLAB_CI": "true",
            "CI_PROJECT_DIR": str(run.checkout),
            "CI_API_V4_URL": f"{self._url}/gitlab",
            "CI_PROJECT_ID": "1",
            "CI_MERGE_REQUEST_IID": "7",
        }
        script = "\n".join([*job["before_script"], *job["script"]])
        self._shell(run, script, run.checkout, {**environ, **secrets})
        artifacts = job.get("artifacts", {})
        run.reports = {kind: run.checkout / path for kind, path in artifacts.get("reports", {}).items()}
        for path in artifacts.get("paths", ()):
            self.artifacts[f"ckfunc {name} {path}"] = [run.checkout / path]

    def _shell(self, run: JobRun, script: str, directory: Path, environ: Mapping[str, str]) -> None:
        """Run a script in a new shell that stops at the first failure."""
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=directory,
            env={
                **bare_environment(),
                "PATH": f"{self._directory / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(run.checkout.parent / "home"),
                "CI": "true",
                "CKFUNC_CACHE_DIR": str(cache_dir()),
                "CHATKITTY_API_URL": self._url,
                "CHATKITTY_AUTHORIZATION_URL": f"{self._url}/oauth/token",
                "GH_CALLS": str(self.gh_calls),
                **environ,
            },
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        run.code, run.out, run.err = done.returncode, run.out + done.stdout, run.err + done.stderr


def _is_due(condition: str | None, run: JobRun) -> bool:
    """Return whether a step of a GitHub job runs."""
    if condition == "always()":
        return True
    wanted = re.fullmatch(r"steps\.plan\.outputs\.(\w+) == '(\w+)'", condition) if condition else None
    assert condition is None or wanted is not None, condition
    return run.code == 0 and (wanted is None or run.outputs.get(wanted[1]) == wanted[2])


def _expression(text: str) -> str:
    found = re.fullmatch(r"\$\{\{ (.+) \}\}", text)
    assert found is not None, text
    return found[1]
