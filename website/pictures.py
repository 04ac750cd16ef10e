"""Pictures of the documentation, made from real runs: `make pictures`.

docs/images/dev.svg is a recording of `ckfunc dev` in a terminal, docs/images/dashboard.png a page of its dashboard. The
script needs a POSIX terminal and Chromium.
"""

from __future__ import annotations

import fcntl
import html
import itertools
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyte

IMAGES = Path(__file__).parent.parent / "docs" / "images"
CKFUNC = str(Path(sys.executable).with_name("ckfunc"))
COLUMNS, ROWS = 96, 15
PATIENCE_S = 60.0
LONGEST_PAUSE_S = 1.6
LAST_PAUSE_S = 5.0

HANDLER = """\
async function handleEvent(event: UserSentMessageEvent, context: Context) {
  const { channel, message } = event;
  if (message.type !== "TEXT" || message.body !== "/help") return;
  const body = "Somebody will be with you soon.";
  await context.ChatKitty.Channels.sendChannelMessage(channel.id, { type: "TEXT", body });
  return body;
}
"""
EDITED = HANDLER.replace("Somebody will be with you soon.", "Welcome! We answer within 5 minutes.")
SEED = """\
users:
  - {name: jane, display_name: Jane}
  - {name: tom, display_name: Tom}
channels:
  - {name: support, type: PUBLIC, display_name: Support, creator: tom, members: [jane, tom]}
"""


