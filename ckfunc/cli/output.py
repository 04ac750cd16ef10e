"""Terminal output. Results go to stdout, messages to stderr; colour is optional."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

import click

from ckfunc import __version__
from ckfunc.base.errors import CkfuncError, InvalidFiles, InvalidManifest, InvalidScripts, Problem, UsageProblem
from ckfunc.base.secrets import Secret
from ckfunc.base.streams import discard_rest, reader_left, write_text
from ckfunc.base.text import cells, cut, printable
from ckfunc.cli.terminal import StatusLine

if TYPE_CHECKING:
    from rich.live import Live

    from ckfunc.api import Wait
    from ckfunc.base.annotations import Annotation
    from ckfunc.cli.options import Settings

USUAL_COLUMNS = 80
LONG_S = 0.5
"""From when on something is long enough to show that it is under way."""


_ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}

_TARGETED = "deploy|diff|logs|pull|replay|rollback|show|trigger|undo|versions|watch"
_COMMAND = re.compile(rf"`ckfunc ({_TARGETED}|emulator (?:export|import|reset|seed)|emulator)(?=[ `])([^`]*)`")

Segment: TypeAlias = tuple[str, str] | str
"""A piece of text, with the name of its style or without one."""

LOOKS: dict[str, dict[str, Any]] = {
    "create": {"fg": "green"},
    "update": {"fg": "yellow"},
    "remove": {"fg": "red"},
    "success": {"fg": "green"},
    "failure": {"fg": "red"},
    "warning": {"fg": "yellow"},
    "place": {"fg": "cyan"},
    "title": {"bold": True},
    "muted": {"dim": True},
}


class ReaderGone(Exception):
    """Whoever read our output has closed it (`| head`). Not an OSError: click would exit 1 on it by itself."""


class UnwritableOutput(CkfuncError):
    """Standard output takes no more: its disk is full."""


class NeedsYes(UsageProblem):
    """A confirmation is required, and there is no terminal to ask on."""


class Output:
    """What the user sees. Safe to use from several threads: a line is never cut by another."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self.root: Path | None = None
        """The directory of the project, once it is known."""
        self._settings = settings
        self._environ = environ
        self._lock = threading.RLock()
        self._reader_gone = False
        self._retry_said: tuple[tuple[str, int], float] = (("", 0), 0.0)
        self._news: str | None = None
        self._spinner: Live | None = None
        self._timer: threading.Timer | None = None
        self._status = StatusLine(self._lock, _terminal_columns)

    @property
    def json(self) -> bool:
        """Whether data is wanted as JSON."""
        return self._settings.json

    @property
    def format(self) -> str | None:
        """The report for continuous integration that replaces the text, if one is wanted."""
        return self._settings.format

    @property
    def verbose(self) -> bool:
        """Whether more is wanted."""
        return self._settings.verbose

    @property
    def quiet(self) -> bool:
        """Whether only what went wrong is wanted."""
        return self._settings.quiet

    @property
    def interactive(self) -> bool:
        """Whether somebody can be asked."""
        return not self._environ.get("CI") and sys.stdin.isatty() and sys.stderr.isatty()

    # -- data ----------------------------------------------------------------------------------------------------

    def line(self, *segments: Segment) -> None:
        """Print one line of data; remote text in it must have been through `printable`.

        Once nobody reads any more it goes nowhere, so that a command still ends with the exit code it has earned;
        what would go on for ever finds out by `flush`. Raises UnwritableOutput, as `flush` does.
        """
        self._write(sys.stdout, segments)

    def lines(self, lines: Iterable[Iterable[Segment]]) -> None:
        """Print several lines of data."""
        for segments in lines:
            self.line(*segments)

    def text(self, text: str) -> None:
        """Print a whole text: as it is for a file or a program, harmless and with a last newline for a terminal."""
        shown = text
        if sys.stdout.isatty():
            shown = printable(text)
            shown += "" if shown.endswith("\n") else "\n"
        self._put_out(sys.stdout, shown)

    @property
    def annotates(self) -> bool:
        """Whether places in files are printed as annotations, because of --format or by GitHub Actions."""
        return self.format is not None or self._environ.get("GITHUB_ACTIONS") == "true"

    def annotate(self, notes: Iterable[Annotation], root: Path) -> None:
        """Print annotations of the project in `root`: as the result with --format, else as messages."""
        from ckfunc.base.annotations import FORMATS, in_repository

        report = FORMATS[self.format or "github"](in_repository(notes, root, self._environ))
        self._put_out(sys.stdout if self.format else sys.stderr, report)

    def document(self, value: Any) -> None:
        """Print one JSON document, indented; in ASCII, so that no terminal or encoding is upset by it."""
        self.line(json.dumps(value, indent=2))

    def record(self, value: Any) -> None:
        """Print one JSON object on one line, and hand it on at once: a reader may be following."""
        self.line(json.dumps(value, separators=(",", ":")))
        self.flush()

    def flush(self) -> None:
        """Hand on what is buffered; raises ReaderGone when nobody reads any more."""
        with self._lock:
            try:
                sys.stdout.flush()
            except OSError as error:
                self._cannot_write(sys.stdout, error)
            if self._reader_gone:
                raise ReaderGone

    def require_reader(self) -> None:
        """Raise ReaderGone when nobody reads our data any more; knows before the next line only where pipes tell."""
        if self._reader_gone or reader_left(sys.stdout):
            self._cannot_write(sys.stdout, BrokenPipeError())
            raise ReaderGone

    # -- talk ----------------------------------------------------------------------------------------------------

    def talk(self, *segments: Segment) -> None:
        """Say something that is not data; nothing with --quiet."""
        if not self._settings.quiet:
            self._write(sys.stderr, segments)

    def talks(self, lines: Iterable[Iterable[Segment]]) -> None:
        """Say several lines that are not data."""
        for segments in lines:
            self.talk(*segments)

    def detail(self, text: str) -> None:
        """Say what only --verbose wants; on a terminal it shows beside the spinner while it is news."""
        if self._settings.verbose:
            self.talk((printable(text), "muted"))
        elif self._news is not None and text.strip():
            self._news = " ".join(printable(text).split())

    def warn(self, text: str) -> None:
        """Print what may be wrong; nothing with --quiet."""
        self.talk(("warning: ", "warning"), printable(completed(text, self._settings)))

    def waiting(self, wait: Wait) -> None:
        """Say that a request is tried again after a while."""
        with self._lock:
            # Requests run side by side, and what keeps one waiting mostly keeps them all.
            said, self._retry_said = self._retry_said, ((wait.reason, wait.attempt), time.monotonic())
            if said[0] == self._retry_said[0] and self._retry_said[1] - said[1] < wait.seconds:
                return
            self.talk(("retrying", "warning"), f" in {wait.seconds:.1f} s: {printable(wait.reason)}")

    @contextmanager
    def progress(self, text: str) -> Iterator[None]:
        """Show on a terminal that something long is under way, from half a second on; elsewhere say nothing."""
        if self._settings.quiet or self._settings.verbose or not sys.stderr.isatty() or self._environ.get("CI"):
            yield
            return
        self._expect(text)
        try:
            yield
        finally:
            self._settle()

    def _expect(self, news: str) -> None:
        self._news = news
        self._timer = threading.Timer(LONG_S, self._start_spinner)
        self._timer.daemon = True
        self._timer.start()

    def _settle(self) -> str | None:
        """Take the spinner away, or keep it from coming; return what it showed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
            self._timer = None
        with self._lock:
            if self._spinner is not None:
                self._spinner.stop()
            self._spinner = None
        news, self._news = self._news, None
        return news

    def _start_spinner(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        console = Console(stderr=True, no_color=not self.coloured(sys.stderr), highlight=False)
        progress = Progress(SpinnerColumn("line"), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        task = progress.add_task(self._news or "")

        def current() -> Progress:
            progress.update(task, description=(self._news or "")[: console.width - 16])
            return progress

        with self._lock:
            # Only talk is to go above the spinner: stdout is data, and may not even be this terminal.
            self._spinner = Live(get_renderable=current, console=console, transient=True, redirect_stdout=False)
            self._spinner.start()

    def confirm(self, question: str, shown: Iterable[Iterable[Segment]] = ()) -> bool:
        """Print what the question is about, even with --quiet, and ask until the answer is yes or no.

        An empty answer is a no. Raises click.Abort for an interrupt or the end of input.
        """
        with self.paused():
            for segments in shown:
                self._write(sys.stderr, segments)
            while True:
                typed = str(click.prompt(f"{question} [y/N]", default="", show_default=False, err=True))
                if (answer := typed.strip().lower()) in _ANSWERS:
                    return _ANSWERS[answer]
                self.failure(UsageProblem("the answer is neither yes nor no", hint="type y or n"))

    def confirmed(
        self,
        question: str,
        *,
        shown: Iterable[Iterable[Segment]] = (),
        cancelled: str = "Nothing was written.",
        refusal: str = "confirmation is required, but there is no terminal; nothing was written",
        hint: str = "rerun with --yes",
    ) -> bool:
        """Ask for a confirmation before something is written; after a no, print that it was cancelled.

        Raises NeedsYes, before anything is shown, when there is no terminal.
        """
        if not self.interactive:
            raise NeedsYes(refusal, hint=hint)
        agreed = self.confirm(question, shown)
        if not agreed:
            self.talk(f"Cancelled. {cancelled}")
        return agreed

    def ask(self, question: str, *, hidden: bool = False) -> str:
        """Ask for a text on the terminal; with `hidden`, what is typed is not shown."""
        with self.paused():
            return str(click.prompt(question, hide_input=hidden, err=True))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hide the spinner while a question is asked, or while another program prints."""
        news = self._settle()  # a question is not seen beside a spinner
        try:
            with self._lock:
                yield
        finally:
            if news is not None:
                self._expect(news)

    # -- how things stand ----------------------------------------------------------------------------------------

    @property
    def pinnable(self) -> bool:
        """Whether a line can stay at the bottom of the terminal."""
        plain = self._settings.quiet or self._settings.json or self._environ.get("TERM") == "dumb"
        return not plain and not self._environ.get("CI") and sys.stdout.isatty() and sys.stderr.isatty()

    def pin(self, segments: Sequence[Segment], keys: Sequence[str] = ()) -> None:
        """Keep a line at the bottom of the terminal, as much of it as fits; elsewhere nothing happens.

        Its end is the first of `keys`, which are given longest first, that leaves room for all the rest, or that takes
        at most a third of the line.
        """
        if not self.pinnable:
            return
        width = _terminal_columns() - 1  # one column less: the cursor stays on the line
        status = sum(map(_width, segments))
        fits = (one for one in keys if status + 2 + cells(one) <= width or cells(one) * 3 <= width)
        end = next(fits, keys[-1] if keys else "")
        line = list(_fitting(segments, width - cells(end) - 2 if end else width))
        line += [("  " if line else "", "plain"), (end, "muted")] if end else []
        self._status.show("".join(_painted(one, self.coloured(sys.stderr)) for one in line), sum(map(_width, line)))

    def unpin(self) -> None:
        """Take that line away for good."""
        self._status.close()

    def clear(self) -> None:
        """Clear the terminal, but for the line at the bottom."""
        self._status.clear_screen()

    # -- ends ----------------------------------------------------------------------------------------------------

    def failure(self, error: CkfuncError) -> None:
        """Say what went wrong: one sentence, every mistake of it, and a hint."""
        self._write(sys.stderr, (("error: ", "failure"), printable(error.message)))
        if isinstance(error, InvalidFiles):
            for problem in error.problems:
                self._write(sys.stderr, ("  ", printable(str(problem))))
                self._frame(error, problem)
            self._annotate_mistakes(error)
        if error.hint:
            self.hint(error.hint)

    def _annotate_mistakes(self, error: InvalidFiles) -> None:
        """Print mistakes in files as messages on GitHub Actions; with --format, a failure has no report."""
        if self.root is None or self.format is not None or not self.annotates:
            return
        from ckfunc.base.annotations import of_mistakes

        rule = "manifest" if isinstance(error, InvalidManifest) else "script"
        self.annotate(of_mistakes(error.problems, rule), self.root)

    def hint(self, text: str) -> None:
        """Print what helps; its commands work on what this one works on."""
        self._write(sys.stderr, (("hint: ", "muted"), printable(completed(text, self._settings))))

    def _frame(self, error: InvalidFiles, problem: Problem) -> None:
        """Show the line of a script that is wrong, on a terminal. Lines of other files may hold secrets."""
        if self.root is None or not isinstance(error, InvalidScripts) or not sys.stderr.isatty():
            return
        from ckfunc.check.render import frame

        for line in frame(self.root, (problem.path, problem.line, problem.column), _columns() - 2):
            self._write(sys.stderr, ("  ", *line))

    def interrupted(self) -> None:
        """End the line that Ctrl-C was echoed on."""
        if sys.stderr.isatty():
            click.echo(err=True)

    def bug(self, error: BaseException, args: Sequence[str], secrets: Iterable[Secret] = ()) -> None:
        """Write a report to a file and print its place; if no file can be written, print the report.

        The report contains no `secrets`.
        """
        from ckfunc.base.bugs import bug_report

        report = bug_report(error, args, secrets, f"ckfunc {__version__}")
        what = f"this is a bug in ckfunc ({type(error).__name__})"
        if report.path is None:
            self._put_out(sys.stderr, printable(report.text))
        place = f"in {report.path}" if report.path else "above"
        self._write(sys.stderr, (("error: ", "failure"), f"{what}; the details are {place}"))
        attach = "that file" if report.path else "these lines"
        self._write(sys.stderr, (("hint: ", "muted"), f"please report it with {attach}"))

    # -- how -----------------------------------------------------------------------------------------------------

    def path(self, path: Path) -> str:
        """Return a path as the user would type it from here."""
        try:
            relative = os.path.relpath(path)
        except (ValueError, FileNotFoundError):  # another drive; the current directory was removed
            return str(path)
        return str(path) if Path(relative).parts[:2] == ("..", "..") else relative

    def width(self) -> int | None:
        """Return how many columns a line of data may take; None where nobody looks at it on a terminal."""
        return _columns() if sys.stdout.isatty() else None

    def coloured(self, stream: TextIO) -> bool:
        """Tell whether colour is wanted on a stream. Source of the variables: no-color.org, force-color.org."""
        if self._settings.no_color or self._environ.get("NO_COLOR"):
            return False
        if (forced := self._environ.get("FORCE_COLOR")) and forced.lower() not in ("0", "false"):
            return True
        return stream.isatty() and self._environ.get("TERM") != "dumb"

    def _write(self, stream: TextIO, segments: Iterable[Segment]) -> None:
        colour = self.coloured(stream)
        text = "".join(_painted(one, colour) for one in segments)
        self._put_out(stream, text + "\n")

    def _put_out(self, stream: TextIO, text: str) -> None:
        with self._lock, self._status.aside(stream):
            try:
                write_text(stream, text)
                if stream is sys.stderr:
                    stream.flush()
            except OSError as error:
                self._cannot_write(stream, error)

    def discard(self) -> None:
        """Forget what stdout did not take: it must not come up again when Python ends."""
        try:
            sys.stdout.flush()
        except OSError:
            discard_rest(sys.stdout)

    def _cannot_write(self, stream: TextIO, error: OSError) -> None:
        discard_rest(stream)
        if stream is sys.stderr:
            return  # A deploy does not stop half-way for want of somebody to talk to.
        # Windows says "invalid argument" where others say "broken pipe".
        if error.errno not in (None, errno.EPIPE, errno.EINVAL, errno.EBADF):
            raise UnwritableOutput(f"the output cannot be written: {error.strerror}") from error
        self._reader_gone = True


