"""Output of plans and reports."""

from __future__ import annotations

import json

import pytest
from deploy.world import World
from support.terminals import plain_text

from ckfunc.base.text import MOST_DIFF_LINES, STYLES, Line, line_count, unified
from ckfunc.deploy.apply.report import DeployReport, Ending, Item, ItemState
from ckfunc.deploy.show.documents import plan_json
from ckfunc.deploy.show.text import plan_lines, plan_summary, report_lines, report_summary

SENT = "user.sent.message"
READ = "user.read.message"


def shown(lines: list[Line]) -> str:
    assert {segment.style for line in lines for segment in line} <= set(STYLES)
    text = plain_text(lines)
    assert all(line == line.rstrip() for line in text.splitlines() if line.strip())
    return text


def test_a_plan_shows_and_counts_every_change_with_its_diff(here: World) -> None:
    here.application.add(SENT, *(f"one\ntwo {number}\n" for number in range(34)))
    here.application.add("call.ended", "x\n")
    here.application.dependencies = {"lodash": "3.0.0", "gone": "1.0.0"}
    here.application.script = "old\n"
    project = here.project(
        {SENT: "one\n2\n", READ: "a\nb\n"}, dependencies={"lodash": "4.0.0", "new": "^1"}, script="new\n"
    )
    plan = here.plan(project)
    assert shown(plan_lines(plan)) == (
        "  - dependency gone    will be removed, currently 1.0.0\n"
        "  ~ dependency lodash  3.0.0 → 4.0.0\n"
        "  + dependency new     ^1\n"
        "  ~ init script        init.ts\n"
        "    --- deployed\n"
        "    +++ init.ts\n"
        "    @@ -1 +1 @@\n"
        "    -old\n"
        "    +new\n"
        "\n"
        "  + user.read.message  new, v1  handlers/user.read.message.ts\n"
        "    2 lines\n"
        "\n"
        "  ~ user.sent.message  v34 → v35  handlers/user.sent.message.ts\n"
        "    --- deployed v34\n"
        "    +++ handlers/user.sent.message.ts\n"
        "    @@ -1,2 +1,2 @@\n"
        "     one\n"
        "    -two 33\n"
        "    +2\n"
        "\n"
        "  ? call.ended: not in functions.yaml, left alone\n"
        "\n"
        "Plan: 2 to create, 3 to update, 1 to remove, 0 unchanged.\n"
    )


def test_a_plan_without_changes_says_so(here: World) -> None:
    plan = here.plan(here.project({}))
    assert shown(plan_lines(plan)) == "No changes.\n" and plan_summary(plan) == "No changes."


def test_a_name_with_a_line_break_cannot_add_lines_to_a_plan(here: World) -> None:
    here.application.add("call.ended\nPlan: 1 to remove", "x\n")
    assert shown(plan_lines(here.plan(here.project({})))) == (
        "  ? call.ended Plan: 1 to remove: not in functions.yaml, left alone\n\nNo changes.\n"
    )


def test_environment_values_are_masked_and_equal_values_have_equal_masks(here: World) -> None:
    here.application.environment = {"CHANGED": "canary-old", "GONE": "canary-gone"}
    plan = here.plan(here.project(environment={"CHANGED": "canary-new", "ADDED": "canary-gone"}))
    lines = shown(plan_lines(plan)).splitlines()
    document = plan_json(plan)
    for form in ("\n".join(lines), json.dumps(document), repr(plan)):
        assert "canary" not in form
    assert lines[0].startswith("  + variable ADDED    •••• ")
    assert " → •••• " in lines[1]
    assert lines[2].startswith("  - variable GONE     will be removed, currently •••• ")
    added, changed, gone = document["changes"]
    assert added["after"] == gone["before"] and changed["before"] != changed["after"]
    assert added["before"] is None and gone["after"] is None


