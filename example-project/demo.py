"""A demonstration on a copy of this project: plan, deploy, run, logs, and a change while watching.

Run it with `make demo`. It fails if a result is not as expected.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
START_SESSION = "user.attempted.start_session"
SENT_MESSAGE = "user.sent.message"
SESSION = {"username": "jane@example.com", "authParams": {"displayName": "Jane"}}
TIMEOUT_S = 120.0
"""Time limit of the slowest step: the first installation of npm packages."""
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""The emulator is on this machine, so proxies of the shell do not apply."""


class DemoFailed(Exception):
    """A result was not as expected."""


def main() -> int:
    """Run the demonstration and return its exit code."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ckfunc-demo-", ignore_cleanup_errors=True) as place:
        project = Path(place) / "project"
        unwanted = shutil.ignore_patterns(".ckfunc", ".env", ".env.*", "node_modules", "__pycache__", "demo.py")
        shutil.copytree(HERE, project, ignore=unwanted)
        try:
            deploy_and_run(project)
            change_while_watching(project)
        except DemoFailed as problem:
            say(f"\nThe demo failed: {problem}", "31")
            return 1
    say(f"\nEverything worked, in {time.monotonic() - began:.1f} s.", "32")
    return 0


def deploy_and_run(project: Path) -> None:
    """Deploy to an emulator that runs inside each command, and run the functions in it."""
    say("# The application has no functions yet. Show what a deploy of the example project would change.")
    expect(ckfunc(project, "diff"), START_SESSION, SENT_MESSAGE, "user.received.notification", "OPENING_HOURS")
    say("# Deploy to the local emulator, which runs inside the command and stores its data in .ckfunc/.")
    ckfunc(project, "deploy")
    expect(ckfunc(project, "diff"), absent="+++")
    say("# A customer connects, twice. The handler runs in real Node and calls the emulated Platform API.")
    first = ckfunc(project, "trigger", START_SESSION, "--data", json.dumps(SESSION))
    expect(first, "welcome, jane@example.com", "allowed")
    expect(ckfunc(project, "trigger", START_SESSION, "--data", json.dumps(SESSION)), "welcome back, jane@example.com")
    say("# She asks for a reminder. The answer uses an npm package, the environment and the init script.")
    asked = ckfunc(project, "trigger", SENT_MESSAGE, "--data", json.dumps(message("/remind 2h", channel_of(first))))
    expect(asked, "You will hear from us in 2 hours (Deskline, automatically)")
    say("# The log has every run with its console output. The third function ran for her notification.")
    expect(ckfunc(project, "logs", "-n", "5"), "welcome, jane@example.com", "jane@example.com is notified by mail")


def change_while_watching(project: Path) -> None:
    """Change a handler under `ckfunc watch`, and measure the time until the new version answers."""
    say("# Now run an emulator in the background, and a watch that deploys every change.")
    with background(project, "emulator", "--port", "0") as emulator:
        url = emulator.wait_for(r"ready (http://\S+)")
        with background(project, "watch") as watch:
            watch.wait_for(r"no changes to deploy|Deployed to")
            platform = Platform(url)
            ask = ("trigger", SENT_MESSAGE, "--data", json.dumps(message("/hours", 1)))
            expect(ckfunc(project, *ask), "Somebody is here Monday to Friday")
            took_s = edited(project, platform)
            watch.wait_for(r"updated")
            expect(ckfunc(project, *ask), "Monday to Friday", absent="Somebody is here")
            say(f"# Time from saving the file to the first answer of the new version: {took_s * 1000:.0f} ms.")
            if took_s > 1.0:
                raise DemoFailed("the new version took more than a second to answer")


def edited(project: Path, platform: Platform) -> float:
    """Edit a handler and return the time until the new version answered, in seconds.

    On a busy machine, it tries up to three times.
    """
    handler = project / "handlers" / "answer-message.ts"
    before, took_s = "Somebody is here", TIMEOUT_S
    for after in ("We are here", "You reach us", "Ring the bell"):
        version = platform.version_of(SENT_MESSAGE)
        source = handler.read_text(encoding="utf-8")
        say(f"# Edit handlers/answer-message.ts: `{before}` becomes `{after}`.")
        began = time.monotonic()
        handler.write_text(source.replace(before, after), encoding="utf-8", newline="\n")
        while platform.version_of(SENT_MESSAGE) == version:
            if time.monotonic() - began > TIMEOUT_S:
                raise DemoFailed("the change was never deployed")
            time.sleep(0.005)
        expect(platform.fire(SENT_MESSAGE, message("/hours", 1)), after)
        took_s = time.monotonic() - began
        if took_s <= 1.0:
            break
        before = after
    return took_s


def message(text: str, channel: int) -> dict[str, object]:
    """Return the event of a message from Jane."""
    return {
        "user": {"id": 1, "name": "jane@example.com"},
        "channel": {"id": channel, "name": "support"},
        "message": {"type": "TEXT", "body": text},
    }


def channel_of(output: str) -> int:
    """Return the channel in the first handler's result."""
    found = re.search(r"channel\W+(\d+)", output)
    if found is None:
        raise DemoFailed("the handler's result has no channel")
    return int(found[1])


