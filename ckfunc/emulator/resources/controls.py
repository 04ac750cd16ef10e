"""The emulator's own controls: what only a platform on this machine can offer. No token is needed."""

from __future__ import annotations

import os

from ckfunc import __version__
from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.replies import Reply
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.resources.services import Services


def health(_call: Call, services: Services) -> Reply:
    """Answer with who this is: the database's id, the version, the process."""
    return Reply(
        {
            "id": services.database.id,
            "version": __version__,
            "dataDir": None if services.data_dir is None else str(services.data_dir),
            "pid": os.getpid(),
        }
    )


ROUTES = (Route("GET", "/emulator/health", health, Access.CONTROL),)
