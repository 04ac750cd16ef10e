"""Pipelines for CI systems, and the plan as a comment."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.application import RemoteApplication
from support.loopback import Reply, Request, serve
from support.pipelines import FILES, PipelineRunner
from support.reports import code_quality_errors, junit_errors

import ckfunc as ckfunc_package
from ckfunc import __version__
from ckfunc.base.annotations import MARK
from ckfunc.cli.main import COMMANDS
from ckfunc.model.application import ApplicationSettings
from ckfunc.scaffold.ci import _checkout as installed_checkout

MANIFEST = """\
version: 1
runtime:
  environment: {OPENAI_API_KEY: "${OPENAI_API_KEY}", GREETING: "Hello ${NAME}"}
functions:
  user.attempted.start_session:
    handler: handlers/start.ts
targets:
  local: {emulator: true}
  live: {application: "${CHATKITTY_APPLICATION}"}
"""


def pipeline(ckfunc: Callable[..., Any], project: Path, system: str, *options: str) -> str:
    (project / "functions.yaml").write_text(MANIFEST)
    ran = ckfunc("-C", project, "init", "--ci", system, *options)
    assert ran.code == 0, ran.err
    return (project / FILES[system]).read_text(encoding="utf-8")


def commands_of(text: str) -> list[list[str]]:
    return [found.split() for found in re.findall(r"^[ -]*(?:run: )?ckfunc (.+)$", text, re.MULTILINE)]


@pytest.mark.parametrize("system", FILES)
def test_a_pipeline_checks_tests_plans_deploys_and_detects_drift(
    ckfunc: Callable[..., Any], project: Path, system: str
) -> None:
    (project / "functions.yaml").write_text(MANIFEST)
    ran = ckfunc("-C", project, "init", "--ci", system, "--install", "ckfunc==9.9")
    assert ran.code == 0, ran.err
    assert "warning" not in ran.err
    text = (project / FILES[system]).read_text(encoding="utf-8")
    assert yaml.safe_load(text)
    assert MARK in text
    lines = [" ".join(line) for line in commands_of(text)]
    for wanted in (
        "check --target live",
        "test --junit junit.xml",
        "diff --target live --markdown > plan.md",
        "deploy --plan plan.json --yes",
        "diff --target live --exit-code",
    ):
        assert any(line.startswith(wanted) for line in lines), wanted
    assert any(line.startswith("diff --target live") and "--out plan.json" in line for line in lines)
    assert {line.split()[0] for line in lines if not line.endswith(":")} <= set(COMMANDS)
    for name in ("OPENAI_API_KEY", "NAME", "CHATKITTY_CLIENT_SECRET", "CHATKITTY_APPLICATION"):
        assert name in text
    assert 'pip install "ckfunc==9.9"' in text.replace("--quiet ", "")
    assert not (project / "tsconfig.json").exists()
    again = ckfunc("-C", project, "init", "--ci", system, "--install", "ckfunc==9.9")
    assert again.code == 0
    assert "unchanged" in again.err


def test_only_steps_that_contact_the_application_get_secrets(ckfunc: Callable[..., Any], project: Path) -> None:
    github = yaml.safe_load(pipeline(ckfunc, project, "github"))
    assert github["permissions"] == {"contents": "read"} and "env" not in github
    for name, job in github["jobs"].items():
        assert "env" not in job
        for step in job["steps"]:
            said = step.get("run", "")
            needs = " diff " in said or " deploy " in said
            assert ("secrets." in str(step)) == needs, (name, step)
            assert "${{" not in said  # no untrusted text, such as a branch name, becomes part of a script
    assert "secrets." not in str(github["jobs"]["check"])
    assert github["jobs"]["plan"]["permissions"]["pull-requests"] == "write"
    gitlab = yaml.safe_load(pipeline(ckfunc, project, "gitlab"))
    assert "environment" not in gitlab["ckfunc check"]
    assert "unset CHATKITTY_CLIENT_ID CHATKITTY_CLIENT_SECRET" in gitlab["ckfunc check"]["script"][0]
    for job in ("plan", "prepare", "drift"):
        assert gitlab[f"ckfunc {job}"]["environment"]["name"] == "live"


def test_pull_requests_without_secrets_are_not_planned(ckfunc: Callable[..., Any], project: Path) -> None:
    jobs = yaml.safe_load(pipeline(ckfunc, project, "github"))["jobs"]
    assert "pull_request" in jobs["check"]["if"] and "fork" not in jobs["check"]["if"]
    assert "full_name" in jobs["plan"]["if"] and "dependabot[bot]" in jobs["plan"]["if"]


def scripts_of(system: str, text: str) -> dict[str, list[str]]:
    """Return the shell scripts of each job, in order."""
    document = yaml.safe_load(text)
    if system == "github":
        jobs = document["jobs"].items()
        return {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs}
    begin = document[".ckfunc"]["before_script"]
    return {
        name.removeprefix("ckfunc "): ["\n".join([*begin, *job["script"]])]
        for name, job in document.items()
        if "script" in job
    }


@pytest.mark.parametrize("system", FILES)
def test_pipeline_scripts_are_valid_shell_scripts(ckfunc: Callable[..., Any], project: Path, system: str) -> None:
    text = pipeline(ckfunc, project, system)
    for script in (script for those in scripts_of(system, text).values() for script in those):
        subprocess.run(["sh", "-n", "-c", script], check=True)
    if system == "gitlab":
        heredoc = next(line for line in yaml.safe_load(text)["ckfunc plan"]["script"] if line.startswith("python"))
        program = heredoc.partition("<<'END'\n")[2].rpartition("\nEND")[0]
        compile(program, "gitlab", "exec")


SECRETS = {"CHATKITTY_CLIENT_ID": "emulator", "CHATKITTY_CLIENT_SECRET": "emulator", "GREETING": "hello"}
HANDLER = "chat bot/handlers/user-attempted-start-session.ts"


@dataclass
class GitLabNotes:
    """GitLab's API for comments on a merge request; other requests go to the application."""

    application: RemoteApplication
    notes: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Reply:
        if not request.path.startswith("/gitlab"):
            return self.application.answer(request)
        if request.headers.get("private-token") != "the-token":
            return Reply(401, {})
        if request.method == "POST":
            self.notes.append(request.json()["body"])
        elif request.method == "PUT":
            self.notes[int(request.path.rpartition("/")[2])] = request.json()["body"]
        return Reply(body=[{"id": number, "body": body} for number, body in enumerate(self.notes)])


