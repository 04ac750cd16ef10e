"""Who may use a data directory: one emulator, or one command that changes its files, at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ckfunc.base.errors import Busy, CkfuncError
from ckfunc.base.files import locked
from ckfunc.base.inside import require_plain
from ckfunc.emulator.address import FILE, read_address
from ckfunc.emulator.store.trouble import Trouble, refused_by

DATABASE = "emulator.db"
"""The database's file in a data directory."""

_LOCK = "lock"


class UnusableDirectory(CkfuncError):
    """The data directory cannot be made or written; `unwritable` when reading it may be possible all the same."""

    def __init__(self, data_dir: Path, trouble: Trouble) -> None:
        super().__init__(f"the data directory {data_dir} cannot be used: {trouble.reason}", hint=trouble.hint)
        self.unwritable = trouble.unwritable


@contextmanager
def owned(data_dir: Path) -> Iterator[None]:
    """Hold a data directory for oneself. Raises Busy, saying who has it, UnusableDirectory and LeadsOutside."""
    # SQLite follows links.
    require_plain(data_dir, _LOCK, FILE, *(f"{DATABASE}{end}" for end in ("", "-wal", "-shm", "-journal")))
    with ExitStack() as held:
        try:
            got = held.enter_context(locked(data_dir / _LOCK, wait_s=0))
        except OSError as error:
            raise UnusableDirectory(data_dir, refused_by(error)) from None
        if not got:
            other = read_address(data_dir)
            who = f"{other.url}, process {other.pid}" if other else "another process"
            raise Busy(
                f"the data directory {data_dir} is in use by a running emulator ({who})",
                hint="use that one, or stop it",
            )
        yield
