"""Watched deploys, as `ckfunc deploy` runs and prints them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ckfunc.base.errors import EXIT_OK
from ckfunc.base.interrupts import EXIT_INTERRUPTED
from ckfunc.base.secrets import Secret
from ckfunc.cli.app import App
from ckfunc.deploy.apply.journal import JournalRecord
from ckfunc.deploy.gates import run_after_deploy
from ckfunc.deploy.observation import Observation, WatchContext, WatchEnding, WatchState, open_watch, watch_deploy
from ckfunc.deploy.show.observation import announcement, observation_lines, state_text
from ckfunc.logs.entries import Gap, Recovered, Trouble
from ckfunc.logs.format import notice

if TYPE_CHECKING:
    from ckfunc.deploy.apply.report import DeployReport
    from ckfunc.deploy.run import DeployOptions


def watch_deployed(
    app: App, options: DeployOptions, report: DeployReport, former_values: Mapping[str, Secret]
) -> Observation | None:
    """Watch a deploy that is complete, and return the result; None if it deployed nothing to watch."""
    record = open_watch(app.root(), report.target, app.client().identity)
    if record is not None and not (report.changed or options.resume):
        app.output.hint("the watch of the last deploy was interrupted; `ckfunc deploy --resume` continues it")
        return None
    return None if record is None else _watch(app, record, former_values)


def resume_watch(app: App, *, dry_run: bool) -> int | None:
    """Continue the watch of the last deploy and return the exit code; None if nothing is to be watched."""
    project = app.project()
    record = open_watch(project.root, project.target.name, app.client().identity)
    if record is None:
        return None
    described = f"the watch of the {record.described(app.clock.now())}"
    if dry_run:
        assert record.watch is not None  # noqa: S101 - as open_watch promises
        app.output.talk(("dry run: ", "title"), f"{described} would continue; nothing was written")
        observation = Observation(record.watch.policy, WatchEnding.NOT_WATCHED)
    else:
        app.output.talk(("resuming ", "title"), described)
        observation = _watch(app, record)
    document = observation.resumed_json(project.target.name, ok=dry_run or observation.exit_code == EXIT_OK)
    app.output.data(document)
    if dry_run:
        return EXIT_OK
    if observation.exit_code != EXIT_INTERRUPTED:
        app.output.flush()
        run_after_deploy(project, document, failed="the watch is over")
    return observation.exit_code


def _watch(app: App, record: JournalRecord, former_values: Mapping[str, Secret] | None = None) -> Observation:
    """Watch a deploy until the end, with its progress on the terminal, and print the result unless it is for --json.

    `former_values` are the variables before the deploy, if they are known.
    """
    output = app.output

    def show(news: WatchState | Trouble | Recovered | Gap) -> None:
        if not isinstance(news, WatchState):
            output.talk(*notice(news))
        elif not output.settings.verbose:
            output.detail(state_text(news))

    if announced := announcement(record, app.clock.now()):
        output.talk(("watching ", "title"), announced)
    output.flush()
    with output.progress("watching"):
        context = WatchContext(app.root(), app.target(), app.client(), app.clock, show, former_values)
        observation = watch_deploy(record, context)
    if not (output.settings.json or (output.settings.quiet and observation.exit_code == EXIT_OK)):
        output.lines(observation_lines(observation, width=output.width()))
    if observation.problem is not None:
        output.failure(observation.problem)
    if observation.ending in (WatchEnding.INTERRUPTED, WatchEnding.NOT_WATCHED, WatchEnding.NOT_REVERTED):
        output.hint("`ckfunc deploy --resume` continues")
    return observation