@pytest.fixture
def gitlab() -> GitLabNotes:
    return GitLabNotes(RemoteApplication())


@pytest.fixture
def runner(
    ckfunc: Callable[..., Any], gitlab: GitLabNotes, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[PipelineRunner]:
    """A repository with a project in a subdirectory and a pipeline for the CI system under test."""
    system = request.getfixturevalue("system")
    top = tmp_path / "repository"
    (top / ".git").mkdir(parents=True)
    where = top / "chat bot"
    assert ckfunc("-C", top, "init", "chat bot").code == 0
    (where / "functions.yaml").write_text(
        "version: 1\nruntime:\n  environment: {GREETING: '${GREETING}'}\nfunctions:\n"
        "  user.attempted.start_session: {handler: handlers/user-attempted-start-session.ts}\n"
        "settings: {guest_users: false}\n"
        "targets:\n  live: {application: 42, protected: true}\n"
    )
    assert ckfunc("-C", where, "init", "--ci", system, "--install", "ckfunc").code == 0
    shutil.rmtree(where / ".ckfunc")  # git ignores it
    with serve(gitlab.answer) as server:
        yield PipelineRunner(tmp_path, top, system, server.url)


@pytest.mark.parametrize("system", FILES)
@pytest.mark.slow
def test_a_pipeline_without_secrets_checks_and_tests_without_the_application(
    runner: PipelineRunner, gitlab: GitLabNotes, system: str
) -> None:
    checked = runner.run("check", {})
    assert checked.code == 0, checked.out + checked.err
    junit = checked.checkout / "chat bot/junit.xml"
    assert junit_errors(junit.read_text(encoding="utf-8")) == []
    if system == "github":
        assert runner.artifacts["ckfunc-tests"] == [junit]
    else:
        assert checked.reports == {"junit": junit, "codequality": checked.checkout / "chat bot/code-quality.json"}
        report = checked.reports["codequality"].read_text(encoding="utf-8")
        assert code_quality_errors(report) == []
        (warning,) = json.loads(report)
        assert warning["description"].startswith("${GREETING} has no value")
        assert warning["location"] == {"path": "chat bot/functions.yaml", "lines": {"begin": 3}}
    without = runner.run("plan", {"GREETING": "hello"})
    assert without.code == 0
    assert "No plan: these" in without.out and "CHATKITTY_CLIENT_ID CHATKITTY_CLIENT_SECRET" in without.out
    for name in ("prepare", "drift"):
        refused = runner.run(name, {**SECRETS, "GREETING": ""})
        assert refused.code == 1 and "have no value: GREETING" in refused.out
    assert gitlab.application.deployed() == {} and gitlab.notes == [] and not runner.gh_calls.exists()


@pytest.mark.parametrize("system", FILES)
@pytest.mark.slow
def test_a_pipeline_with_secrets_comments_deploys_the_plan_and_reports_drift(
    runner: PipelineRunner, gitlab: GitLabNotes, system: str
) -> None:
    application = gitlab.application
    for _ in range(2):
        planned = runner.run("plan", {**SECRETS, "CKFUNC_GITLAB_TOKEN": "the-token"})
        assert planned.code == 0, planned.err
        plan = (planned.checkout / "chat bot/plan.md").read_text(encoding="utf-8")
        assert plan.startswith(MARK) and "setting guest\\_users" in plan
    if system == "github":
        assert planned.summary == plan
        assert runner.gh_calls.read_text().splitlines()[-1] == (
            "gh api --silent -X POST repos/acme/chat/issues/7/comments -F body=@plan.md"
        )
    else:
        assert gitlab.notes == [plan]
    drifted = runner.run("drift", SECRETS)
    assert drifted.code == 3, drifted.err
    prepared = runner.run("prepare", SECRETS)
    assert prepared.code == 0, prepared.err
    assert prepared.outputs == ({"changes": "true"} if system == "github" else {})
    assert application.deployed() == {}
    refused = runner.run("deploy", {**SECRETS, "CHATKITTY_CLIENT_SECRET": ""})
    assert refused.code == 1 and "have no value: CHATKITTY_CLIENT_SECRET" in refused.out
    deployed = runner.run("deploy", SECRETS)
    assert deployed.code == 0, deployed.err
    assert list(application.deployed()) == ["user.attempted.start_session"]
    assert application.settings == ApplicationSettings(guest_users=False, user_created_channels=True)
    assert runner.run("drift", SECRETS).code == 0
    again = runner.run("prepare", SECRETS)
    assert again.code == 0 and again.outputs == {}, again.err
    assert not any("hello" in file.read_text() for files in runner.artifacts.values() for file in files)


@pytest.mark.parametrize("system", FILES)
def test_a_pipeline_reports_errors_with_their_locations(runner: PipelineRunner, tmp_path: Path, system: str) -> None:
    (tmp_path / "repository" / HANDLER).write_text("async function handleEvent() {\n  return event.;\n}\n")
    checked = runner.run("check", {})
    assert checked.code == 1
    assert "handlers/user-attempted-start-session.ts:2:16: " in checked.out
    if system == "github":
        assert f"::error file={HANDLER},title=ckfunc " in checked.err and ",line=2,col=16::" in checked.err
    else:
        report = checked.reports["codequality"].read_text(encoding="utf-8")
        assert code_quality_errors(report) == []
        assert json.loads(report)[0]["location"] == {"path": HANDLER, "lines": {"begin": 2}}


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Jane", "-c", "user.email=jane@example.com"]
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *identity, *arguments], cwd=root, env=environ, check=True, capture_output=True)


