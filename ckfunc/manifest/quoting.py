"""How a text is written as a YAML scalar, so that every reader takes it for that text."""

from __future__ import annotations

import json
import re

from ckfunc.manifest.interpolation import NAME
from ckfunc.manifest.scalars import retyped_as

_PLAIN = re.compile(r"[A-Za-z0-9_^][A-Za-z0-9_./^+-]*")
_REFERENCE = re.compile(rf"\$\{{{NAME}\}}")
# What JSON leaves as it is, and YAML 1.1 does not allow or takes for a line end.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def scalar(text: str, *, flow: bool = False) -> str:
    """Return `text` as a plain scalar where that is safe, else in double quotes; `flow` is for inside braces.

    Raises ValueError for lone surrogates, which YAML cannot hold.
    """
    if _PLAIN.fullmatch(text) and retyped_as(text) is None:
        return text
    if not flow and _REFERENCE.fullmatch(text):
        return text
    if any("\ud800" <= one <= "\udfff" for one in text):
        raise ValueError("YAML cannot hold a lone surrogate")
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
