"""`ckfunc check`: check manifest, syntax and types."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, UsageProblem
from ckfunc.base.interrupts import require_uninterrupted
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import common_options, format_option, pass_app
from ckfunc.watch.batches import Stop, batches

if TYPE_CHECKING:
    from ckfunc.check.project import CheckedProject

# Rooms are imported inside the functions: `ckfunc check --help` must not load the manifest and the bundler.


@click.command(
    epilog="""\b
Examples:
  ckfunc check                        manifest, syntax and types
  ckfunc check user.sent.message      one function and what it imports
  ckfunc check --watch                again after every save
  ckfunc check --format sarif         a report for CI (github, gitlab, sarif)
  ckfunc check --json                 the errors as a list"""
)
@click.argument("types", metavar="[TYPE]...", nargs=-1, shell_complete=complete_types)
@click.option("-w", "--watch", is_flag=True, help="Check again whenever a file changes, until Ctrl-C.")
@format_option
@common_options
@pass_app
def check(app: App, types: tuple[str, ...], watch: bool) -> int:
    """Check the manifest, the syntax of every script, and its types with the TypeScript compiler.

    Strictness is set in the project's tsconfig.json. Needs no credentials, no values of variables, and no network once
    the compiler is cached. Exits 1 if there are errors.
    """
    if watch and app.output.format is not None:
        raise UsageProblem("--format is for a single check", hint="leave out --watch")
    return _watch(app, types) if watch else _check(app, types)


def _check(app: App, types: Sequence[str]) -> int:
    """Check once, print the findings, and return the exit code."""
    began = app.clock.monotonic_s()
    with app.output.progress("checking"):
        checked = app.check(types)
    _print_warnings(app, checked)
    if app.output.annotates:
        from ckfunc.check.findings import annotations_of

        app.output.annotate(annotations_of(checked.problems, checked.warnings), checked.root)
    if app.output.json:
        app.output.document([one.to_json() for one in checked.problems])
    else:
        if app.output.format is None:
            _print_findings(app, checked)
        _print_summary(app, checked, app.clock.monotonic_s() - began)
    return EXIT_OK if checked.ok else EXIT_FAILED


def _print_findings(app: App, checked: CheckedProject) -> None:
    """Print findings: on a terminal with their source lines, otherwise one line each."""
    from ckfunc.check.render import compact_lines, full_lines

    width = app.output.width()
    if width is None:
        app.output.lines(compact_lines(checked.problems))
    else:
        app.output.lines(full_lines(checked.problems, checked.root, width))


def _print_warnings(app: App, checked: CheckedProject) -> None:
    for warning in checked.warnings:
        app.output.warn(warning)


def _print_summary(app: App, checked: CheckedProject, took_s: float, when: str = "") -> None:
    took = f"  ({took_s * 1000:.0f} ms{', unchanged' if checked.from_cache else ''})"
    app.output.talk((when, "muted"), (checked.summary, "success" if checked.ok else "failure"), (took, "muted"))


def _watch(app: App, types: Sequence[str]) -> int:
    """Check now and after every change, until interrupted."""
    stop, wake = Stop(), threading.Event()
    watcher = _Watcher(app, types, wake)
    app.output.talk(("watching ", "title"), "the project's scripts; Ctrl-C ends")
    wake.set()  # the first check comes after the watch has begun, so that no change is missed
    try:
        for batch in batches(watcher.files, app.root(), stop, wake=wake):
            watcher.react(batch)
        require_uninterrupted()
    finally:
        stop.set()
    return EXIT_OK


class _Watcher:
    """Checks again after a change, and prints what is different."""

    def __init__(self, app: App, types: Sequence[str], wake: threading.Event) -> None:
        self._app = app
        self._types = types
        self._wake = wake
        self._watched: frozenset[Path] = frozenset()
        self._last: CheckedProject | None = None

    def files(self) -> Collection[Path]:
        """Return the files that the last result depends on, as far as they can be read from an invalid manifest."""
        from ckfunc.manifest import watched_files

        return {*self._watched, *watched_files(self._app.root(), self._app.settings.target)}

    def react(self, batch: Collection[Path]) -> None:
        """Check and print the findings. An error is printed too: the next change may fix it."""
        output, began = self._app.output, self._app.clock.monotonic_s()
        try:
            checked = self._app.check(self._types)
        except CkfuncError as problem:
            output.failure(problem)
            return
        if added := frozenset(checked.watched) - self._watched:
            # These files were not watched while they were read, so check again for changes in the meantime.
            self._watched |= added
            self._wake.set()
        last, self._last = self._last, checked
        if last is not None and not batch and (last.problems, last.warnings) == (checked.problems, checked.warnings):
            return
        if last is None or last.warnings != checked.warnings:
            _print_warnings(self._app, checked)
        if output.json:
            output.record([one.to_json() for one in checked.problems])
            return
        _print_findings(self._app, checked)
        output.flush()
        when = f"{self._app.clock.now().astimezone():%H:%M:%S}  "
        _print_summary(self._app, checked, self._app.clock.monotonic_s() - began, when)
