"""Secrets with unique words that can be detected in any encoding."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

WORDS: Mapping[str, str] = {
    "cnryEnvOne71c0": "a value with all kinds of quotes",
    "cnryEnvPem5d5d": "a value of several lines",
    "cnryEnvFile0042": "a value from .env",
    "cnryRemote99aa": "a value that only the application has",
    "7142995530618": "a value that looks like a number",
    "cnrySecret5b7f": "the client secret",
    "cnryToken93ac": "the token",
    "cnryWrong13e8": "a client secret that is wrong",
}

ONE = "cnryEnvOne71c0 =& \"quoted\" 'too' \\ $HOME <b> é cnryEnvOne71c0"
PEM = "-----BEGIN KEY-----\ncnryEnvPem5d5d\n\ttabs  and  spaces  \n-----END KEY-----\n"
FILE = "cnryEnvFile0042"
REMOTE = "cnryRemote99aa"
NUMBER = "7142995530618"
WRONG = "cnryWrong13e8"


def forms(word: str) -> list[bytes]:
    """Return a word as plain text, and as it appears inside base64 and hexadecimal text."""
    raw = word.encode()
    found = [raw, raw.hex().encode(), raw[::-1]]
    for offset in range(3):
        # Only groups of three bytes within the word have the same base64 form at every offset.
        whole = raw[(3 - offset) % 3 :]
        found.append(base64.b64encode(whole[: len(whole) // 3 * 3]))
    found += [encoded.translate(bytes.maketrans(b"+/", b"-_")) for encoded in found[3:]]
    return found


_FORMS = {word: forms(word) for word in WORDS}


def leaks(data: bytes) -> list[str]:
    """Return the secrets that some data contains."""
    return [f"{WORDS[word]} ({word})" for word, those in _FORMS.items() if any(form in data for form in those)]


def leaking_files(top: Path, *, but: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the leaks in files below a directory; files that match patterns in `but` may contain secrets."""
    for directory, _, names in os.walk(top):
        for path in (Path(directory) / name for name in names):
            place = path.relative_to(top)
            if any(place.match(pattern) for pattern in but) or path.is_symlink() or not path.is_file():
                continue
            # Packages that are linked from the shared cache of the tests contain no secrets.
            if path.stat().st_nlink == 1:
                yield from (f"{place}: {leak}" for leak in leaks(path.read_bytes() + str(place).encode()))
