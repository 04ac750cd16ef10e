"""The dashboard in a real browser, with `ckfunc dev` running."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from cli.conftest import Ckfunc
from emulator.ui.test_pages_in_browser import eventually, problems, show
from support.browser import page
from support.terminals import in_pipe

MANIFEST = """\
version: 1
default_target: local
targets:
  local: {emulator: true}
functions:
  user.sent.message: {handler: handlers/answer.ts}
"""
HANDLER = """\
async function handleEvent(event: any) {
  console.log('saw', event.message.body);
  const [order] = /#[0-9]+/.exec(event.message.body);
  return { order };
}
"""
FIXED = HANDLER.replace("exec(event.message.body);", "exec(event.message.body) ?? ['none'];")
SEED = {
    "users": [{"name": "ann"}, {"name": "bob"}],
    "channels": [{"name": "desk", "members": ["ann", "bob"]}],
}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_failing_function_is_found_fixed_compared_and_saved_as_a_test(ckfunc: Ckfunc, tmp_path: Path) -> None:
    (tmp_path / "handlers").mkdir()
    (tmp_path / "functions.yaml").write_text(MANIFEST)
    (tmp_path / "handlers/answer.ts").write_text(HANDLER)
    with in_pipe("-C", tmp_path, "dev", "--port", "0") as dev, page() as shown:
        url = dev.until(r"ready (http://127\.0\.0\.1:\d+)")[1]
        dev.until(r"1 (?:function )?created|1 created")
        httpx.post(f"{url}/emulator/seed", json=SEED, timeout=60).raise_for_status()
        # Two users chat, and a function fails.
        show(shown, f"{url}/ui/chat?channel=1&as=1&as=2")
        for user, text in ((1, "order #7 please"), (2, "hello")):
            field = f"document.getElementById('body-{user}')"
            shown.evaluate(f"{field}.value = '{text}'; {field}.form.requestSubmit()")
            eventually(shown, f"document.querySelectorAll('.run').length >= {user}")
        eventually(shown, "document.querySelector('.run.failed') !== null")
        assert shown.evaluate("document.querySelectorAll('.run.succeeded').length") == 1
        # Its stack trace links to the line.
        shown.evaluate("document.querySelector('.run.failed').open = true")
        shown.evaluate("document.querySelector('.run.failed .stack a').click()")
        shown.next_event("Page.loadEventFired")
        eventually(shown, "document.querySelector('tr:target')?.innerText.includes('const [order]')")
        # The fix is deployed on save, and compared with the recorded run.
        (tmp_path / "handlers/answer.ts").write_text(FIXED)
        dev.until(r"v1 → v2")
        show(shown, f"{url}/ui/invocations/2/working-copy")
        eventually(shown, "document.getElementById('compare') !== null")
        shown.evaluate("document.getElementById('compare').click()")
        eventually(shown, "document.querySelector('.pair') !== null")
        text = shown.evaluate("document.querySelector('main').innerText")
        assert "The working copy behaves differently." in text
        assert '"order": "none"' in text
        # The new version runs for the same event, and becomes a test that passes.
        show(shown, f"{url}/ui/invocations/2")
        eventually(shown, "document.getElementById('again') !== null")
        shown.evaluate("document.getElementById('again').click()")
        eventually(shown, "location.pathname === '/ui/invocations/3'")
        eventually(shown, "document.querySelector('.status.succeeded') !== null")
        show(shown, f"{url}/ui/invocations/3/test")
        eventually(shown, "document.querySelector('main h1')?.innerText === 'Test case for invocation 3'")
        command = shown.evaluate("document.querySelector('main pre').innerText").strip()
        assert re.fullmatch(r"ckfunc test add --invocation 3", command)
        assert problems(shown) == []
        added = ckfunc("-C", tmp_path, *command.split()[1:], "--yes")
        assert added.code == 0, added.err
    tested = ckfunc("-C", tmp_path, "test")
    assert (tested.code, "1 passed" in tested.out) == (0, True), tested.out
