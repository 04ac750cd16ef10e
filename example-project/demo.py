"""Shows what ckfunc does, on a copy of this project: plan, deploy, run, logs, and a change while watching.

Run it with `make demo`. It ends with an error when anything is not as promised.
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
PATIENCE_S = 120.0
"""How long the slowest thing may take: the first installation of npm packages."""
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""The emulator is on this machine, whatever proxy the shell is set to."""


class Broken(Exception):
    """Something was not as promised."""


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
        except Broken as problem:
            say(f"\nthe demo failed: {problem}", "31")
            return 1
    say(f"\nAll as promised, in {time.monotonic() - began:.1f} s.", "32")
    return 0


def deploy_and_run(project: Path) -> None:
    """Deploy to an emulator that runs inside each command, and run the functions there."""
    say("# The example project, and an application that has no functions yet: what would a deploy change?")
    expect(ckfunc(project, "diff"), START_SESSION, SENT_MESSAGE, "user.received.notification", "OPENING_HOURS")
    say("# Deploy it to the local emulator, which starts inside the command and keeps its data in .ckfunc/.")
    ckfunc(project, "deploy")
    expect(ckfunc(project, "diff"), absent="+++")
    say("# A customer connects, twice. The handler runs in real Node and calls the emulated Platform API.")
    first = ckfunc(project, "trigger", START_SESSION, "--data", json.dumps(SESSION))
    expect(first, "welcome, jane@example.com", "allowed")
    expect(ckfunc(project, "trigger", START_SESSION, "--data", json.dumps(SESSION)), "welcome back, jane@example.com")
    say("# She asks for a reminder: the answer takes an npm package, the environment and the init script.")
    asked = ckfunc(project, "trigger", SENT_MESSAGE, "--data", json.dumps(message("/remind 2h", channel_of(first))))
    expect(asked, "You will hear from us in 2 hours (Deskline, automatically)")
    say("# Every run was kept, with what it wrote to the console. Her notification ran the third function.")
    expect(ckfunc(project, "logs", "-n", "5"), "welcome, jane@example.com", "jane@example.com is notified by mail")


def change_while_watching(project: Path) -> None:
    """Change a handler under `ckfunc watch`, and time how long it takes until the new version answers."""
    say("# Now with an emulator that stays, and a watch that deploys what changes.")
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
            say(f"# From saving the file to the first answer of the new version: {took_s * 1000:.0f} ms.")
            if took_s > 1.0:
                raise Broken("the new version took longer than a second to answer")


def edited(project: Path, platform: Platform) -> float:
    """Edit a handler and return how long the new version took to answer, in seconds.

    A machine that is busy with something else gets two more chances.
    """
    handler = project / "handlers" / "answer-message.ts"
    before, took_s = "Somebody is here", PATIENCE_S
    for after in ("We are here", "You reach us", "Ring the bell"):
        version = platform.version_of(SENT_MESSAGE)
        source = handler.read_text(encoding="utf-8")
        say(f"# Edit handlers/answer-message.ts: `{before}` becomes `{after}`.")
        began = time.monotonic()
        handler.write_text(source.replace(before, after), encoding="utf-8", newline="\n")
        while platform.version_of(SENT_MESSAGE) == version:
            if time.monotonic() - began > PATIENCE_S:
                raise Broken("the change was never deployed")
            time.sleep(0.005)
        expect(platform.fire(SENT_MESSAGE, message("/hours", 1)), after)
        took_s = time.monotonic() - began
        if took_s <= 1.0:
            break
        before = after
    return took_s


def message(text: str, channel: int) -> dict[str, object]:
    """Return the event of a message of Jane's."""
    return {
        "user": {"id": 1, "name": "jane@example.com"},
        "channel": {"id": channel, "name": "support"},
        "message": {"type": "TEXT", "body": text},
    }


def channel_of(output: str) -> int:
    """Return the channel that the first handler says it uses."""
    found = re.search(r"channel\W+(\d+)", output)
    if found is None:
        raise Broken("the handler did not tell its channel")
    return int(found[1])