def test_a_pipeline_uses_the_default_branch_of_the_repository(
    ckfunc: Callable[..., Any], project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)

    def branches(directory: Path, *options: str) -> list[str]:
        text = pipeline(ckfunc, directory, "github", "--force", *options)
        assert yaml.safe_load(pipeline(ckfunc, directory, "gitlab", "--force", *options))
        assert f'$CI_COMMIT_BRANCH == "{branch}"' in (directory / FILES["gitlab"]).read_text()
        return yaml.safe_load(text)[True]["push"]["branches"]  # type: ignore[no-any-return]

    git(project, "init", "-q", "-b", branch := "develop")
    assert branches(project) == [branch]
    git(project, "add", "functions.yaml")
    git(project, "commit", "-qm", "first")
    git(project, "branch", branch := "master")
    assert branches(project) == [branch]  # a common default name wins over the current branch
    git(project, "branch", branch := "release/2")
    git(project, "clone", "-q", "-b", branch, ".", str(tmp_path / "clone"))
    git(project, "checkout", "-q", branch)
    git(tmp_path / "clone", "remote", "set-head", "origin", branch)
    git(tmp_path / "clone", "checkout", "-q", "-b", "feature")
    assert branches(tmp_path / "clone") == [branch]
    branch = "production"
    assert branches(project, "--branch", branch) == [branch]
    refused = ckfunc("-C", project, "init", "--ci", "github", "--force", "--branch", 'a"b')
    assert refused.code == 2 and "--branch" in refused.err
    assert ckfunc("-C", project, "init", "--branch", "main").code == 2


