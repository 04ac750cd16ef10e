"""Which files would mend imports that lead nowhere: a watch waits for them to appear."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from ckfunc.check.findings import Finding
from ckfunc.check.subject import SCRIPT_SUFFIXES

_NOT_FOUND = re.compile(r"^Cannot find module '(\.[^']*)'")


def sought(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the paths, below the project, that relative imports without a file may have meant."""
    found: dict[str, None] = {}
    for one in findings:
        if said := _NOT_FOUND.match(one.message):
            base = posixpath.normpath(posixpath.join(posixpath.dirname(one.path), said[1]))
            stem, suffix = posixpath.splitext(base)
            bases = (base, stem) if suffix in SCRIPT_SUFFIXES else (base,)
            found[base] = None
            found.update((path + end, None) for path in bases for end in (*SCRIPT_SUFFIXES, ".d.ts", "/index.ts"))
    return tuple(found)