def ckfunc(project: Path, *args: str) -> str:
    """Run a command of ckfunc in the project, show it like a shell session does, and return what it printed."""
    say("$ ckfunc " + " ".join(map(quoted, args)), "1")
    done = subprocess.run(
        command(*args),
        cwd=project,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE_S,
        check=False,
    )
    output = done.stdout.decode("utf-8", "replace")
    show(output)
    if done.returncode != 0:
        raise Broken(f"`ckfunc {args[0]}` ended with exit code {done.returncode}")
    return plain(output)


class Background:
    """A command that runs beside the others; what it prints is shown with its name in front."""

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
        """Wait for a line that `pattern` is found in; return its first group, or the line."""
        until = time.monotonic() + PATIENCE_S
        with self._news:
            while True:
                ended = not self._reader.is_alive()
                for line in self._lines:
                    if found := re.search(pattern, line):
                        return found[1] if found.groups() else line
                if ended or time.monotonic() > until:
                    raise Broken(f"`ckfunc {self._name}` never said {pattern!r}")
                self._news.wait(0.2)

    def close(self) -> None:
        """End the command as Ctrl-C would, and wait for it."""
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
    """Run a command beside the others, and end it whatever happens."""
    running = Background(project, *args)
    try:
        yield running
    finally:
        running.close()


class Platform:
    """The emulator over HTTP, for what is timed: without the start of a process."""

    def __init__(self, url: str) -> None:
        self._url = url
        basic = base64.b64encode(b"emulator:emulator").decode()
        form = {"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"}
        self._token = self._send("/oauth/token", b"grant_type=client_credentials", form)["access_token"]

    def version_of(self, trigger_type: str) -> int:
        """Return the number of the current version of a function."""
        page = self._send("/v1/runtimes/nodejs/functions", None, {"authorization": f"Bearer {self._token}"})
        functions = page["_embedded"]["functions"]
        return next(int(one["currentVersionNumber"]) for one in functions if one["type"] == trigger_type)

    def fire(self, trigger_type: str, data: dict[str, object]) -> str:
        """Fire an event as `ckfunc trigger` does; return the answer as text."""
        body = json.dumps({"type": trigger_type, "data": data}).encode()
        return json.dumps(self._send("/emulator/trigger", body, {"content-type": "application/json"}))

    def _send(self, path: str, body: bytes | None, headers: dict[str, str]) -> Any:
        request = urllib.request.Request(self._url + path, body, headers)
        try:
            with OPENER.open(request, timeout=PATIENCE_S) as answer:
                return json.load(answer)
        except urllib.error.URLError as problem:
            raise Broken(f"the emulator did not answer: {problem}") from None


def expect(output: str, *wanted: str, absent: str | None = None) -> None:
    """Break off when the output lacks what was promised."""
    for text in wanted:
        if text not in output:
            raise Broken(f"{text!r} is missing above")
    if absent is not None and absent in output:
        raise Broken(f"{absent!r} should not be there")


def command(*args: str) -> list[str]:
    """Return the command line of this environment's ckfunc."""
    return [sys.executable, "-m", "ckfunc", *args]


def environment() -> dict[str, str]:
    """Return the environment of the commands: no credentials, and what they say in the order in which they say it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHATKITTY_")}
    kept |= {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    return kept | {"FORCE_COLOR": "1"} if coloured() else kept


def coloured() -> bool:
    """Tell whether the demonstration itself is shown in colour."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def say(text: str, style: str = "2") -> None:
    """Print what is not a command's own output."""
    if text.startswith("#"):
        text = f"\n{text}"
    show(f"\x1b[{style}m{text}\x1b[0m\n" if coloured() else f"{text}\n")


def show(text: str) -> None:
    """Print text at once, whatever the terminal can show."""
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def plain(text: str) -> str:
    """Return text without its colours."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def quoted(arg: str) -> str:
    """Return an argument as it is typed in a shell."""
    return f"'{arg}'" if re.search(r"[\s{}\"]", arg) else arg


if __name__ == "__main__":
    sys.exit(main())
