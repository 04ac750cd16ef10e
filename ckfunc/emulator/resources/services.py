"""What a handler can use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ckfunc.emulator.dispatch.dispatcher import Dispatcher
from ckfunc.emulator.http.auth import Tokens
from ckfunc.emulator.jobs.runner import Jobs
from ckfunc.emulator.store.database import Database
from ckfunc.runtime.pool import HostPool


@dataclass(slots=True)
class Services:
    """The parts of one emulator."""

    database: Database
    tokens: Tokens
    dispatch: Dispatcher
    jobs: Jobs
    hosts: HostPool
    data_dir: Path | None
    unwritable: str | None = None
    """Why nothing may be changed: requests that would are refused with this."""
