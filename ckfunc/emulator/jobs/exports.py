"""What exports do: rows become a file, which everybody who knows its address can download."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from ckfunc.emulator.jobs.runner import Attempt
from ckfunc.emulator.store import files
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.files import StoredFile
from ckfunc.emulator.store.steps import Steps

_BATCH_ROWS = 500


def export(attempt: Attempt, name: str, rows: Callable[[Database], Iterator[dict[str, Any]]]) -> Steps:
    """Make a file of `rows`, a JSON array with a line for each, and finish the job with it."""
    lines: list[str] = []
    for row in rows(attempt.database):
        lines.append(json.dumps(row, ensure_ascii=False))
        if len(lines) % _BATCH_ROWS == 0:
            yield
    content = f"[{','.join(chr(10) + line for line in lines)}\n]\n".encode("utf-8", "replace")
    file = StoredFile(f"{name}-{attempt.job_id}.json", "application/json", content)
    with attempt.turn():
        attempt.finish(files.FILE_URL + files.add(attempt.database, file))
