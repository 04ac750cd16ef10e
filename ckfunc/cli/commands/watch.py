"""`ckfunc watch`: deploy on save and stream logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK
from ckfunc.base.interrupts import ended_by_signals
from ckfunc.base.text import counted
from ckfunc.cli.app import App
from ckfunc.cli.commands.logs import print_item, stacks_of
from ckfunc.cli.options import allow_removals_option, command, flag, yes_option
from ckfunc.deploy.show.text import watched_lines, without_unchanged
from ckfunc.logs.entries import LogEntry
from ckfunc.watch import Stop

if TYPE_CHECKING:
    import threading

    from ckfunc.deploy.apply.report import DeployReport
    from ckfunc.dev.watcher import Listener
    from ckfunc.logs.entries import Item
    from ckfunc.model.project import Target


@command
@flag("--no-logs", "Do not stream invocations.")
@yes_option("Do not ask for confirmation before a watch of a protected target.")
@allow_removals_option
@ended_by_signals()
def watch(app: App, no_logs: bool, yes: bool, allow_removals: bool) -> int | None:
    """Deploy changes as soon as they are saved and stream invocations, until Ctrl-C.

    A manifest or handler with errors is reported and not deployed; the last deployed version stays.
    A protected target needs one confirmation, which covers every deploy of the watch.
    """
    return watch_project(app, WatchPrinter(app), logs=not no_logs, yes=yes, allow_removals=allow_removals)


def watch_project(
    app: App,
    listener: Listener,
    *,
    logs: bool,
    yes: bool,
    allow_removals: bool = False,
    quit_on: threading.Event | None = None,
) -> int:
    """Deploy now and after every change, until interrupted, or until `quit_on` is set; return the exit code.

    A protected target needs one confirmation, before anything is deployed: it covers every deploy of the watch. Raises
    NeedsYes.
    """
    from ckfunc.dev.watcher import Watcher, WatchLog, WatchTools, watchable

    project = watchable(app.project)
    if not watch_confirmed(app, project.target, yes=yes):
        return EXIT_FAILED
    client = app.client(lasting=True)
    tools = WatchTools(app.workspace.load, app.client, app.workspace.compiler(), app.schemas, app.clock)
    watcher = Watcher(project, tools, listener, allow_removals=allow_removals)
    app.output.talk(
        ("watching ", "title"),
        f"{counted(len(project.watched), 'file')}, target {project.target.name}; press Ctrl-C to stop",
    )
    stacks = stacks_of(app, client, project=watcher.project, fresh=True)

    def show(item: Item) -> None:
        print_item(app.output, item, stacks=stacks)
        app.output.flush()

    log = WatchLog(show, app.output.require_reader, app.output.failure) if logs else None
    app.workspace.node.warm_up()
    watcher.run(client, log, Stop(quit_on))
    return EXIT_OK


def watch_confirmed(app: App, target: Target, *, yes: bool) -> bool:
    """Ask whether to deploy every change to `target` if it is protected. Raises NeedsYes."""
    question = f"Deploy every change to {target.name} until you stop this command?"
    hint = "rerun with --yes to deploy every change to it"
    return app.output.confirmed_for(target, question, yes=yes, hint=hint)


class WatchPrinter:
    """Prints the events of a watch."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.failed, self.notice = app.output.failure, app.output.talk
        self.detail, self.warn = app.output.detail, app.output.warn

    def deployed(self, report: DeployReport, /, *, changed: bool, first: bool, broken: bool, took_s: float) -> None:
        """Print the changes of a deploy."""
        output, shown = self._app.output, without_unchanged(report)
        if output.settings.json:
            output.record(shown.to_json())
            return
        if report.ok and output.settings.quiet:
            return
        lines = watched_lines(shown, self._app.clock.now(), took_s, width=output.width())
        if shown.items:
            output.lines(lines)
            output.flush()
        elif (changed or first) and not broken:
            output.talks(lines)
        output.warn(*(report.warnings if first else ()))

    def ran(self, entry: LogEntry, /) -> None:
        """Receive an invocation, which the log has printed."""
