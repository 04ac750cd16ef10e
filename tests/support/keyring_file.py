"""A keyring for tests, in the file CKFUNC_TEST_KEYRING."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

TRUSTED = "support.keyring_file.FileKeyring"
"""The value of CKFUNC_KEYRING that makes ckfunc use it."""


class FileKeyring(KeyringBackend):
    """Keeps passwords as JSON; `refuses` makes every call fail as a locked keyring does."""

    priority = 1  # type: ignore[assignment]  # a property in the base class
    name = "the tests' keyring"

    def __init__(self) -> None:
        super().__init__()
        self.refuses = False

    @property
    def _file(self) -> Path:
        return Path(os.environ["CKFUNC_TEST_KEYRING"])

    def entries(self) -> dict[str, str]:
        if self.refuses:
            raise RuntimeError("locked: " + "the text of an error may quote anything")
        return json.loads(self._file.read_text()) if self._file.exists() else {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._file.write_text(json.dumps({**self.entries(), f"{service}/{username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        kept = self.entries()
        if kept.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError("there is none")
        self._file.write_text(json.dumps(kept))
