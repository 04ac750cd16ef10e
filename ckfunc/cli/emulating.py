"""How the emulator runs in the foreground."""

from __future__ import annotations

from pathlib import Path

from ckfunc.base.containment import STATE_DIRECTORY
from ckfunc.base.errors import CkfuncError, NoProject, UsageProblem
from ckfunc.cli.app import App
from ckfunc.sandbox.seeds import read_seed_file


def data_directory(app: App, given: Path | None, ephemeral: bool | None = None) -> Path | None:
    """Return where the emulator keeps its data, None for nowhere; raises UsageProblem and NoProject.

    `ephemeral` is None for commands that have no such option.
    """
    app.settings.data_dir = given
    if given and ephemeral:
        raise UsageProblem("--data-dir and --ephemeral exclude each other")
    if ephemeral:
        return None
    if given:
        return app.named(given / "data").parent
    try:
        return app.root() / STATE_DIRECTORY / "emulator"
    except NoProject as problem:
        hint = "run it in a project, or give --data-dir DIR" + ("" if ephemeral is None else " or --ephemeral")
        raise NoProject(problem.message, hint=hint) from None


def run_in_foreground(
    app: App, host: str, port: int, data: Path | None, seed: Path | None, keep_invocations: int
) -> None:
    """Serve until Ctrl-C or SIGTERM, which is how an emulator is meant to end: the exit code is 0.

    `seed` names a file with what to begin with; raises InvalidFiles.
    """
    from ckfunc.api.connection import is_loopback
    from ckfunc.emulator.data_directory import UnusableDirectory
    from ckfunc.emulator.store.trouble import UnwritableDatabase

    if not is_loopback(host.strip("[]")):
        app.output.warn(f"whoever reaches {host} can run code here: the emulator's credentials are no secret")

    def ready(url: str) -> None:
        app.output.line("ready ", url)
        app.output.flush()
        where = f"data in {app.output.path(data)}" if data else "data is forgotten at the end"
        app.output.talk(("emulator: ", "title"), f"{where}; client id and secret are `emulator`; Ctrl-C ends it")

    planted = read_seed_file(app.directory / seed, app.output.path(app.directory / seed))[0] if seed else None
    try:
        emulator = app.emulator(data, host=host, port=port, seed=planted, keep_invocations=keep_invocations)
        emulator.run_forever(ready)
    except (UnusableDirectory, UnwritableDatabase) as problem:
        if not problem.unwritable:
            raise
        hint = "choose another --data-dir, or keep nothing with --ephemeral"
        raise CkfuncError(problem.message, hint=hint) from None
    app.output.interrupted()
