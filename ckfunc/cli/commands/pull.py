"""`ckfunc pull`: create or update a project from an existing application."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ckfunc.base.containment import require_own_state
from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, NoProject, UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.options import command, flag, option, yes_option

if TYPE_CHECKING:
    from ckfunc.pull.project import Pulled


@command
@option("--application", "ID", "The application's id or key, for a new project.")
@flag("--with-values", "Write the values of variables to .env, readable only by you.")
@yes_option("Do not ask for confirmation before changing an existing project.")
def pull(app: App, application: str | None, with_values: bool, yes: bool) -> int:
    """Create a project from an application that was built in the ChatKitty dashboard.

    The project has a manifest with packages and settings, the handlers and the init script. Environment variables
    become references like ${NAME}, and their names are written to .env.example. In an existing project, changes of the
    application are shown and merged after you confirm; local edits are kept. Exits 1 on conflicts, which are marked as
    git marks them.
    """
    try:
        app.root()
    except NoProject:
        return _create(app, application, with_values=with_values)
    if application is not None:
        raise UsageProblem(
            "--application is for a new project, but this directory is in a project",
            hint="bind its target with `application` in functions.yaml",
        )
    return _update(app, with_values=with_values, yes=yes)


def _create(app: App, application: str | None, *, with_values: bool) -> int:
    from ckfunc.pull.project import create_project, new_target

    root = app.directory
    require_own_state(root)
    target = new_target(app.settings.target, application)
    client = app.connect(app.credentials(root, target).connection)
    is_javascript, schemas = app.workspace.node.is_javascript, app.schemas()
    with app.output.progress("reading"):
        created = create_project(
            client, target, root, app.environ, is_javascript=is_javascript, with_values=with_values, schemas=schemas
        )
    _show(app, created.pulled)
    if not app.settings.json:
        app.output.talk(("next: ", "title"), created.next_step)
    return EXIT_OK


def _update(app: App, *, with_values: bool, yes: bool) -> int:
    from ckfunc.pull.project import prepare_pull

    client, project = app.client(), replace(app.scripts(), target=app.target())
    with app.output.progress("comparing"):
        pull = prepare_pull(
            client, project, app.environ, is_javascript=app.workspace.node.is_javascript, with_values=with_values
        )
    update = pull.update
    if pull.is_empty:
        if not update.conflicts:
            pull.remember(project)
        _show(app, pull.pulled)
        if not app.settings.json and not update.unmarked_conflicts:
            app.output.talk(("nothing to pull", "muted"))
        return EXIT_FAILED if update.conflicts else EXIT_OK
    question, hint = "Write these changes to the project?", "rerun with --yes to write them"
    if not app.output.reviewed(question, list(pull.lines()), yes=yes, hint=hint):
        return EXIT_FAILED
    pull.write()
    pull.remember(app.workspace.reload_scripts())
    _show(app, pull.pulled)
    return EXIT_FAILED if update.conflicts else EXIT_OK


def _show(app: App, pulled: Pulled) -> None:
    if app.settings.json:
        app.output.document(pulled.to_json())
        return
    app.output.talks(pulled.file_lines())
    app.output.warn(*pulled.notes)
    app.output.talks(pulled.conflict_lines())
