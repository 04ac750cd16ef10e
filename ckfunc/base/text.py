"""How text from elsewhere is made fit for a terminal."""

from __future__ import annotations

import re

# C0 but tab and newline, DEL, C1, and the characters that reorder or hide text (bidi controls, line separators).
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# Whole escape sequences first, so that no parameters of theirs are left standing.
_SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")


def printable(text: str) -> str:
    """Return `text` without terminal control sequences and control characters; tabs and newlines stay."""
    return _CONTROLS.sub("", _SEQUENCES.sub("", text.replace("\r\n", "\n")))
