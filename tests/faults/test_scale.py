"""Requests and memory for five hundred functions, deployed by real processes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.world import ALLOWED, Content, World, write_project

MANY = 500
MOST_BYTES = 150_000_000
MEASURED = """
import sys
from pathlib import Path
from ckfunc.cli.main import run
code = run(sys.argv[1:])
try:  # the peak of this process; `resource` would include its parent
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM")]
    peak_bytes = int(line.split()[1]) * 1024
except OSError:
    import resource
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(f"peak {peak_bytes}", file=sys.stderr)
sys.exit(code)
"""


def many(mark: str) -> Content:
    line = "  // A line of an ordinary handler, which is some kilobytes long: one hundred bytes of text each time.\n"
    scripts = {
        f"custom.type_{number:03}": (f"async function handleEvent(event) {{\n{line * 40}  return '{mark}';\n}}\n",)
        for number in range(MANY)
    }
    return Content({"ms": "2.1.3"}, {"MARK": mark}, f"const mark = '{mark}';\n", scripts=scripts)


def measured(world: World, root: Path, *arguments: str) -> tuple[int, int]:
    """Run a command; return its number of requests, and its peak memory in bytes."""
    world.proxy.forget()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments],
        cwd=root,
        env=world.environ(),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    peak = re.search(r"^peak (\d+)$", done.stderr, re.MULTILINE)
    assert peak
    return len(world.proxy.requests), int(peak[1])


@pytest.mark.skipif(sys.platform == "win32", reason="needs a way to ask for the most memory held")
@pytest.mark.slow
def test_five_hundred_functions_cost_close_to_the_minimum_of_requests(
    here: World, record_property: Callable[[str, object], None]
) -> None:
    new, changed = many("new"), many("changed")
    here.reset()
    root = write_project(here.directory / "first", new)
    # The token, the runtime, the settings and the functions before and after, and each write.
    least = 1 + 3 + 3
    cases = {"from nothing": (least + 3 + 2 * MANY, "deploy"), "again": (least - 3, "deploy")}
    figures = {name: (measured(here, root, command), minimum) for name, (minimum, command) in cases.items()}
    assert here.holds().runs(new)
    # The same directory with other files, so that the deployed versions are cached.
    other = write_project(here.directory / "second", changed)
    (root / ".ckfunc").rename(other / ".ckfunc")
    figures["everything changed: the plan"] = (measured(here, other, "diff", "--out", "plan.json"), least - 3)
    figures["everything changed"] = (
        measured(here, other, "deploy", *ALLOWED, "--plan", "plan.json"),
        least + 3 + MANY,
    )
    assert here.holds().runs(changed)
    (other / ".ckfunc").rename(here.directory / "away")
    figures["nothing known, nothing changed"] = (measured(here, other, "diff"), least - 3 + MANY)
    assert {name: len(those) for name, those in here.holds().scripts.items()} == dict.fromkeys(new.scripts, 2)
    for name, ((requests, peak_bytes), minimum) in figures.items():
        record_property(
            f"{MANY} functions, {name}", f"{requests} requests of {minimum}, {peak_bytes / 1e6:.0f} MB at most"
        )
        assert minimum <= requests <= 1.1 * minimum, (name, requests, minimum)
        assert peak_bytes < MOST_BYTES, (name, peak_bytes)
