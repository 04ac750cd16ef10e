"""Save, restore and reset all data of a running emulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from ckfunc.base.errors import CkfuncError
from ckfunc.emulator.data import NoSnapshot, copy_data, described, export_data
from ckfunc.emulator.data_directory import write_address
from ckfunc.emulator.http.problems import Missing, Refused, Unstorable
from ckfunc.emulator.services import EmulatorServices, make_ready
from ckfunc.emulator.store.database_file import open_data, overwrite
from ckfunc.emulator.store.trouble import refused_by
from ckfunc.model.job import DataSnapshot


async def save(services: EmulatorServices, name: str, *, replace: bool) -> DataSnapshot:
    """Save all data as a snapshot. Raises HttpProblem and sqlite3.Error."""
    services.database.commit()
    with _refused():
        if services.data_dir is None:
            return services.snapshots.save(name, services.database.write_to, replace=replace)
        copy = partial(export_data, services.data_dir)
        return await asyncio.to_thread(services.snapshots.save, name, copy, replace=replace)


async def restore(services: EmulatorServices, name: str) -> DataSnapshot:
    """Replace all data with a snapshot, and return it. Raises HttpProblem and sqlite3.Error."""
    with _refused():
        file = services.snapshots.path(name)
        snapshot = described(file)
        await _replace_data(
            services, partial(copy_data, file), f"the emulator's data was replaced with snapshot {name}"
        )
        return snapshot


async def reset(services: EmulatorServices) -> None:
    """Delete all data. Raises HttpProblem and sqlite3.Error."""
    with _refused():
        await _replace_data(services, lambda _: None, "the emulator's data was reset")


def remove(services: EmulatorServices, name: str) -> DataSnapshot:
    """Delete a snapshot, and return it. Raises HttpProblem."""
    with _refused():
        return services.snapshots.remove(name)


async def _replace_data(services: EmulatorServices, copy: Callable[[Path], None], reason: str) -> None:
    """Replace all data with the database that `copy` writes to a file, or with none if it writes nothing.

    Either everything is replaced, or nothing, also if the process is killed. Clients are disconnected with `reason`.
    Runs in the background are cancelled; those that someone waits for are finished. Meanwhile, reads see the old data,
    and other requests wait. Call it in a request. Raises Refused, CkfuncError, OSError and
    sqlite3.Error.
    """
    _require_no_job(services)
    with services.snapshots.temporary() as file:
        await asyncio.to_thread(_prepare, copy, file)
        dispatch, database = services.dispatch, services.database
        chained = dispatch.chained
        with services.gate.closed():
            try:
                dispatch.chained = False
                services.topics.disconnect_all(reason)
                await dispatch.close()
                await services.gate.seal(remaining=1)  # the request that replaces the data
                services.topics.disconnect_all(reason)  # clients that were connecting
                _require_no_job(services)
                database.commit()
                if database.path is None:
                    database.read_from(file)
                else:
                    await asyncio.to_thread(overwrite, database.path, file)
                    database.replaced()
                dispatch.data_replaced()
                services.typing.close()
                if services.data_dir is not None:
                    write_address(services.data_dir, dispatch.base_url, database.id)
            finally:
                dispatch.chained = chained


def _prepare(copy: Callable[[Path], None], file: Path) -> None:
    copy(file)
    with closing(open_data(file)) as database:
        make_ready(database)
        database.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def _refused() -> Iterator[None]:
    """Turn expected failures into answers."""
    try:
        yield
    except NoSnapshot as problem:
        raise Missing(problem.sentence) from None
    except CkfuncError as problem:
        raise Refused(problem.sentence) from None
    except OSError as error:
        raise Unstorable(f"the snapshots cannot be read or written: {refused_by(error).sentence}") from None


def _require_no_job(services: EmulatorServices) -> None:
    if services.jobs.busy:
        raise Refused("an import or export is in progress; try again when it has ended")
