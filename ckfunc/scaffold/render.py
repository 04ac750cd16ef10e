"""How a template becomes the text of a file."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from ckfunc.scaffold import locate

if TYPE_CHECKING:
    import jinja2


def render(template: str, /, **values: object) -> str:
    """Return the text of `template`, a path below the templates, without its `.j2`.

    A name that the template uses and `values` lacks is a bug (jinja2.UndefinedError).
    """
    return _environment().get_template(f"{template}.j2").render(**values)


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2  # here, so that only those commands pay for it that write files

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(locate.templates()),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - what is made is TypeScript, YAML and JSON, never HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
