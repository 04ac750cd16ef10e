"""Set up and run handlers inside an emulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ckfunc.emulator.actions.users import attempt_start_session
from ckfunc.emulator.dispatch import runtimes
from ckfunc.emulator.dispatch.dispatcher import Dispatcher
from ckfunc.emulator.dispatch.runtimes import syntax_error
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import application, functions, seeds
from ckfunc.model.application import ConsoleLine, NewFunction
from ckfunc.model.execution import Compiled, Determinism, Environment, HandlerError, HandlerVersion, SyntaxProblem
from ckfunc.model.job import Seed
from ckfunc.model.triggers import START_SESSION
from ckfunc.sandbox.scripts import Ran, Scripts


def set_up(services: EmulatorServices, scripts: Scripts, seed: Seed | None, determinism: Determinism | None) -> None:
    """Store functions and their runtime in the database, as a deploy would, and add `seed`. Raises SeedRefused.

    With `determinism`, everything is stored with its time.
    """
    database = services.database
    services.dispatch.chained = False
    _fix_time(services, determinism)
    with database.transaction():
        application.set_dependencies(database, scripts.dependencies)
        application.set_environment(database, runtimes.users_own_environment(scripts.environment))
        initial = scripts.initialization_script
        application.set_initialization_script(database, None if initial is None else initial.text)
        for trigger_type, script in scripts.handlers.items():
            known = functions.find_by_type(database, trigger_type)
            function = known or functions.create(database, NewFunction(trigger_type, trigger_type))
            functions.add_version(database, function.id, script.text)
            functions.set_enabled(database, function.id, True)
        if seed is not None:
            seeds.apply(database, seed)


async def run(
    services: EmulatorServices,
    trigger_type: str,
    event: Mapping[str, Any],
    *,
    script: Compiled | SyntaxProblem,
    environment: Environment | HandlerError,
    generation: int = 0,
    on_console: Callable[[ConsoleLine], None] | None = None,
    determinism: Determinism | None = None,
) -> Ran:
    """Run a function that was set up, and wait for its end and for the responses to all of its requests.

    Each new `generation` loads modules again. With `determinism`, its time is also that of the platform.
    """
    dispatch = services.dispatch
    _fix_time(services, determinism)
    dispatch.pin_environment(environment)
    pin(dispatch, trigger_type, script, generation)
    allowed, reason = None, None
    username = event.get("username")
    if trigger_type == START_SESSION and isinstance(username, str) and username:
        decision = await attempt_start_session(
            services.database, dispatch, event, on_console=on_console, determinism=determinism
        )
        ran, allowed, reason = decision.run, decision.allowed, decision.reason
    else:
        ran = await dispatch.run(trigger_type, event, on_console=on_console, determinism=determinism)
    assert ran is not None  # noqa: S101 - it was set up and enabled
    return Ran(ran.invocation, ran.detail, allowed, reason)


def pin(dispatch: Dispatcher, trigger_type: str, script: Compiled | SyntaxProblem, generation: int) -> None:
    """Run this script for events of a type, whatever the database holds. Each new `generation` loads modules again."""
    if isinstance(script, SyntaxProblem):
        dispatch.pin(trigger_type, syntax_error(script))
    else:
        dispatch.pin(trigger_type, HandlerVersion(trigger_type, generation, script))


def _fix_time(services: EmulatorServices, determinism: Determinism | None) -> None:
    if determinism is not None:
        time = datetime.fromtimestamp(determinism.now_ms / 1000, UTC)
        services.database.now = lambda: time
