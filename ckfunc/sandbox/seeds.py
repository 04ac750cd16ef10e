"""Read seed files, and add them to an emulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ckfunc.api import Client, Connection
from ckfunc.api.connection import emulator_connection
from ckfunc.api.emulator import post_seed
from ckfunc.base.errors import Busy, CkfuncError
from ckfunc.base.files import read_file
from ckfunc.emulator.data import seed_data
from ckfunc.emulator.data_directory import find_running
from ckfunc.emulator.seed_text import read_seed_text
from ckfunc.model.job import Seed, Seeded


def read_seed_file(file: Path, shown: str) -> tuple[Seed, Any]:
    """Return the seed in a YAML or JSON file, and the document itself.

    Messages call the file `shown`. Raises InvalidFiles with the position of a mistake.
    """
    try:
        text = read_file(file, pipe=True).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CkfuncError(
            f"cannot read the seed {shown}: {_why(error)}", hint="a seed is a YAML or JSON file in UTF-8"
        ) from None
    return read_seed_text(text, shown)


def add_seed(seed: Seed, document: Any, data: Path, connect: Callable[[Connection], Client]) -> Seeded:
    """Add a seed to the emulator of the directory `data`, running or not. `document` is the seed as JSON.

    `connect` creates a client for a running emulator. Raises CkfuncError and ApiFailure.
    """
    if (url := find_running(data)) is not None:
        return _add_to_running(url, document, connect)
    try:
        return seed_data(data, seed)
    except Busy:
        # An emulator may have started since find_running.
        if (url := find_running(data)) is None:
            raise
        return _add_to_running(url, document, connect)


def _add_to_running(url: str, document: Any, connect: Callable[[Connection], Client]) -> Seeded:
    with connect(emulator_connection(url)) as client:
        return post_seed(client, document)


def _why(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]