def ckfunc(project: Path, *args: str) -> str:
    """Run a ckfunc command in the project, show it as in a shell session, and return its output."""
    say("$ ckfunc " + " ".join(map(quoted, args)), "1")
    done = subprocess.run(
        command(*args),
        cwd=project,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_S,
        check=False,
    )
    output = done.stdout.decode("utf-8", "replace")
    show(output)
    if done.returncode != 0:
        raise DemoFailed(f"`ckfunc {args[0]}` failed with exit code {done.returncode}")
    return plain(output)


class Background:
    """A command that runs in the background; its output is shown with its name as a prefix."""

    def __init__(self, project: Path, *args: str) -> None:
        say("$ ckfunc " + " ".join(args) + " &", "1")
        self._name = args[0]
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            command(*args),
            cwd=project,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str) -> str:
        """Wait for a line that matches `pattern`; return its first group, or the line."""
        until = time.monotonic() + TIMEOUT_S
        with self._news:
            while True:
                ended = not self._reader.is_alive()
                for line in self._lines:
                    if found := re.search(pattern, line):
                        return found[1] if found.groups() else line
                if ended or time.monotonic() > until:
                    raise DemoFailed(f"`ckfunc {self._name}` never printed {pattern!r}")
                self._news.wait(0.2)

    def close(self) -> None:
        """Stop the command and wait for it to end."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join()
        if self._process.stdout:
            self._process.stdout.close()

    def _read(self) -> None:
        if self._process.stdout is None:
            return
        for raw in self._process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            with self._news:
                self._lines.append(plain(line))
                self._news.notify_all()
            show(f"{self._name:>8} | {line}".rstrip() + "\n")


@contextlib.contextmanager
def background(project: Path, *args: str) -> Iterator[Background]:
    """Run a command in the background, and always stop it at the end."""
    running = Background(project, *args)
    try:
        yield running
    finally:
        running.close()


class Platform:
    """The emulator over HTTP, for measurements without the start of a process."""

    def __init__(self, url: str) -> None:
        self._url = url
        basic = base64.b64encode(b"emulator:emulator").decode()
        form = {"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"}
        self._token = self._send("/oauth/token", b"grant_type=client_credentials", form)["access_token"]

    def version_of(self, trigger_type: str) -> int:
        """Return the number of the current version of a function."""
        page = self._send("/v1/runtimes/nodejs/functions", None, {"authorization": f"Bearer {self._token}"})
        functions = page["_embedded"]["functions"]
        return next(int(function["currentVersionNumber"]) for function in functions if function["type"] == trigger_type)

    def fire(self, trigger_type: str, data: dict[str, object]) -> str:
        """Fire an event as `ckfunc trigger` does; return the answer as text."""
        body = json.dumps({"type": trigger_type, "data": data}).encode()
        return json.dumps(self._send("/emulator/trigger", body, {"content-type": "application/json"}))

    def _send(self, path: str, body: bytes | None, headers: dict[str, str]) -> Any:
        request = urllib.request.Request(self._url + path, body, headers)
        try:
            with OPENER.open(request, timeout=TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.URLError as problem:
            raise DemoFailed(f"the emulator did not answer: {problem}") from None


def expect(output: str, *wanted: str, absent: str | None = None) -> None:
    """Raise DemoFailed unless the output contains every `wanted` text and not `absent`."""
    for text in wanted:
        if text not in output:
            raise DemoFailed(f"{text!r} is missing above")
    if absent is not None and absent in output:
        raise DemoFailed(f"{absent!r} should not be there")


def command(*args: str) -> list[str]:
    """Return the command line of this environment's ckfunc."""
    return [sys.executable, "-m", "ckfunc", *args]


def environment() -> dict[str, str]:
    """Return the environment of the commands: without credentials, and with unbuffered output."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHATKITTY_")}
    environ |= {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    return environ | {"FORCE_COLOR": "1"} if colored() else environ


def colored() -> bool:
    """Return whether the demonstration prints in color."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def say(text: str, style: str = "2") -> None:
    """Print a line of the demonstration itself."""
    if text.startswith("#"):
        text = f"\n{text}"
    show(f"\x1b[{style}m{text}\x1b[0m\n" if colored() else f"{text}\n")


def show(text: str) -> None:
    """Print text immediately, and replace characters that the terminal cannot show."""
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def plain(text: str) -> str:
    """Return text without color codes."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def quoted(arg: str) -> str:
    """Return an argument quoted for a shell."""
    return f"'{arg}'" if re.search(r"[\s{}\"]", arg) else arg


if __name__ == "__main__":
    sys.exit(main())
