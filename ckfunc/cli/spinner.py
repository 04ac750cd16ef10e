"""A spinner on stderr, with the time that has passed."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


def spinner(news: Callable[[], str], *, color: bool) -> Live:
    """Return a spinner that shows the current text of `news`, and that is removed when it stops."""
    console = Console(stderr=True, no_color=not color, highlight=False)
    progress = Progress(SpinnerColumn("line"), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    task = progress.add_task(news())

    def current() -> Progress:
        progress.update(task, description=news()[: console.width - 16])
        return progress

    # Only messages are printed above the spinner: stdout has results, and may not be this terminal.
    return Live(get_renderable=current, console=console, transient=True, redirect_stdout=False)
