"""Screenshots of every page of the dashboard: `make screens`.

They show the example project under `ckfunc dev`: each page in both themes, 1280 and 360 pixels wide, in build/screens/.
With `--docs`, only those of the documentation are made, in docs/images/. The script needs Chromium.
"""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from support.browser import Page, page

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 120.0
WIDTHS = (1280, 360)
THEMES = ("light", "dark")
COLORS = 128
"""The size of the palette of a picture of the documentation."""
ANSWER = "user.sent.message"
BUG = ("const delay: number | undefined = ms(", "const delay: number | undefined = ms(words[1].trim() + ")
ATTACHMENT = (
    b"<svg xmlns='http://www.w3.org/2000/svg' width='320' height='140' font-family='sans-serif' font-size='20'>"
    b"<rect width='320' height='140' fill='#dde3ea'/>"
    b"<text x='24' y='78' fill='#b01c1c'>Payment declined (51)</text></svg>"
)


@dataclass(frozen=True)
class Screen:
    """A page: the name of its pictures, its path, and the element that is clicked when it is shown."""

    name: str
    path: str
    click: str | None = None


@dataclass(frozen=True)
class Picture:
    """A picture of the documentation: the top of a screen, of a height in pixels."""

    screen: str
    theme: str
    height: int


PICTURES = {
    "working-copy.png": Picture("comparison", "light", 850),
    "invocation.png": Picture("invocation-failed", "light", 560),
    "versions.png": Picture("versions", "dark", 430),
}


def main() -> None:
    """Take the screenshots."""
    docs = sys.argv[1:] == ["--docs"]
    directory = ROOT / ("docs/images" if docs else "build/screens")
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place, _dev(Path(place)) as url:
        project = Path(place) / "support-desk"
        empty = [Screen("empty-" + name, path) for name, path in EMPTY.items()]
        if not docs:
            _take(url, empty, directory)
        screens = Story(project, url).play()
        if docs:
            _take_pictures(url, {screen.name: screen for screen in screens}, directory)
        else:
            _take(url, screens, directory)


EMPTY = {
    "functions": "/",
    "chat": "/ui/chat",
    "users": "/ui/users",
    "channels": "/ui/channels",
    "messages": "/ui/messages",
    "sessions": "/ui/sessions",
    "requests": "/ui/requests",
    "faults": "/ui/faults",
    "data": "/ui/data",
}


@contextmanager
def _dev(place: Path) -> Iterator[str]:
    """Run `ckfunc dev` in a copy of the example project; yield its address."""
    project = place / "support-desk"
    made = shutil.ignore_patterns(".ckfunc", ".env", ".env.*", "node_modules", "__pycache__", "demo.py")
    shutil.copytree(ROOT / "example-project", project, ignore=made)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHATKITTY_")}
    command = [sys.executable, "-m", "ckfunc", "dev", "--port", "0"]
    with subprocess.Popen(command, cwd=project, env=environ, stdout=subprocess.PIPE, text=True) as dev:
        assert dev.stdout is not None
        try:
            first = dev.stdout.readline()
            found = re.fullmatch(r"ready (http://\S+)\n", first)
            assert found is not None, first
            yield found[1]
        finally:
            dev.send_signal(signal.SIGINT)


