"""Commands named in hints, completed with the target or data directory in use."""

from __future__ import annotations

import re
import shlex

from ckfunc.cli.settings import Settings

_TARGETED = "deploy|diff|logs|pull|replay|rollback|show|trigger|undo|versions|watch"
_COMMAND = re.compile(rf"`ckfunc ({_TARGETED}|emulator (?:export|import|reset|seed)|emulator)(?=[ `])([^`]*)`")


def completed(hint: str, settings: Settings) -> str:
    """Return a hint whose commands work on what this command works on.

    Without that, `ckfunc deploy` in a hint would go to the default target, and `ckfunc emulator reset` would delete the
    data of the project, although the user has named another target or another directory.
    """

    def with_option(found: re.Match[str]) -> str:
        name, rest = found[1], found[2]
        if name.startswith("emulator"):
            option, value = "--data-dir", settings.data_dir and str(settings.data_dir)
        else:
            option, value = "--target", settings.target
        if not value or option in rest or "--plan" in rest:  # a plan names its target
            return found[0]
        return f"`ckfunc {name} {option} {shlex.quote(value)}{rest}`"

    return _COMMAND.sub(with_option, hint)
