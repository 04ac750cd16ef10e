"""Templates: their directory, and the texts rendered from them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import CkfuncError

if TYPE_CHECKING:
    import jinja2


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


def render(template: str, /, **values: object) -> str:
    """Return the text of `template`, a path below the templates, without its `.j2`.

    A name that the template uses and `values` lacks is a bug (jinja2.UndefinedError).
    """
    return _environment().get_template(f"{template}.j2").render(**values)


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2  # here, so that only those commands pay for it that write files

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates()),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - what is made is TypeScript, YAML and JSON, never HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