class Story:
    """Customers who write to the support desk, a handler that breaks, and its fix."""

    def __init__(self, project: Path, url: str) -> None:
        self._handler = project / "handlers/answer-message.ts"
        self._client = httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False)
        token = self._client.post(
            "/oauth/token", auth=("emulator", "emulator"), data={"grant_type": "client_credentials"}
        ).json()["access_token"]
        self._client.headers["authorization"] = f"Bearer {token}"
        key = re.search(r'data-form-key="([^"]+)"', self._client.get("/").text)
        assert key is not None
        self._client.headers["x-form-key"] = key[1]

    def play(self) -> list[Screen]:
        """Fill the emulator, and return its pages."""
        _until(lambda: len(self._functions()) == 3)
        for name, display, params in (
            ("jane@example.com", "Jane Doe", {}),
            ("tom@example.com", "Tom Smith", {}),
            ("mia@deskline.example", "Mia from Deskline", {"staffCode": "0042"}),
        ):
            self._trigger({"username": name, "authParams": {"displayName": display, **params}})
        self._trigger({"username": "eve@example.com", "authParams": {"staffCode": "1234"}})
        for user in (1, 3):
            self._form("/ui/chat/channels/1/participants", user=user, connect="yes")
        self._say(1, "/help")
        self._say(1, "My card was declined. What can I do?")
        file = {"file": ("declined.svg", ATTACHMENT, "image/svg+xml")}
        self._say(1, "", files=file)
        question = self._last_message(file=False)
        self._say(3, "Let me have a look. Which card is it?", thread=question)
        self._say(1, "The one ending in 4242.", thread=question)
        self._form(f"/ui/chat/messages/{question}", user=3, react="👀")
        self._form(f"/ui/chat/messages/{question}", user=2, react="👍")
        script = self._handler.read_text(encoding="utf-8")
        self._edit(script.replace(*BUG))
        self._say(1, "/remind 2h")
        failed = self._ended(ANSWER)
        self._edit(script.replace("You will hear from us in", "We will write to you in"))
        self._say(1, "/hours")
        self._ended(ANSWER)
        self._snapshot("before-the-fix")
        self._snapshot("two-customers")
        self._post("/emulator/faults", operation="sendChannelMessage", status=429, retryAfterSeconds=2, ratePercent=25)
        self._post("/emulator/faults", delayMs=150, first=20)
        self._post("/v1/users", name="guest-1", displayName="Guest", isGuest=True)
        functions = self._functions()
        answers = functions[ANSWER]
        succeeded = self._runs(answers)[0]["id"]
        return [
            Screen("functions", "/"),
            Screen("function", f"/ui/functions/{answers}"),
            Screen("version", f"/ui/functions/{answers}/versions/2"),
            Screen("versions", f"/ui/functions/{answers}/compare"),
            Screen("invocation", f"/ui/invocations/{succeeded}"),
            Screen("invocation-failed", f"/ui/invocations/{failed}"),
            Screen("invocation-test", f"/ui/invocations/{failed}/test"),
            Screen("working-copy", f"/ui/invocations/{failed}/working-copy"),
            Screen("working-copy-run", f"/ui/invocations/{failed}/working-copy", "#run"),
            Screen("comparison", f"/ui/invocations/{failed}/working-copy", "#compare"),
            Screen("chat", "/ui/chat?channel=1&as=1&as=3"),
            Screen("chat-four", "/ui/chat?channel=1&as=1&as=2&as=3&as=4"),
            Screen("chat-thread", f"/ui/chat?channel=1&as=1&as=3&thread={question}"),
            Screen("conversation-test", "/ui/chat/channels/1/test"),
            Screen("conversation-added", "/ui/chat/channels/1/test", "#add"),
            Screen("users", "/ui/users"),
            Screen("users-none", "/ui/users?query=nobody"),
            Screen("user", "/ui/users/1"),
            Screen("channels", "/ui/channels"),
            Screen("channel", "/ui/channels/1"),
            Screen("messages", "/ui/messages"),
            Screen("message", f"/ui/messages/{question}"),
            Screen("sessions", "/ui/sessions"),
            Screen("requests", "/ui/requests"),
            Screen("faults", "/ui/faults"),
            Screen("data", "/ui/data?done=Saved+snapshot+two-customers."),
            Screen("runtime", "/ui/runtime"),
            Screen("trigger", "/ui/trigger"),
            Screen("missing", "/ui/users/99"),
        ]

    def _functions(self) -> dict[str, int]:
        found = self._get("/v1/runtimes/nodejs/functions")["_embedded"]["functions"]
        return {function["type"]: function["id"] for function in found if function["currentVersionNumber"]}

    def _runs(self, function: int) -> list[Any]:
        found: list[Any] = self._get(f"/v1/functions/{function}/invocations")["_embedded"]["invocations"]
        return found

    def _ended(self, trigger_type: str) -> int:
        """Wait for all runs of a function, and return the id of the last one."""
        function = self._functions()[trigger_type]
        _until(lambda: all(run["status"] != "RUNNING" for run in self._runs(function)))
        return int(self._runs(function)[0]["id"])

    def _edit(self, script: str) -> None:
        """Save the handler, and wait for its deploy."""
        versions = f"/v1/functions/{self._functions()[ANSWER]}/versions"
        before = self._get(versions)["page"]["totalElements"]
        self._handler.write_text(script, encoding="utf-8")
        _until(lambda: self._get(versions)["page"]["totalElements"] > before)

    def _last_message(self, *, file: bool) -> int:
        found = self._get("/v1/channels/1/messages")["_embedded"]["messages"]
        return int(
            next(message["id"] for message in found if message.get("user") and (message["type"] == "FILE") is file)
        )

    def _say(self, user: int, body: str, thread: int | str = "", files: Any = None) -> None:
        data = {"user": str(user), "body": body, "thread": str(thread)}
        sent = self._client.post("/ui/chat/channels/1/messages", data=data, files=files)
        assert sent.status_code == 303, sent.text
        self._ended(ANSWER)

    def _trigger(self, data: dict[str, Any]) -> None:
        self._post("/emulator/trigger", type="user.attempted.start_session", data=data)

    def _snapshot(self, name: str) -> None:
        self._client.put(f"/emulator/snapshots/{name}").raise_for_status()

    def _form(self, path: str, **fields: Any) -> None:
        sent = self._client.post(path, data={name: str(value) for name, value in fields.items()})
        assert sent.status_code == 303, sent.text

    def _post(self, path: str, **body: Any) -> None:
        self._client.post(path, json=body).raise_for_status()

    def _get(self, path: str) -> Any:
        return self._client.get(path).raise_for_status().json()


