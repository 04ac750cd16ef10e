"""Plans as Markdown comments: masked, escaped, and limited in length."""

from __future__ import annotations

import re

from deploy.world import World

from ckfunc.base.annotations import MARK
from ckfunc.deploy.show.documents import plan_markdown

START, SENT = "user.attempted.start_session", "user.sent.message"


def test_every_change_is_a_table_row_and_every_script_diff_is_collapsed(here: World) -> None:
    here.application.add(START, "old\n")
    here.application.dependencies = {"gone": "^1.0.0", "ms": "^2.0.0"}
    here.application.environment = {"KEY": "the-old-canary", "GONE": "the-gone-canary"}
    plan = here.plan(
        here.project(
            {START: "new\n", SENT: "first\n"},
            dependencies={"ms": "^2.1.0"},
            environment={"KEY": "the-new-canary"},
            script="init\n",
        )
    )
    text = plan_markdown(plan)
    assert text.startswith(f"{MARK}\n### ckfunc: staging")
    assert "canary" not in text
    assert "v1 → v2" in text and "new function, v1" in text
    assert "**2 values will be removed**" in text
    assert "```diff\n--- deployed\n+++ handlers/user.attempted.start_session.ts\n@@ -1 +1 @@\n-old\n+new\n```" in text
    assert text.count("<details>") == text.count("</details>") == 3
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 1 + len(plan.changes)


def test_a_plan_without_changes_is_one_sentence(here: World) -> None:
    here.application.add(START, "same\n")
    text = plan_markdown(here.plan(here.project({START: "same\n"})))
    assert "**No changes.**" in text
    assert "|" not in text


def test_remote_text_cannot_inject_markdown(here: World) -> None:
    script = "```\n</details> @everyone\n````\n\x1b[31m\n"
    here.application.add("x.y|z @team <b>[link](https://evil.example)", "v1")
    here.application.dependencies = {}
    text = plan_markdown(here.plan(here.project({START: script}, dependencies={"a|b": "<img src=x>\n@team"})))
    assert "`````diff\n" in text
    assert "\x1b" not in text
    outside = text.partition("<details>")[0]
    assert "@team" not in outside
    assert re.findall(r"(?<!\\)[<\[\]]", outside.removeprefix(MARK)) == []
    assert "a\\|b" in outside


def test_source_diffs_too_long_for_a_comment_are_omitted_with_a_note(here: World) -> None:
    handlers = {f"own.type_{number}": f"// {number}\n" * 200 for number in range(20)}
    plan = here.plan(here.project(handlers))
    text = plan_markdown(plan, limit=8_000)
    assert len(text) < 8_200
    assert "source diffs are left out" in text
    assert text.count("<details>") == text.count("</details>")
    assert "too long for a comment" in plan_markdown(plan, limit=300)
