"""`ckfunc test --coverage` and `--shard`, and `ckfunc test merge`, with real handlers in real Node."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ckfunc = Callable[..., Any]

MANIFEST = """\
version: 1
runtime: {initialization_script: init.ts}
functions:
  user.attempted.start_session: {handler: handlers/start.ts}
  user.sent.message: {handler: handlers/answer.ts}
  user.received.notification: {handler: handlers/unused.ts}
targets:
  local: {emulator: true}
"""

START = """\
// Comments are not counted.
import { shout } from "./lib/words";

interface Params { code?: string }

export async function handleEvent(event: any, context: any) {
  const params: Params = event.authParams;
  if (params.code === "1") {
    throw new Error(shout("denied"));
  }
  const 𝒳 = await context.ChatKitty.Users.listUsers().then(
    () => "found",
    (error: Error) => {
      throw error;
    },
  );
  console.log(params.code ? "with a code" : "without");
  return { 𝒳 };
}
"""

ANSWER = """\
import { whisper } from "./lib/words";
async function handleEvent(event: any, context: any) {
  switch (event.message.body) {
    case "loud": return 1;
    case "low":
      return whisper(event.message.body);
  }
  for (const word of ["a", "b"]) console.log(word, tone);
  if (event.message.body === "forever") while (true) {}
  return null;
}
"""

WORDS = """\
export function shout(text: string): string {
  return text.toUpperCase();
}

export const whisper = (text: string) =>
  text.toLowerCase();
"""

UNUSED = """\
import limits from "./lib/limits.json";
async function handleEvent(event: any) {
  return limits.length;
}
"""

CASES = """\
cases:
  - name: denied
    type: user.attempted.start_session
    event: {username: ann, authParams: {code: "1"}}
    expect: {error: DENIED}
  - name: answered
    type: user.sent.message
    sample: true
    expect: {result: null}
  - name: in a conversation
    data: {channels: [{name: desk}]}
    conversation:
      - {user: ann, connects: {code: "2"}}
      - {user: ann, joins: desk}
      - {user: ann, says: low}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    files = {
        "functions.yaml": MANIFEST,
        "init.ts": "exports.tone = 'low';\n",
        "handlers/start.ts": START,
        "handlers/answer.ts": ANSWER,
        "handlers/unused.ts": UNUSED,
        "handlers/lib/words.ts": WORDS,
        "handlers/lib/limits.json": "[1, 2]",
        "tests/all.yaml": CASES,
    }
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def lines_of(lcov: str) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for record in lcov.splitlines():
        kind, _, value = record.partition(":")
        if kind == "SF":
            lines = found[value] = {}
        elif kind == "DA":
            line, _, count = value.partition(",")
            lines[int(line)] = int(count)
    return found


def test_line_coverage_is_reported_for_the_users_files(ckfunc: Ckfunc, root: Path) -> None:
    ran = ckfunc("-C", root, "test", "--coverage", "--jobs", 2)
    assert ran.code == 0, ran.out + ran.err
    lines = lines_of((root / "coverage/lcov.info").read_text(encoding="utf-8"))
    assert list(lines) == [
        "handlers/answer.ts",
        "handlers/lib/words.ts",
        "handlers/start.ts",
        "handlers/unused.ts",
        "init.ts",
    ]
    # Code after an early return is not covered, although V8 reports the conditional expression as executed.
    assert lines["handlers/start.ts"] == {7: 2, 8: 2, 9: 1, 11: 1, 12: 1, 14: 0, 17: 1, 18: 1}
    assert lines["handlers/answer.ts"] == {3: 2, 4: 0, 6: 1, 8: 2, 9: 1, 10: 1}
    assert lines["handlers/lib/words.ts"] == {2: 1, 5: 2, 6: 1}
    assert lines["handlers/unused.ts"] == {3: 0}
    assert ran.out.splitlines()[-10:-1] == [
        "",
        "file                   lines  covered  uncovered lines",
        "handlers/answer.ts     5/6    83.3%    4",
        "handlers/lib/words.ts  3/3    100.0%",
        "handlers/start.ts      7/8    87.5%    14",
        "handlers/unused.ts     0/1    0.0%     3",
        "init.ts                1/1    100.0%",
        "total                  16/19  84.2%",
        "",
    ]


