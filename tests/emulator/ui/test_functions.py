"""Pages of functions and invocations."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

import httpx

from ckfunc.emulator.ui.functions import run_chart, side_by_side
from ckfunc.emulator.ui.pages import visible
from ckfunc.model.application import Status

from .conftest import Deploy

FAILING = """
function handleEvent(event: any) {
  console.log('got', event.text);
  if (event.text) throw new TypeError(event.text);
  return { fine: true };
}
"""
HOSTILE = "<script>alert(1)</script> \"quoted\" 'single' \u202etxet\u202c &amp; \x1b[31m"


def fire(client: httpx.Client, text: str) -> int:
    answer = client.post("/emulator/trigger", json={"type": "some.event", "data": {"text": text}})
    return int(answer.json()["invocation"]["id"])


def test_the_page_explains_deployment_if_there_are_no_functions(anyone: httpx.Client) -> None:
    assert "ckfunc deploy" in anyone.get("/").text


def test_the_list_shows_each_function_with_its_runs_and_failures(client: httpx.Client, deploy: Deploy) -> None:
    deploy("some.event", FAILING)
    deploy("user.sent.message")
    fire(client, "")
    fire(client, "broken")
    text = client.get("/").text
    assert 'aria-label="2 runs, 1 failed"' in text
    assert "No version yet" in text
    assert "a user&#39;s message is created" in text
    assert "TypeError: broken" in text


def test_hostile_text_of_a_run_is_escaped(client: httpx.Client, deploy: Deploy) -> None:
    number = deploy("some.event", FAILING)
    run = fire(client, HOSTILE)
    for path in ("/", f"/ui/functions/{number}", f"/ui/invocations/{run}"):
        text = client.get(path).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "\u202e" not in text
        assert "\\u202etxet\\u202c" in text
        assert "\x1b" not in text
    searched = client.get(f"/ui/functions/{number}", params={"query": '"><script>'}).text
    assert '<script>"' not in searched
    assert 'value="&#34;&gt;&lt;script&gt;"' in searched


def test_an_invocation_shows_console_stack_and_event(client: httpx.Client, deploy: Deploy) -> None:
    number = deploy("some.event", FAILING)
    text = client.get(f"/ui/invocations/{fire(client, 'broken')}").text
    assert "got broken" in text
    assert f'<a href="/ui/functions/{number}/versions/1#L4">' in text
    assert "&#34;text&#34;: &#34;broken&#34;" in text
    assert 'id="L4"' in client.get(f"/ui/functions/{number}/versions/1").text


def test_run_again_runs_the_current_version_with_the_same_event(
    client: httpx.Client, deploy: Deploy, form_key: str
) -> None:
    number = deploy("some.event", FAILING)
    run = fire(client, "broken")
    script = "function handleEvent(event: any) { return event.text.length }"
    client.post(f"/v1/functions/{number}/versions", json={"handlerScript": script})
    answer = client.post(f"/ui/invocations/{run}/again", data={"form-key": form_key})
    assert answer.headers["location"] == f"/ui/invocations/{run + 1}"
    until = time.monotonic() + 60
    while "Succeeded" not in (text := client.get(f"/ui/invocations/{run + 1}").text):
        assert time.monotonic() < until, text
        time.sleep(0.02)
    assert '<pre tabindex="0">6</pre>' in text


def test_run_again_is_refused_for_a_disabled_function(client: httpx.Client, deploy: Deploy, form_key: str) -> None:
    number = deploy("some.event", FAILING)
    run = fire(client, "")
    client.put(f"/emulator/functions/{number}/enabled", json={"enabled": False})
    answer = client.post(f"/ui/invocations/{run}/again", data={"form-key": form_key})
    assert answer.status_code == 400
    assert "disabled" in answer.text


def test_invocations_can_be_searched_filtered_and_paged(client: httpx.Client, deploy: Deploy) -> None:
    number = deploy("some.event", FAILING)
    for text in ("", "apple", "100% pear", *([""] * 26)):
        fire(client, text)

    def found(**query: object) -> list[int]:
        page = client.get(f"/ui/functions/{number}", params={name: str(value) for name, value in query.items()})
        return [int(number) for number in re.findall(r">#(\d+)</a>", page.text)]

    assert found(status="FAILED") == [3, 2]
    assert found(query="APPLE") == [2]
    assert found(query="0%") == [3]
    assert found(query="fine", status="FAILED") == []
    assert found(version=2) == []
    assert found() == list(range(29, 4, -1))
    assert found(before=5) == [4, 3, 2, 1]
    assert "before=5" in client.get(f"/ui/functions/{number}").text
    assert client.get(f"/ui/functions/{number}?status=LOST").status_code == 400


def test_two_versions_are_compared_side_by_side(client: httpx.Client, deploy: Deploy) -> None:
    number = deploy("some.event", "one\ntwo\nthree\n", "one\n2\nthree\nfour\n")
    text = client.get(f"/ui/functions/{number}/compare").text
    assert re.search(r'class="removed">.*two</code>.*class="added">.*2</code>', text)
    assert client.get(f"/ui/functions/{number}/compare?old=1&new=3").status_code == 404
    assert "are equal" in client.get(f"/ui/functions/{number}/compare?old=1&new=1").text


def test_rows_of_a_comparison_have_the_line_numbers_of_both_sides() -> None:
    rows = [(row.kind, row.old_number, row.new_number) for row in side_by_side("a\nb\nc", "a\nc\nd\n")]
    assert rows == [("same", 1, 1), ("changed", 2, None), ("same", 3, 2), ("changed", None, 3)]


def test_distant_changes_are_separated_by_a_gap() -> None:
    lines = [str(number) for number in range(50)]
    kinds = [row.kind for row in side_by_side("\n".join(["x", *lines, "y"]), "\n".join(["X", *lines, "Y"]))]
    assert kinds == ["changed", "same", "same", "same", "gap", "same", "same", "same", "changed"]


def test_a_chart_counts_every_run_once() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    runs = [
        (start + timedelta(seconds=number), Status.FAILED if number % 10 == 0 else Status.SUCCEEDED)
        for number in range(99)
    ]
    chart = run_chart(runs)
    assert chart is not None
    assert (chart.runs, chart.failures) == (99, 10)
    assert sum(bar.runs for bar in chart.bars) == 99
    assert sum(bar.failures for bar in chart.bars) == 10
    assert run_chart([]) is None
    same = run_chart(runs[:1])
    assert same is not None
    assert [bar.runs for bar in same.bars] == [1]


def test_hidden_characters_are_made_visible() -> None:
    assert visible("a\u202eb\u200b\x00\ud800\n\t") == "a\\u202eb\\u200b\\u0000\\ud800\n\t"
    assert visible(7) == 7