def test_a_plan_as_json_contains_diffs_and_versions(here: World) -> None:
    here.application.add(SENT, "a\n")
    here.application.add("call.ended", "x\n", enabled=False)
    plan = here.plan(here.project({SENT: "b\n", READ: "c"}, environment={}))
    document = json.loads(json.dumps(plan_json(plan)))
    assert document["target"] == "staging" and document["application"] == 42
    assert document["summary"] == {"create": 1, "update": 1, "remove": 0, "unchanged": 0, "unmanaged": 1}
    assert document["changes"] == [
        {
            "kind": "functions",
            "name": READ,
            "action": "create",
            "old_version": None,
            "new_version": 1,
            "path": f"handlers/{READ}.ts",
            "diff": f"--- nothing\n+++ handlers/{READ}.ts\n@@ -0,0 +1 @@\n+c\n\\ No newline at end of file\n",
        },
        {
            "kind": "functions",
            "name": SENT,
            "action": "update",
            "old_version": 1,
            "new_version": 2,
            "path": f"handlers/{SENT}.ts",
            "diff": f"--- deployed v1\n+++ handlers/{SENT}.ts\n@@ -1 +1 @@\n-a\n+b\n",
        },
    ]
    assert document["unmanaged"] == [{"kind": "functions", "name": "call.ended"}]


def test_a_removed_init_script_is_shown_as_a_removal(here: World) -> None:
    here.application.script = "old\n"
    text = shown(plan_lines(here.plan(here.project(script=""))))
    assert text.startswith("  - init script  will be removed\n    --- deployed\n    +++ nothing\n")
    assert text.endswith("Plan: 1 to remove, 0 unchanged.\n")


def test_control_characters_in_remote_text_are_removed(here: World) -> None:
    here.application.add(SENT, "a\x1b]0;title\x07\x1b[2J\n")
    here.application.add("odd\x1b[31m.type", "x\n")
    here.application.dependencies = {"pkg\x1b[0m\nx": "\x9b31m1"}
    plan = here.plan(here.project({SENT: "b\n"}, dependencies={}))
    text = shown(plan_lines(plan))
    assert not set(text) & {"\x1b", "\x07", "\x9b"} and "    -a\n" in text and "odd.type" in text
    assert "\x1b" not in json.dumps(plan_json(plan), ensure_ascii=False)
    report = here.deploy(here.project({SENT: "b\n"}, dependencies={}))
    assert "\x1b" not in shown(report_lines(report)) + json.dumps(report.to_json(), ensure_ascii=False)


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("a\n", "a\n", []),
        ("a\n", "a", ["@@ -1 +1 @@", "-a", "+a", "\\ No newline at end of file"]),
        ("", "a\n", ["@@ -0,0 +1 @@", "+a"]),
        ("a\x0cb\n", "a\x0cc\n", ["@@ -1 +1 @@", "-a\x0cb", "+a\x0cc"]),
    ],
)
def test_source_diffs_follow_diff_u(before: str, after: str, lines: list[str]) -> None:
    assert list(unified(before, after, "x", "y"))[2:] == lines


def test_a_very_long_script_is_not_compared_line_by_line() -> None:
    long = "x\n" * (MOST_DIFF_LINES + 1)
    assert list(unified(long, "y", "a", "b")) == ["--- a", "+++ b", f"@@ {MOST_DIFF_LINES + 1} lines became 1 @@"]
    assert list(unified(long, long, "a", "b")) == []
    assert (line_count(""), line_count("a"), line_count("a\nb\n")) == (0, 1, 2)


def report(*items: Item, ending: Ending = Ending.COMPLETE, warnings: tuple[str, ...] = ()) -> DeployReport:
    return DeployReport("staging", 42, items, warnings, ending)


