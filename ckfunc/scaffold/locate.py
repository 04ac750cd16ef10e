"""Where the templates are: inside an installed package, or at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

from ckfunc.base.errors import CkfuncError

_PACKAGE = Path(__file__).resolve().parent.parent


def templates(package: Path = _PACKAGE) -> Path:
    """Return the directory of the templates that belong to `package`, the directory of ckfunc itself.

    A wheel has them as `ckfunc/_templates`, a checkout as `templates/` beside `ckfunc/`. Raises CkfuncError when
    the installation has neither.
    """
    for place in (package / "_templates", package.parent / "templates"):
        if (place / "handler.ts.j2").is_file():
            return place
    raise CkfuncError(
        f"the templates are missing from this installation of ckfunc ({package})",
        hint="install ckfunc again: pip install --force-reinstall ckfunc",
    )
