"""Settings that hold for every test: no shell variables of the developer's, one cache for installed packages."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Installed npm packages are shared by all tests and runs: what is installed depends on the dependency list alone.
os.environ.setdefault("CKFUNC_CACHE_DIR", str(Path(__file__).parent.parent / ".cache" / "ckfunc"))
# Nothing of the machine decides what a test sees: not its CI service, colours, terminal size, or git and Node settings.
_FOREIGN = (
    "CHATKITTY_",
    "GITHUB_",
    "GITLAB_",
    "CI_",
    "CLICOLOR",
    "GIT_",
    "XDG_",
    "NODE_OPTIONS",
    "NODE_ENV",
    "NODE_DEBUG",
)
for _name in [name for name in os.environ if name.startswith(_FOREIGN)]:
    del os.environ[_name]
for _name in ("CI", "FORCE_COLOR", "COLUMNS", "LINES", "CKFUNC_NODE", "PAGER", "EDITOR", "VISUAL", "TZ"):
    os.environ.pop(_name, None)
os.environ["NO_COLOR"] = "1"
# Streams are buffered on a user's machine: what only comes up when Python ends must come up here too.
os.environ.pop("PYTHONUNBUFFERED", None)
# Without compiled files, each of the many processes would compile all of ckfunc.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Coverage follows only those child processes whose tests ask for it (`measured_children`): in all of them it would
# cost more time than it shows.
_MEASURING = "COVERAGE_PROCESS_CONFIG"
_measuring = os.environ.pop(_MEASURING, None)
# A run in the background of a shell ignores Ctrl-C, and one under nohup the end of its terminal; both hand that on to
# every process they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes says how busy the machine is, not that something is wrong.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


SLOW_TIMEOUT_S = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests more time, unless they set a limit of their own."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT_S))


@pytest.fixture
def shared_data() -> Path:
    """The directory with golden documents that ships with the tests."""
    return Path(__file__).parent / "golden"


@pytest.fixture
def measured_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the coverage of the processes that the test starts: of what works on a terminal or until Ctrl-C."""
    if _measuring is not None:
        monkeypatch.setenv(_MEASURING, _measuring)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what tests have counted with `record_property`: numbers are added up, other things listed."""
    counted: dict[str, float] = {}
    for report in (report for those in terminalreporter.stats.values() for report in those):
        for name, value in getattr(report, "user_properties", ()) if getattr(report, "when", "") == "call" else ():
            if isinstance(value, int | float):
                counted[name] = counted.get(name, 0) + value
            else:
                terminalreporter.write_line(f"{name}: {value}")
    for name, value in counted.items():
        terminalreporter.write_line(f"{name}: {value:g}")
