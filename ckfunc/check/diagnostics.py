"""The TypeScript compiler's report: mistakes with their source, and files read.

The report is the pretty one, because the plain one does not tell how long the wrong part is. Its form belongs to the
one version of the compiler that ckfunc installs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ckfunc.check.findings import Finding

_COLOUR = "\x1b\\[[0-9;]*m"
_HEAD = re.compile(
    rf"{_COLOUR}(?P<path>[^\x1b]+){_COLOUR}:{_COLOUR}(?P<line>\d+){_COLOUR}:{_COLOUR}(?P<column>\d+){_COLOUR} - "
    rf"{_COLOUR}error{_COLOUR}{_COLOUR} (?P<code>TS\d+): {_COLOUR}(?P<message>.*)"
)
_PLACELESS = re.compile(rf"{_COLOUR}error{_COLOUR}{_COLOUR} (?P<code>TS\d+): {_COLOUR}(?P<message>.*)")
_SQUIGGLE = re.compile(rf"\x1b\[7m *\x1b\[0m {_COLOUR} *(?P<waves>~+){_COLOUR}")
_FILE = re.compile(r"(?:/|[A-Za-z]:/|\\\\|//)[^\x1b]*$")


@dataclass(frozen=True, slots=True)
class CompilerReport:
    """What a run of the compiler came to. `files` are absolute paths; a finding without a place has the path ""."""

    findings: tuple[Finding, ...]
    files: tuple[Path, ...]


def parse(text: str) -> CompilerReport:
    """Return what `tsc --pretty true --listFiles` printed."""
    found: list[dict[str, str]] = []
    files: list[Path] = []
    in_message = False
    for line in text.splitlines():
        if head := _HEAD.match(line) or _PLACELESS.match(line):
            found.append(head.groupdict())
            in_message = True
        elif in_message and line.startswith("  ") and not line.lstrip().startswith("\x1b"):
            found[-1]["message"] += f"\n{line}"
        elif _FILE.match(line):
            files.append(Path(line))
            in_message = False
        else:
            in_message = False
            if found and "waves" not in found[-1] and (squiggle := _SQUIGGLE.match(line)):
                found[-1]["waves"] = squiggle["waves"]
    return CompilerReport(tuple(_finding(one) for one in found), tuple(files))


def _finding(said: dict[str, str]) -> Finding:
    return Finding(
        path=said.get("path", ""),
        line=int(said.get("line", 0)),
        column=int(said.get("column", 0)),
        code=said["code"],
        message=said["message"],
        length=len(said.get("waves", "~")),
    )
