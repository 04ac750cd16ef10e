"""Who deploys to an application from this machine: one at a time, whichever checkout they work in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ckfunc.base.clock import Clock, timestamp
from ckfunc.base.digests import digest
from ckfunc.base.errors import Busy
from ckfunc.base.files import cache_dir, locked, read_file, write_atomically


@contextmanager
def deploying_alone(identity: str | None, root: Path, clock: Clock) -> Iterator[None]:
    """Hold the application's lock. The system frees it when the process ends, however it ends: it is never stale.

    Raises Busy when another process has it.
    """
    if identity is None:
        yield
        return
    path = cache_dir() / "locks" / f"{digest(identity)[:32]}.lock"
    holder = path.with_suffix(".json")
    with locked(path, wait_s=0) as got:
        if not got:
            raise Busy(
                f"another ckfunc deploys to this application right now{_who(holder)}; nothing was written",
                hint="wait until it has ended, look at `ckfunc diff`, then deploy again",
            )
        with suppress(OSError):
            about = {"pid": os.getpid(), "since": timestamp(clock.now()), "project": str(root)}
            write_atomically(holder, json.dumps(about))
        try:
            yield
        finally:
            with suppress(OSError):
                holder.unlink()


def _who(holder: Path) -> str:
    try:
        about = json.loads(read_file(holder))
        return f" (process {int(about['pid'])}, in {about['project']!s}, since {about['since']!s})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
