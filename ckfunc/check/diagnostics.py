"""Parser for the output of the TypeScript compiler.

It reads the pretty output, because the plain output does not contain the length of the code at fault. The format is
that of the one compiler version that ckfunc installs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ckfunc.check.findings import Finding

_COLOUR = "\x1b\\[[0-9;]*m"
_ERROR = re.compile(
    rf"{_COLOUR}(?P<path>[^\x1b]+){_COLOUR}:{_COLOUR}(?P<line>\d+){_COLOUR}:{_COLOUR}(?P<column>\d+){_COLOUR} - "
    rf"{_COLOUR}error{_COLOUR}{_COLOUR} (?P<code>TS\d+): {_COLOUR}(?P<message>.*)"
)
_ERROR_WITHOUT_PLACE = re.compile(rf"{_COLOUR}error{_COLOUR}{_COLOUR} (?P<code>TS\d+): {_COLOUR}(?P<message>.*)")
_UNDERLINE = re.compile(rf"\x1b\[7m *\x1b\[0m {_COLOUR} *(?P<waves>~+){_COLOUR}")
_FILE = re.compile(r"(?:/|[A-Za-z]:/|\\\\|//)[^\x1b]*$")


@dataclass(frozen=True, slots=True)
class CompilerReport:
    """The output of a compiler run. `files` are absolute paths; a finding without a place has the path ""."""

    findings: tuple[Finding, ...]
    files: tuple[Path, ...]


def parse(text: str) -> CompilerReport:
    """Parse the output of `tsc --pretty true --listFiles`."""
    errors: list[dict[str, str]] = []
    files: list[Path] = []
    in_message = False
    for line in text.splitlines():
        if error := _ERROR.match(line) or _ERROR_WITHOUT_PLACE.match(line):
            errors.append(error.groupdict())
            in_message = True
        elif in_message and line.startswith("  ") and not line.lstrip().startswith("\x1b"):
            errors[-1]["message"] += f"\n{line}"
        elif _FILE.match(line):
            files.append(Path(line))
            in_message = False
        else:
            in_message = False
            if errors and "waves" not in errors[-1] and (underline := _UNDERLINE.match(line)):
                errors[-1]["waves"] = underline["waves"]
    return CompilerReport(tuple(_finding(error) for error in errors), tuple(files))


def _finding(error: dict[str, str]) -> Finding:
    return Finding(
        path=error.get("path", ""),
        line=int(error.get("line", 0)),
        column=int(error.get("column", 0)),
        code=error["code"],
        message=error["message"],
        length=len(error.get("waves", "~")),
    )
