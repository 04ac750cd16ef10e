"""Grants, with which a client uploads and downloads files over HTTP.

A grant is derived from the token of the client's session, so that it stays valid when the emulator restarts.
"""

from __future__ import annotations

import hashlib
import hmac

from ckfunc.base.text import is_id
from ckfunc.emulator.http.problems import Denied
from ckfunc.emulator.store import sessions
from ckfunc.emulator.store.database import Database
from ckfunc.model.user import UserSession


def issued(database: Database, session_id: int, kind: str) -> str:
    """Return the grant of a session; `kind` is "read" or "write"."""
    token = sessions.token_of(database, session_id) or ""
    digest = hmac.new(token.encode(), kind.encode(), hashlib.sha256).hexdigest()
    return f"{kind}-{session_id}-{digest}"


def check_write(database: Database, grant: str | None) -> UserSession:
    """Return the session that a grant to upload belongs to. Raises Denied."""
    _, _, rest = (grant or "").partition("-")
    number, _, _ = rest.partition("-")
    session = None
    if is_id(number):
        session = sessions.get(database, int(number))
    if (
        session is None
        or sessions.token_of(database, session.id) is None
        or not hmac.compare_digest(issued(database, session.id, "write").encode(), (grant or "").encode())
    ):
        raise Denied("the grant to upload files is missing or wrong")
    return session
