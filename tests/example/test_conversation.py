"""The conversation of the example project: deterministic, and sensitive to changes of handlers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from support.terminals import plain_text

from ckfunc.cli.app import App
from ckfunc.testing.rendering import failure_lines, json_of
from ckfunc.testing.running import CaseOptions, CaseResults, run_tests, working_copy

EXAMPLE = Path(__file__).parent.parent.parent / "example-project"
CONVERSATION = "tests/support-desk.yaml"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns(".ckfunc", ".env", "node_modules")
    return Path(shutil.copytree(EXAMPLE, tmp_path / "project", ignore=ignored))


def results_of(root: Path, paths: list[Path], jobs: int = 1) -> CaseResults:
    with App({}) as app:
        app.settings.directory = root
        return run_tests(
            working_copy(root, None, {}, app.workspace.bundler()), app.toolchain(), CaseOptions(paths, jobs=jobs)
        )


def outcome(results: CaseResults) -> list[Any]:
    """Return everything about the steps except for durations."""
    cases = json_of(results.results, results.tally, 0.0)["cases"]
    for case in cases:
        for step in case["steps"]:
            for run in step["functions"]:
                del run["durationMs"]
    return [(case["verdict"], case["steps"]) for case in cases]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_conversation_has_the_same_result_50_times_serially_and_in_parallel(project: Path) -> None:
    text = (project / CONVERSATION).read_text(encoding="utf-8")
    copies = [project / "tests" / f"copy-{number}.yaml" for number in range(50)]
    for copy in copies:
        copy.write_text(text, encoding="utf-8")
    (first, *others) = outcome(results_of(project, copies))
    assert first[0] == "passed"
    assert all(other == first for other in others)
    assert all(other == first for other in outcome(results_of(project, copies, jobs=4)))


CHANGES = {
    "start-session": ("username, isNew, channel: channel.id", "username, channel: channel.id", "connects"),
    "answer-message": ("You will hear from us in", "We write in", "/remind 2h"),
    "log-notification": ('"by mail"', '"by phone"', "Is anybody there?"),
}


@pytest.mark.slow
@pytest.mark.parametrize("handler", CHANGES)
def test_a_changed_handler_fails_the_step_that_depends_on_it(project: Path, handler: str) -> None:
    before, after, act = CHANGES[handler]
    file = project / "handlers" / f"{handler}.ts"
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1
    file.write_text(text.replace(before, after), encoding="utf-8")
    (result,) = results_of(project, [project / CONVERSATION]).results
    assert result.bad and result.observed is not None
    report = plain_text(failure_lines(result))
    last = result.observed.steps[-1].step
    source = (project / CONVERSATION).read_text(encoding="utf-8").splitlines()
    assert act in source[last.line] + source[last.line - 1]
    assert f"  ✗ step {len(result.observed.steps)}, line {last.line}: " in report
    shown = {"start-session": '"isNew": true', "answer-message": "We write in", "log-notification": "by phone"}
    assert shown[handler] in report
    assert max(map(len, report.splitlines())) <= 80
