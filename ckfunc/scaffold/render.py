"""Templates: their directory, and rendering."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import CkfuncError

if TYPE_CHECKING:
    import jinja2


_PACKAGE = Path(__file__).resolve().parent.parent


def templates(package: Path = _PACKAGE) -> Path:
    """Return the directory of the templates; `package` is the directory of ckfunc's code.

    It is `ckfunc/_templates` in a wheel, and `templates/` next to `ckfunc/` in a checkout. Raises CkfuncError if the
    installation has neither.
    """
    for directory in (package / "_templates", package.parent / "templates"):
        if (directory / "handler.ts.j2").is_file():
            return directory
    raise CkfuncError(
        f"the templates are missing from this installation of ckfunc ({package})",
        hint="reinstall ckfunc: `pip install --force-reinstall ckfunc`",
    )


def render(template: str, /, **values: object) -> str:
    """Render `template`, a path below the templates without `.j2`.

    A missing name in `values` is a bug (jinja2.UndefinedError).
    """
    return _environment().get_template(f"{template}.j2").render(**values)


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2  # here, because only commands that write files need it

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates()),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - the output is TypeScript, YAML and JSON, never HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
