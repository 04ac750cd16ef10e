"""Hooks: commands of the project that run before and after a deploy."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

from ckfunc.base.errors import CkfuncError
from ckfunc.base.text import cut, printable

_MOST_COLUMNS = 60


class HookFailed(CkfuncError):
    """A hook ended with an error."""


def run_hook(name: str, command: str | None, document: Any, root: Path, *, failed: str) -> None:
    """Run a command of functions.yaml in the shell, in the project's directory. Raises HookFailed.

    Its standard input is `document` as JSON. Its output goes to standard error, so that standard output only has the
    results of the deploy. `failed` is the end of the message about a failure.
    """
    if command is None:
        return
    text = json.dumps(document, indent=2)
    process = subprocess.Popen(command, shell=True, cwd=root, stdin=subprocess.PIPE, stdout=2, encoding="utf-8")  # noqa: S602 - the project's own command
    with process:
        try:
            process.communicate(text)
        except BrokenPipeError:  # the hook does not read its input
            pass
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        shown = cut(printable(command).replace("\n", " "), _MOST_COLUMNS)
        raise HookFailed(
            f"the hook {name} (`{shown}`) {_ended(process.returncode)}; {failed}", _hint(process.returncode)
        )


def _ended(code: int) -> str:
    if code < 0:
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
    return f"failed with exit code {code}"


def _hint(code: int) -> str | None:
    """Return a hint for the exit codes with which POSIX shells report commands that they cannot run."""
    if code == 127:
        return "the command was not found: install it, or fix `hooks` in functions.yaml"
    if code == 126:
        return "the command cannot be executed: check its permissions, or fix `hooks` in functions.yaml"
    return None