def completed(hint: str, settings: Settings) -> str:
    """Return a hint whose commands work on what this command works on.

    Without that, `ckfunc deploy` in a hint would go to the default target, and `ckfunc emulator reset` would delete the
    data of the project, although the user has named another target or another directory.
    """

    def with_option(found: re.Match[str]) -> str:
        name, rest = found[1], found[2]
        if name.startswith("emulator"):
            option, value = "--data-dir", settings.data_dir and str(settings.data_dir)
        else:
            option, value = "--target", settings.target
        if not value or option in rest or "--plan" in rest:  # a plan names its target
            return found[0]
        return f"`ckfunc {name} {option} {shlex.quote(value)}{rest}`"

    return _COMMAND.sub(with_option, hint)


def _fitting(segments: Iterable[Segment], width: int) -> Iterator[Segment]:
    """Yield as much of a line as `width` columns take."""
    left = width
    for segment in segments:
        text, style = (segment, "plain") if isinstance(segment, str) else segment
        text = " ".join(printable(text).split("\n"))
        if cells(text) > left:
            if left > 0:
                yield (cut(text, left), style)
            return
        yield (text, style)
        left -= cells(text)


def _width(segment: Segment) -> int:
    return cells(segment if isinstance(segment, str) else segment[0])


def _painted(segment: Segment, colour: bool) -> str:
    text, style = (segment, "plain") if isinstance(segment, str) else segment
    if not (text.isascii() and text.isprintable()):
        text = printable(text)  # whatever a command forgot
    looks = LOOKS.get(style)
    if not (colour and looks and text):
        return text
    _teach_colours()
    return click.style(text, **looks)


@lru_cache
def _teach_colours() -> None:
    """Make an older Windows console read colours rather than print their codes; others do by themselves."""
    if sys.platform == "win32":
        import_module("colorama").just_fix_windows_console()  # which click brings along there


def _terminal_columns() -> int:
    """Return how wide the terminal is now, whatever COLUMNS said when the command began."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _columns()
    except (OSError, ValueError):
        return _columns()


def _columns() -> int:
    return shutil.get_terminal_size((USUAL_COLUMNS, 24)).columns