def test_a_report_is_aligned_in_eighty_columns() -> None:
    text = shown(
        report_lines(
            report(
                Item("environment", "OPENAI_API_KEY", ItemState.UPDATED),
                Item("functions", "user.attempted.start_session", ItemState.UPDATED, 33, 34),
                Item("functions", SENT, ItemState.CREATED, None, 1),
                Item("functions", READ, ItemState.UNCHANGED, 7, 7),
                Item("functions", "call.ended", ItemState.UNMANAGED, 2, 2),
                Item(
                    "functions",
                    "call.active",
                    ItemState.FAILED,
                    3,
                    None,
                    note="creating a version of function 9: api.chatkitty.com refused it with 400: no",
                    hint="see what the platform says about it",
                ),
                Item(
                    "functions",
                    "user.reacted_to.message",
                    ItemState.SKIPPED,
                    3,
                    None,
                    note="not attempted: interrupted",
                ),
                warnings=("call.active is disabled",),
            )
        )
    )
    assert text == (
        "  ~ variable OPENAI_API_KEY                    updated\n"
        "  ~ user.attempted.start_session  v33 → v34    updated\n"
        "  + user.sent.message             v1           created\n"
        "    user.read.message             v7           unchanged\n"
        "  ? call.ended                    v2           unmanaged\n"
        "  ✗ call.active                   v3           failed: creating a version of\n"
        "                                               function 9: api.chatkitty.com\n"
        "                                               refused it with 400: no (see what\n"
        "                                               the platform says about it)\n"
        "  ○ user.reacted_to.message       v3           skipped: not attempted:\n"
        "                                               interrupted\n"
        "  ! call.active is disabled\n"
        "\n"
        "Partially deployed to staging (application 42): 1 created, 2 updated, 1 unchanged, 1 unmanaged, "
        "1 failed, 1 skipped.\n"
    )


def test_a_long_name_gets_its_own_line_without_shifting_the_other_columns() -> None:
    name = "custom." + "x" * 60
    long = Item("functions", name, ItemState.CREATED, None, 1)
    short = Item("environment", "A", ItemState.UPDATED)
    assert shown(report_lines(report(long))).startswith(f"  + {name}\n{' ' * 6}v1           created\n")
    assert shown(report_lines(report(short, long))).startswith(
        f"  ~ variable A               updated\n  + {name}\n{' ' * 16}v1           created\n"
    )


def test_a_reason_that_does_not_fit_next_to_the_name_is_printed_below_it() -> None:
    item = Item("functions", "f" * 30, ItemState.CONFLICT, 1, 2, note="someone else deployed v2 meanwhile", hint="look")
    assert shown(report_lines(report(item), width=60)).startswith(
        f"  ✗ {'f' * 30}  v1 → v2      conflict:\n      someone else deployed v2 meanwhile (look)\n\n"
    )
    assert "conflict: someone else" in shown(report_lines(report(item), width=80))


def test_many_unchanged_items_are_only_counted() -> None:
    many = report(*(Item("functions", f"t.{number}", ItemState.UNCHANGED, 1, 1) for number in range(21)))
    assert shown(report_lines(many)) == "No changes on staging (application 42): 21 unchanged.\n"


@pytest.mark.parametrize(
    ("ending", "result", "beginning"),
    [
        (Ending.COMPLETE, ItemState.CREATED, "Deployed to staging (application 42): 1 created."),
        (Ending.COMPLETE, ItemState.FAILED, "Nothing deployed to staging (application 42): 1 failed."),
        (Ending.STOPPED, ItemState.FAILED, "Stopped deploying to staging (application 42): 1 failed."),
        (
            Ending.INTERRUPTED,
            ItemState.UPDATED,
            "Interrupted while deploying to staging (application 42), not verified: 1 updated.",
        ),
        (Ending.DECLINED, ItemState.SKIPPED, "Nothing deployed to staging (application 42): 1 skipped."),
    ],
)
def test_the_summary_describes_the_outcome(ending: Ending, result: ItemState, beginning: str) -> None:
    assert report_summary(report(Item("functions", SENT, result), ending=ending)) == beginning


def test_a_deploy_of_an_empty_manifest_reports_that_nothing_is_declared() -> None:
    assert report_summary(DeployReport("local", None, ())) == "No changes on local: nothing in functions.yaml."


def test_a_report_as_json_omits_fields_that_do_not_apply() -> None:
    document = report(Item("functions", SENT, ItemState.CREATED, None, 1), warnings=("odd",)).to_json()
    assert document["items"] == [{"kind": "functions", "name": SENT, "result": "created", "new_version": 1}]
    assert document["ok"] is True and document["ending"] == "complete" and document["warnings"] == ["odd"]
    assert document["summary"]["created"] == 1


def test_a_reason_shared_by_several_items_is_printed_once() -> None:
    items = (Item("environment", name, ItemState.FAILED, note="no room", hint="make some") for name in "AB")
    text = shown(report_lines(report(*items)))
    assert text.count("no room (make some)") == 1 and text.count("failed") == 3