def main() -> None:
    """Make both pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        project = Path(place) / "support-chat"
        _ckfunc(Path(place), "init", "support-chat")
        _ckfunc(project, "new", "user.sent.message")
        handler = project / "handlers/user-sent-message.ts"
        handler.write_text(HANDLER, encoding="utf-8")
        (project / "seed.yaml").write_text(SEED, encoding="utf-8")
        _ckfunc(project, "deploy")
        _ckfunc(project, "emulator", "seed", "seed.yaml")
        recording = Recording(project, handler)
        with recording.terminal():
            _play(recording, project)
            _dashboard(project, recording.screen_text())
    (IMAGES / "dev.svg").write_text(_animation(recording.frames), encoding="utf-8")


def _play(recording: Recording, project: Path) -> None:
    """Start, send a message, edit, save, and send the message again."""
    recording.pause(0.6)
    recording.type("ckfunc dev\r")
    recording.until("no changes")
    recording.pause(1.0)
    _say(project, "/help")
    recording.until("Somebody will")
    recording.pause(1.4)
    recording.edit(EDITED)
    recording.until("v1 → v2")
    recording.pause(1.0)
    _say(project, "/help")
    recording.until("Welcome!")
    recording.pause(1.0)


def _say(project: Path, text: str) -> None:
    message = {"type": "TEXT", "user": {"username": "jane"}, "body": text}
    _ckfunc(project, "api", "POST", "/v1/channels/1/messages", "--data", json.dumps(message))


def _dashboard(project: Path, screen: str) -> None:
    """Take a picture of a conversation in the dashboard of the emulator that runs in the terminal."""
    address = re.search(r"http://127\.0\.0\.1:\d+", screen)
    assert address is not None, screen
    _say(project, "Is anybody there?")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless=new", "--hide-scrollbars", "--window-size=1200,760"]
        options += [f"--user-data-dir={profile}", f"--screenshot={IMAGES / 'dashboard.png'}", "--timeout=5000"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")  # which does not work for root
        url = f"{address[0]}/ui/chat?channel=1&as=1&as=2"
        subprocess.run([browser, *options, url], check=True, capture_output=True, timeout=PATIENCE_S)


def _ckfunc(directory: Path, *arguments: str) -> None:
    done = subprocess.run([CKFUNC, *arguments], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass(frozen=True)
class Frame:
    """The screen and the edited file from a moment on, in seconds; each line is a list of texts with their styles."""

    moment_s: float
    lines: tuple[tuple[tuple[str, str], ...], ...]
    editor: str


@dataclass
class Recording:
    """A shell in a terminal, next to a file that is edited."""

    project: Path
    handler: Path
    frames: list[Frame] = field(default_factory=list)
    _screen: pyte.Screen = field(default_factory=lambda: pyte.Screen(COLUMNS, ROWS))
    _fd: int = -1
    _editor: str = HANDLER

    @contextmanager
    def terminal(self) -> Iterator[None]:
        """Run a shell in the terminal until the end of the block."""
        stream = pyte.ByteStream(self._screen)
        environ = {
            **os.environ,
            "PS1": "$ ",
            "TERM": "xterm-256color",
            "PATH": f"{Path(CKFUNC).parent}:{os.environ['PATH']}",
        }
        environ = {name: value for name, value in environ.items() if name not in ("CI", "NO_COLOR")}
        pid, self._fd = pty.fork()
        if pid == 0:
            os.chdir(self.project)
            os.execvpe("sh", ["sh", "-i"], environ)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._feed: Callable[[bytes], None] = stream.feed
        try:
            yield
        finally:
            os.write(self._fd, b"\x03")
            self.pause(3.0, seen=False)
            os.write(self._fd, b"exit\r")
            os.close(self._fd)
            os.waitpid(pid, 0)

    def type(self, text: str) -> None:
        """Type text, key by key."""
        for key in text:
            os.write(self._fd, key.encode())
            self.pause(0.07)

    def edit(self, text: str) -> None:
        """Save another text in the file."""
        self._editor = text
        self.handler.write_text(text, encoding="utf-8")
        self.pause(0.1)

    def until(self, text: str) -> None:
        """Record until the screen shows a text."""
        ends = time.monotonic() + PATIENCE_S
        while text not in self.screen_text():
            assert time.monotonic() < ends, f"{text!r} is not in:\n{self.screen_text()}"
            self.pause(0.1)

    def pause(self, duration_s: float, *, seen: bool = True) -> None:
        """Record for some time."""
        ends = time.monotonic() + duration_s
        while (left := ends - time.monotonic()) > 0:
            if select.select([self._fd], [], [], min(left, 0.05))[0]:
                try:
                    self._feed(os.read(self._fd, 65536))
                except OSError:  # the shell has ended
                    return
            if seen:
                self._look()

    def screen_text(self) -> str:
        """Return the lines of the screen."""
        return "\n".join(self._screen.display)

    def _look(self) -> None:
        lines = tuple(self._line(row) for row in range(ROWS))
        if not self.frames or (self.frames[-1].lines, self.frames[-1].editor) != (lines, self._editor):
            self.frames.append(Frame(time.monotonic(), lines, self._editor))

    def _line(self, row: int) -> tuple[tuple[str, str], ...]:
        cells = [self._screen.buffer[row][column] for column in range(COLUMNS)]
        runs = itertools.groupby(cells, key=_style)
        return tuple((style, "".join(cell.data for cell in group)) for style, group in runs)


def _style(cell: pyte.screens.Char) -> str:
    """Return the CSS classes of a cell."""
    names = [cell.fg] if cell.fg != "default" else []
    return " ".join([*names, *(name for name in ("bold", "reverse") if getattr(cell, name))])


WIDTH, LINE, LEFT, CELL = 860, 20, 16, 8.43
EDITOR_ROWS = len(HANDLER.splitlines())
SPLIT = (EDITOR_ROWS + 2) * LINE
HEIGHT = SPLIT + (ROWS + 2) * LINE
STYLE = """\
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#d7dae0;white-space:pre}
.title{fill:#8b93a1}.saved{fill:#f5c26b}.bold{font-weight:bold}.reverse{fill:#8b93a1}
.green,.brightgreen{fill:#8ccf7e}.red,.brightred{fill:#ef7d7d}.brown,.yellow,.brightbrown{fill:#f5c26b}
.blue,.brightblue{fill:#7fb3ef}.cyan,.brightcyan{fill:#6fd0d0}.magenta,.brightmagenta{fill:#d39af0}
.brightblack,.black{fill:#8b93a1}
"""


def _animation(frames: Sequence[Frame]) -> str:
    """Return an SVG that shows the frames one after another, without end. Long pauses are cut."""
    pauses = [min(after.moment_s - frame.moment_s, LONGEST_PAUSE_S) for frame, after in itertools.pairwise(frames)]
    moments = [0.0, *itertools.accumulate(pauses)]
    total_s = moments[-1] + LAST_PAUSE_S
    steps = "".join(
        f"{moment / total_s:.3%}{{transform:translateX({-number * WIDTH}px)}}" for number, moment in enumerate(moments)
    )
    style = (
        f"{STYLE}.reel{{transform:translateX({-(len(frames) - 1) * WIDTH}px)}}\n"
        f"@media (prefers-reduced-motion:no-preference)"
        f"{{.reel{{animation:reel {total_s:.2f}s steps(1,end) infinite}}}}\n"
        f"@keyframes reel{{{steps}}}"
    )
    shown = "".join(
        f'<g transform="translate({number * WIDTH})">{_frame(frame)}</g>' for number, frame in enumerate(frames)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="ckfunc dev deploys a saved handler and shows the answer to a message">\n'
        f"<style>{style}</style>\n"
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#1b1e24"/>'
        f'<rect y="{SPLIT}" width="{WIDTH}" height="1" fill="#3a3f4a"/>\n<g class="reel">{shown}</g>\n</svg>\n'
    )


def _frame(frame: Frame) -> str:
    parts = [_text(1, "title", 0, "handlers/user-sent-message.ts")]
    before = HANDLER.splitlines()
    for row, line in enumerate(frame.editor.splitlines()):
        parts.append(_text(row + 2.4, "saved" if line != before[row] else "", 0, line))
    for row, runs in enumerate(frame.lines):
        column = 0
        for style, text in runs:
            parts.append(_text(EDITOR_ROWS + row + 3.2, style, column, text.rstrip()))
            column += len(text)
    return "".join(parts)


def _text(row: float, style: str, column: int, text: str) -> str:
    if not text.strip():
        return ""
    column += len(text) - len(text.lstrip())
    text = text.strip()
    named = f' class="{style}"' if style else ""
    place = f'x="{LEFT + column * CELL:.1f}" y="{row * LINE:.0f}" textLength="{len(text) * CELL:.1f}"'
    return f"<text{named} {place}>{html.escape(text, quote=False)}</text>"


if __name__ == "__main__":
    main()
