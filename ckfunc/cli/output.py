"""Terminal output. Results go to stdout, messages to stderr; color is optional."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ckfunc import __version__
from ckfunc.base.errors import (
    CkfuncError,
    InvalidFiles,
    InvalidManifest,
    InvalidScripts,
    Problem,
    UsageProblem,
    completed,
    from_here,
    shown_path,
)
from ckfunc.base.secrets import Secret
from ckfunc.base.streams import ReaderGone
from ckfunc.base.terminal import Settings, Terminal, columns
from ckfunc.base.text import Piece, printable

if TYPE_CHECKING:
    from ckfunc.api import Wait
    from ckfunc.base.annotations import Annotation
    from ckfunc.model.project import Target

_ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}


class NeedsYes(UsageProblem):
    """A confirmation is required, and there is no terminal to ask on."""


class Output(Terminal):
    """Output of a command."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        super().__init__(settings, environ)
        self.root: Path | None = None
        """The directory of the project, once it is known."""
        self.path = shown_path
        self._last_retry: tuple[tuple[str, int], float] = (("", 0), 0.0)

    # -- results ----------------------------------------------------------------------------------------------------

    def line(self, *segments: Piece) -> None:
        """Print one line of results; remote text must have been passed through `printable`.

        After the reader has closed the pipe, the line is discarded, so that the command still ends with its own exit
        code; endless commands call `flush` to notice it. Raises UnwritableOutput.
        """
        self._write(sys.stdout, segments)

    def lines(self, lines: Iterable[Iterable[Piece]]) -> None:
        """Print several lines of results."""
        for segments in lines:
            self.line(*segments)

    def text(self, text: str) -> None:
        """Print a text unchanged; on a terminal, without control characters and with a final newline."""
        shown = text
        if sys.stdout.isatty():
            shown = printable(text)
            shown += "" if shown.endswith("\n") else "\n"
        self._put_out(sys.stdout, shown)

    def annotate(self, notes: Iterable[Annotation], root: Path) -> None:
        """Print annotations of the project in `root`: as the result with --format, on GitHub Actions as messages."""
        if self.settings.format is None and self._environ.get("GITHUB_ACTIONS") != "true":
            return
        from ckfunc.base.annotations import FORMATS, in_repository

        report = FORMATS[self.settings.format or "github"](in_repository(notes, root, self._environ))
        self._put_out(sys.stdout if self.settings.format else sys.stderr, report)

    def document(self, value: Any) -> None:
        """Print one JSON document, indented, in ASCII, which every encoding can represent."""
        self.line(json.dumps(value, indent=2))

    def record(self, value: Any) -> None:
        """Print one JSON object on one line and flush it."""
        self.line(json.dumps(value, separators=(",", ":")))
        self.flush()

    def data(self, document: Any) -> None:
        """Print a document with --json, otherwise nothing."""
        if self.settings.json:
            self.document(document)

    def result(
        self,
        document: Any,
        lines: Iterable[Iterable[Piece]],
        empty: Iterable[Piece] = (),
        *,
        summary: Iterable[Iterable[Piece]] = (),
    ) -> None:
        """Print lines, or else the message `empty`, and then the messages `summary`; with --json only a document."""
        if self.settings.json:
            self.document(document)
            return
        if lines:
            self.lines(lines)
        elif empty:
            self.talk(*empty)
        with suppress(ReaderGone):
            self.flush()
        self.talks(summary)

    # -- messages ----------------------------------------------------------------------------------------------------

    def talk(self, *segments: Piece) -> None:
        """Print a message; nothing with --quiet."""
        if not self.settings.quiet:
            self._write(sys.stderr, segments)

    def talks(self, lines: Iterable[Iterable[Piece]]) -> None:
        """Print several messages."""
        for segments in lines:
            self.talk(*segments)

    def detail(self, text: str) -> None:
        """Print a message with --verbose; otherwise show it next to the spinner, if there is one."""
        if self.settings.verbose:
            self.talk((printable(text), "muted"))
        else:
            self.update_progress(text)

    def warn(self, *warnings: object) -> None:
        """Print warnings; nothing with --quiet."""
        for warning in warnings:
            self.talk(("warning: ", "warning"), self._advice(str(warning)))

    def _advice(self, text: str) -> str:
        """Return a text whose commands have the target and data directory of this command."""
        return printable(from_here(completed(text, self.settings.target, self.settings.data_dir)))

    def waiting(self, wait: Wait) -> None:
        """Print that a request will be retried."""
        with self._lock:
            # Concurrent requests usually wait for the same reason, which is printed once.
            last, self._last_retry = self._last_retry, ((wait.reason, wait.attempt), time.monotonic())
            if last[0] == self._last_retry[0] and self._last_retry[1] - last[1] < wait.seconds:
                return
            self.talk(("retrying", "warning"), f" in {wait.seconds:.1f} s: {printable(wait.reason)}")

    def confirmed(
        self,
        question: str,
        *,
        yes: bool,
        shown: Iterable[Iterable[Piece]] = (),
        cancelled: str = "Nothing was written.",
        refusal: str = "confirmation is required, but there is no terminal; nothing was changed",
        hint: str = "rerun with --yes",
    ) -> bool:
        """Ask for confirmation before a write unless `yes` is set; after a no, print that it was cancelled.

        `shown` is printed first, even with --quiet. An empty answer means no. Raises NeedsYes, before anything is
        printed, if there is no terminal; click.Abort for an interrupt or the end of input.
        """
        if yes:
            return True
        if not self.interactive:
            raise NeedsYes(refusal, hint=hint)
        with self.paused():
            for segments in shown:
                self._write(sys.stderr, segments)
            while (answer := self.ask(f"{question} [y/N]", default="").strip().lower()) not in _ANSWERS:
                self.failure(UsageProblem("the answer must be yes or no", hint="type y or n"))
        if not _ANSWERS[answer]:
            self.talk(f"Cancelled. {cancelled}")
        return _ANSWERS[answer]

    def confirmed_for(self, target: Target, question: str, *, yes: bool, **texts: Any) -> bool:
        """Ask for confirmation before a write to a target if it is protected; `texts` are those of `confirmed`."""
        texts = {"cancelled": f"Nothing was deployed to {target.name}.", **texts}
        refusal = f"target {target.name!r} is protected and requires confirmation"
        return self.confirmed(question, yes=yes or not target.protected, refusal=refusal, **texts)

    def reviewed(self, question: str, shown: Sequence[Iterable[Piece]], *, yes: bool, **texts: str) -> bool:
        """Print what will be written, and ask for confirmation unless `yes`; `texts` are those of `confirmed`."""
        if yes or not self.interactive:
            self.talks(shown)
        return self.confirmed(question, yes=yes, shown=shown, **texts)

    def ask(self, question: str, *, default: str | None = None, hidden: bool = False) -> str:
        """Ask for a text on the terminal; with `hidden`, the input is not echoed."""
        with self.paused():
            return str(click.prompt(question, default=default, show_default=False, hide_input=hidden, err=True))

    # -- errors ----------------------------------------------------------------------------------------------------

    def failure(self, error: CkfuncError) -> None:
        """Print an error: its message, its problems and its hint."""
        self._write(sys.stderr, (("error: ", "failure"), printable(from_here(error.message))))
        if isinstance(error, InvalidFiles):
            for problem in error.problems:
                self._write(sys.stderr, ("  ", printable(str(problem))))
                self._frame(error, problem)
            if self.root is not None and self.settings.format is None:  # with --format, a failure has no report
                from ckfunc.base.annotations import of_mistakes

                rule = "manifest" if isinstance(error, InvalidManifest) else "script"
                self.annotate(of_mistakes(error.problems, rule), self.root)
        if error.hint:
            self.hint(error.hint)

    def hint(self, text: str) -> None:
        """Print a hint; its commands get the target and data directory of this command."""
        self._write(sys.stderr, (("hint: ", "muted"), self._advice(text)))

    def _frame(self, error: InvalidFiles, problem: Problem) -> None:
        """Show the line of a script on a terminal. Lines of other files may contain secrets."""
        if self.root is None or not isinstance(error, InvalidScripts) or not sys.stderr.isatty():
            return
        from ckfunc.check.findings import frame

        for line in frame(self.root, (problem.path, problem.line, problem.column), columns() - 2):
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
        if report.path is None:
            self._put_out(sys.stderr, printable(report.text))
        for line in report.lines():
            self._write(sys.stderr, line)
