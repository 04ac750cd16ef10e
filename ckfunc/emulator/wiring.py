"""Wiring of one emulator: its data and its services."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from functools import partial
from pathlib import Path

from ckfunc.base.clock import SystemClock
from ckfunc.emulator.data import Snapshots
from ckfunc.emulator.data_directory import DATABASE
from ckfunc.emulator.dispatch.dispatcher import Dispatcher
from ckfunc.emulator.http.auth import Tokens
from ckfunc.emulator.jobs import Jobs
from ckfunc.emulator.options import EmulatorOptions
from ckfunc.emulator.replacement import make_ready
from ckfunc.emulator.services import EmulatorServices, WebPage
from ckfunc.emulator.store import seeds
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.database_file import Checkpoints, copied, open_data
from ckfunc.emulator.store.trouble import UNREADABLE, failure_of
from ckfunc.runtime.compiler import CompilerProcess
from ckfunc.runtime.policy import Policy
from ckfunc.runtime.pool import HostPool


def open_services(
    opened: AsyncExitStack,
    data_dir: Path | None,
    options: EmulatorOptions,
    *,
    url: str,
    hosts: HostPool,
    cache: Path,
    on_event: Callable[[str], None],
) -> EmulatorServices:
    """Open the data of `data_dir` and start the services that use it.

    Without `data_dir`, the data is in memory. `on_event` never raises. Everything is closed with `opened`, the hosts
    too. Raises UnusableDatabase and SeedRefused.
    """
    path = None if data_dir is None else data_dir / DATABASE
    database = opened.enter_context(closing(_opened(path, options.copy_of)))
    try:
        make_ready(database)
        if options.seed is not None:
            seeds.apply(database, options.seed)
    except UNREADABLE as error:
        raise failure_of(path, error) from None
    database.group_commits(asyncio.get_running_loop().call_soon)
    if path is not None:
        opened.callback(Checkpoints(database, path).close)
    tokens = Tokens(SystemClock(), options.token_lifetime_s)
    compiler = options.compiler or opened.enter_context(CompilerProcess())
    opened.push_async_callback(hosts.close)  # before the database
    dispatcher = Dispatcher(
        database,
        hosts=hosts,
        compiler=compiler,
        base_url=url,
        on_event=on_event,
        keep_invocations=options.keep_invocations,
        spares=options.spares,
    )
    opened.push_async_callback(dispatcher.close)
    if options.ahead is None:
        dispatcher.boot_ahead()
    background = Jobs(database, path, on_event)
    opened.push_async_callback(background.close)
    snapshots = opened.enter_context(closing(Snapshots(data_dir)))
    web = WebPage(options.web, partial(_chat_client, cache, on_event, options.policy))
    return EmulatorServices(
        database,
        tokens,
        dispatcher,
        background,
        hosts,
        data_dir,
        web,
        snapshots,
        draft_case=options.draft_case,
        conversations=options.conversations,
        working_copy=options.working_copy,
        unwritable=options.unwritable,
    )


def _chat_client(cache: Path, on_event: Callable[[str], None], policy: Policy) -> bytes:
    # Not at the top of the module: an emulator starts without the bundler.
    from ckfunc.bundle.esbuild import chat_client

    return chat_client(cache, on_event, policy())


def _opened(path: Path | None, copy_of: Path | None) -> Database:
    return open_data(path) if copy_of is None else copied(copy_of / DATABASE)