def _until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.1)


def _take(url: str, screens: list[Screen], directory: Path) -> None:
    for width in WIDTHS:
        for theme in THEMES:
            with page() as browser:
                for screen in screens:
                    picture = _capture(browser, url, screen, theme, width)
                    (directory / f"{screen.name}-{width}-{theme}.png").write_bytes(picture)


def _take_pictures(url: str, screens: dict[str, Screen], directory: Path) -> None:
    with page() as browser:
        for name, picture in PICTURES.items():
            raw = _capture(browser, url, screens[picture.screen], picture.theme, 1240, picture.height)
            with Image.open(io.BytesIO(raw)) as image:
                image.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(directory / name, optimize=True)


def _capture(browser: Page, url: str, screen: Screen, theme: str, width: int, height: int | None = None) -> bytes:
    """Return a screenshot as PNG, of the whole page if `height` is None."""
    size = {"width": width, "height": height or 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.call("Emulation.setDeviceMetricsOverride", **size)
    browser.call("Emulation.setScrollbarsHidden", hidden=True)
    features = [{"name": "prefers-color-scheme", "value": theme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
    browser.call("Emulation.setEmulatedMedia", features=features)
    _load(browser, lambda: browser.call("Page.navigate", url=url + screen.path))
    if screen.click is not None:
        click = f"document.querySelector({screen.click!r}).click()"
        _load(browser, lambda: browser.evaluate(click))
    _until(lambda: browser.evaluate("!document.body.dataset.live || connection.textContent === 'Live'"))
    whole: dict[str, Any] = {}
    if height is None:
        content = browser.call("Page.getLayoutMetrics")["cssContentSize"]
        whole = {"captureBeyondViewport": True, "clip": {**content, "scale": 1}}
    return base64.b64decode(browser.call("Page.captureScreenshot", format="png", **whole)["data"])


def _load(browser: Page, action: Callable[[], object]) -> None:
    browser.events.clear()
    action()
    browser.next_event("Page.loadEventFired")


if __name__ == "__main__":
    main()