@pytest.mark.slow
def test_coverage_below_the_threshold_fails(ckfunc: Ckfunc, root: Path, tmp_path: Path) -> None:
    report = tmp_path / "reports/lcov.info"
    ran = ckfunc("-C", root, "test", "--lcov", report, "--coverage-threshold", "85", "--json")
    assert ran.code == 1
    assert ran.err.splitlines() == [
        "error: line coverage is 84.2%, below the threshold of 85%",
        "hint: add cases that run the uncovered lines",
    ]
    document = json.loads(ran.out)
    assert document["ok"]
    assert [document["coverage"][name] for name in ("lines", "covered", "percent")] == [19, 16, 84.2]
    assert document["coverage"]["files"][0] == {
        "file": "handlers/answer.ts",
        "lines": 6,
        "covered": 5,
        "percent": 83.3,
        "uncovered": [[4, 4]],
    }
    assert report.exists()
    assert not (root / "coverage").exists()
    assert ckfunc("-C", root, "test", "--coverage-threshold", "84.2").code == 0
    for wrong in ("101", "nan"):
        ran = ckfunc("-C", root, "test", "--coverage-threshold", wrong)
        assert (ran.code, "--coverage-threshold must be a number from 0 to 100" in ran.err) == (2, True)


@pytest.mark.slow
def test_merged_reports_of_shards_equal_the_whole_run(ckfunc: Ckfunc, root: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        reports = ("--junit", tmp_path / f"{number}.xml", "--lcov", tmp_path / f"{number}.info")
        ran = ckfunc("-C", root, "test", "--shard", f"{number}/2", *reports)
        assert ran.code == 0, ran.out + ran.err
        assert ran.out.endswith(f" (shard {number}/2 of 3 cases)\n")
    shards = [tmp_path / name for name in ("1.xml", "2.xml", "1.info", "2.info")]
    whole = ("--junit", tmp_path / "all.xml", "--lcov", tmp_path / "all.info")
    ran = ckfunc("-C", tmp_path, "test", "merge", *shards, *whole, "--coverage-threshold", "84.2")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[6] == "total                  16/19  84.2%"
    assert ran.out.splitlines()[-1].startswith("3 passed in ")
    lines = lines_of((tmp_path / "all.info").read_text(encoding="utf-8"))
    assert lines["handlers/answer.ts"] == {3: 2, 4: 0, 6: 1, 8: 2, 9: 1, 10: 1}
    ran = ckfunc("-C", tmp_path, "test", "merge", *shards, *whole, "--coverage-threshold", "90", "--json")
    assert ran.code == 1
    assert ran.err.startswith("error: line coverage is 84.2%, below the threshold of 90%\n")
    document = json.loads(ran.out)
    assert [document["passed"], document["failed"], document["coverage"]["covered"]] == [3, 0, 16]
    empty = ckfunc("-C", root, "test", "--shard", "4/4")
    assert (empty.code, empty.out.strip().startswith("no cases in ")) == (0, True)
    balanced = ckfunc("-C", root, "test", "--shard", "4/4", "--durations", tmp_path / "all.xml", "--json")
    assert balanced.code == 0
    assert json.loads(balanced.out)["shard"] == {"shard": "4/4", "cases": 3}
    assert json.loads(balanced.out)["cases"] == []


def test_invalid_merges_are_explained(ckfunc: Ckfunc, root: Path, tmp_path: Path) -> None:
    report, lcov, other = (tmp_path / name for name in ("a.xml", "a.info", "missing.xml"))
    report.write_text('<testsuites name="ckfunc shard 1/2 of 3 cases"/>', encoding="utf-8")
    lcov.write_text("", encoding="utf-8")
    for args, code, message in (
        ([report], 2, "--junit FILE is missing"),
        ([lcov], 2, "--lcov FILE is missing"),
        ([lcov, "--lcov", "b", "--junit", "c"], 2, "there are no JUnit reports to merge"),
        ([report, "--junit", "b", "--coverage-threshold", "8"], 2, "there are no lcov files to merge"),
        ([report, "--junit", "b"], 1, "no report of shard 2/2"),
        ([other, "--junit", "b"], 1, f"{other} does not exist"),
    ):
        ran = ckfunc("-C", tmp_path, "test", "merge", *args)
        assert (ran.code, ran.err.splitlines()[0]) == (code, f"error: {message}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.info", "a.xml", "project"]
    (root / "tests/all.yaml").write_text(CASES.replace("- name: denied", "- only: true\n    name: denied"))
    ran = ckfunc("-C", root, "test", "--shard", "1/2")
    assert ran.code == 1
    assert "the case 'denied' has `only`, which is not allowed in shards" in ran.err