@pytest.mark.parametrize(
    ("direct_url", "expected"),
    [
        (None, f"ckfunc=={__version__}"),
        (
            {"url": "https://me:token@git.example/acme/ckfunc.git", "vcs_info": {"vcs": "git", "commit_id": "abc123"}},
            "git+https://git.example/acme/ckfunc.git@abc123",
        ),
        (
            {"url": "https://files.example/ckfunc-0.1.0.whl", "archive_info": {}},
            "https://files.example/ckfunc-0.1.0.whl",
        ),
        ({"url": "file:///nowhere/ckfunc", "dir_info": {"editable": True}}, None),
    ],
)
def test_a_pipeline_installs_ckfunc_from_the_same_source(
    tmp_path: Path, direct_url: dict[str, Any] | None, expected: str | None
) -> None:
    metadata = tmp_path / f"ckfunc-{__version__}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ckfunc\nVersion: {__version__}\n")
    if direct_url is not None:
        (metadata / "direct_url.json").write_text(json.dumps(direct_url))
    program = "from ckfunc.scaffold.ci import installed_from; print(installed_from())"
    package = Path(ckfunc_package.__file__).parents[1]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(package)])}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(expected)


def test_a_checkout_with_a_remote_is_installed_from_the_remote(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("x")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    assert installed_checkout(tmp_path) is None
    git(tmp_path, "remote", "add", "origin", "https://me:token@git.example/acme/ckfunc.git")
    found = installed_checkout(tmp_path)
    assert found is not None and re.fullmatch(r"git\+https://git\.example/acme/ckfunc\.git@[0-9a-f]{40}", found)


def test_remaining_setup_steps_are_listed(ckfunc: Callable[..., Any], project: Path) -> None:
    (project / "functions.yaml").write_text(MANIFEST)
    github = ckfunc("-C", project, "init", "--ci", "github").err
    assert "CHATKITTY_CLIENT_ID, CHATKITTY_CLIENT_SECRET, CHATKITTY_APPLICATION, NAME, OPENAI_API_KEY" in github
    gitlab = ckfunc("-C", project, "init", "--ci", "gitlab").err
    assert "Pipeline schedules" in gitlab and 'environment scope "live"' in gitlab


def test_a_pipeline_in_a_repository_subdirectory_uses_the_project_path(
    ckfunc: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / ".git").mkdir()
    ran = ckfunc("-C", tmp_path, "init", "chat/support", "--ci", "github")
    assert ran.code == 0, ran.err
    assert "no target 'production'" in ran.err
    assert (tmp_path / "chat/support/functions.yaml").is_file()
    found = yaml.safe_load((tmp_path / ".github/workflows/ckfunc.yml").read_text(encoding="utf-8"))
    assert found["defaults"]["run"]["working-directory"] == "chat/support"
    uploads = [step["with"] for step in found["jobs"]["prepare"]["steps"] if "upload" in str(step.get("uses"))]
    assert uploads[0]["path"] == "chat/support/plan.json"
    assert "'chat/support/functions.yaml'" in str(found["jobs"]["check"]["steps"])


def test_an_existing_pipeline_is_not_overwritten(ckfunc: Callable[..., Any], project: Path) -> None:
    (project / ".gitlab-ci.yml").write_text("mine: {}\n")
    ran = ckfunc("-C", project, "init", "--ci", "gitlab")
    assert ran.code == 1
    assert ".gitlab-ci.yml already exists" in ran.err
    assert (project / ".gitlab-ci.yml").read_text() == "mine: {}\n"
    odd = project / "it's"
    odd.mkdir()
    (project / ".git").mkdir()
    (odd / "functions.yaml").write_text(MANIFEST)
    assert "a pipeline cannot use the directory" in ckfunc("-C", odd, "init", "--ci", "github").err


def test_a_plan_can_be_printed_as_a_markdown_comment(ckfunc: Callable[..., Any], project: Path) -> None:
    local = ("-C", project, "--target", "local")
    ran = ckfunc(*local, "diff", "--markdown", "--exit-code")
    assert ran.code == 3
    assert ran.out.startswith(f"{MARK}\n### ckfunc: local")
    assert "new function, v1" in ran.out
    assert "```diff\n" in ran.out
    assert ckfunc(*local, "--json", "diff", "--markdown").code == 2
    assert ckfunc(*local, "diff", "user.sent.message@1", "--markdown").code == 2
