"""Detect and replace secrets in a recorded run.

Equal secrets get equal placeholders.
"""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from ckfunc.api.connection import EMULATOR_CREDENTIAL
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.model.application import PLATFORM_PREFIX

_OPAQUE = {"authparams"}
_SECRETIVE = re.compile(
    r"token|secret|passw(?:or)?d|passphrase|passcode|authorization|apikey|accesskey|privatekey|clientkey|credential"
    r"|cookie|jwt|bearer|signature|pwd|sessionid|auth$|^pass$|^sid$|^otp$|^pin$"
)
# Numbers with other names are usually counts ("tokens: 12"), not secrets.
_NUMERIC = re.compile(r"secret|passw(?:or)?d|passcode|pwd|^pass$|^otp$|^pin$|^authparams$")
# Source of the format: RFC 7519. Every header begins with `{"`, which is eyJ in base64url.
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_IN_ADDRESS = re.compile(
    r"(?i)((?:token|secret|passw(?:or)?d|api[_-]?key|access_?key|signature|pwd|jwt|(?<![a-z])(?:sig|key|auth|pass|sid))=)"
    r"([^&\s#\"']{3,})"
)
_USER_INFO = re.compile(r"(://)([^/@\s:]*:[^/@\s]+)(?=@)")
_LONG = re.compile(r"[A-Za-z0-9+/_=-]{20,}")
_HARMLESS = {"true", "false", "null", "undefined", "none", EMULATOR_CREDENTIAL}
_LEAST_EQUAL = 4
"""The minimum length of an environment variable's value that is recognized as a whole text."""
_LEAST_PART = 6
"""The minimum length of a secret that is searched inside longer texts."""


@frozen
class ReplacedSecret:
    """A replaced secret: its place, the reason, and the placeholder."""

    place: str
    reason: str
    placeholder: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason} (replaced by {self.placeholder})"


class Redactor:
    """Replaces secrets in several documents. `environment` holds names and values of known variables."""

    def __init__(self, environment: Iterable[tuple[str, Secret]]) -> None:
        texts = ((name, value.reveal()) for name, value in environment if _may_be_secret(name))
        self._environment = {
            text: name for name, text in texts if len(text) >= _LEAST_EQUAL and text.lower() not in _HARMLESS
        }
        self._encoded = {text: name for value, name in self._environment.items() for text in _encodings(value)}
        self._placeholders: dict[str, str] = {}
        self.redactions: list[ReplacedSecret] = []

    @property
    def variables(self) -> dict[str, str]:
        """The user's variables whose values were found, with the placeholders of the values."""
        values = {
            self._environment[secret]: text
            for secret, text in self._placeholders.items()
            if secret in self._environment and not self._environment[secret].startswith(PLATFORM_PREFIX)
        }
        return dict(sorted(values.items()))

    def learn(self, document: Any, place: str) -> None:
        """Find the secrets in a document. `place` is its name in reports."""
        leaves = list(_leaves(document, place))
        for at, names, leaf in leaves:
            for reason, secret in _secrets(at, names, leaf):
                self._add(at, reason, secret)
        for at, text in [(at, leaf) for at, _, leaf in leaves if isinstance(leaf, str)]:
            for value, name in self._environment.items():
                if text == value or (len(value) >= _LEAST_PART and value in text):
                    self._add(at, f"the value of {name}", value)
            for encoding, name in self._encoded.items():
                if encoding in text:
                    self._add(at, f"the value of {name}, encoded", encoding)

    def redacted(self, document: Any, *, secretive: bool = False) -> Any:
        """Return a document with all learned secrets replaced."""
        if isinstance(document, dict):
            return {
                self._text(name): self.redacted(value, secretive=secretive or _is_numeric(name))
                for name, value in document.items()
            }
        if isinstance(document, list):
            return [self.redacted(item, secretive=secretive) for item in document]
        if isinstance(document, str):
            return self._text(document)
        return 0 if secretive and _is_number(document) else document

    def _add(self, place: str, reason: str, secret: str) -> None:
        if secret not in self._placeholders:
            self._placeholders[secret] = _placeholder(secret, len(self._placeholders) + 1)
        replaced = ReplacedSecret(place, reason, self._placeholders[secret])
        if (place, replaced.placeholder) not in {(each.place, each.placeholder) for each in self.redactions}:
            self.redactions.append(replaced)

    def _text(self, text: str) -> str:
        if text in self._placeholders:
            return self._placeholders[text]
        for form in (_USER_INFO, _IN_ADDRESS):  # here, short secrets are replaced too, because their ends are known
            text = form.sub(lambda match: match[1] + self._placeholders.get(match[2], match[2]), text)
        for secret in sorted(self._placeholders, key=len, reverse=True):
            if len(secret) >= _LEAST_PART:
                text = text.replace(secret, self._placeholders[secret])
        return text


def _leaves(document: Any, place: str, names: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """Yield each value that is no mapping or list, with its place and the keys that lead to it."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from _leaves(value, f"{place}.{name}", (*names, name))
    elif isinstance(document, list):
        for index, item in enumerate(document):
            yield from _leaves(item, f"{place}[{index}]", names)
    else:
        yield place, names, document


def _secrets(place: str, names: Iterable[str], leaf: Any) -> Iterator[tuple[str, str]]:
    """Yield reason and text of each secret in a value. Under a secretive key, every text is one, and some numbers."""
    reason = next((f"its name is {name}" for name in names if _is_secretive(name)), None)
    if isinstance(leaf, str) and reason is None:
        yield from _parts(leaf)
    elif isinstance(leaf, str):
        if len(leaf) > 1 and leaf.lower() not in _HARMLESS:
            yield reason or "", leaf
    elif _is_number(leaf) and any(map(_is_numeric, names)):
        # Numbers are only replaced at this place, because too many other numbers are equal.
        yield reason or "it is a number", f"\0{place}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Yield reason and text of each part of a text that looks like a secret."""
    for match in _JWT.finditer(text):
        yield "a JSON web token", match[0]
    for match in _USER_INFO.finditer(text):
        yield "credentials in an address", match[2]
    for match in _IN_ADDRESS.finditer(text):
        yield "a secret in an address", match[2]
    for match in _UUID.finditer(text):
        yield "it looks like a key", match[0]
    rest = _UUID.sub(" ", _JWT.sub(" ", text))
    for match in _LONG.finditer(rest):
        if _is_random(match[0]):
            yield "it is long and random", match[0]


def _encodings(value: str) -> Iterator[str]:
    """Yield the encodings of a value in URLs and headers that differ from it, if the value is long enough."""
    if len(value) >= _LEAST_PART:
        coded = base64.b64encode(value.encode()).decode().rstrip("=")
        forms = (quote(value, safe=""), coded, coded.translate(str.maketrans("+/", "-_")))
        yield from (form for form in dict.fromkeys(forms) if form != value)


def _is_random(text: str) -> bool:
    """Return whether a long text looks random rather than like words or a path: digits among letters, high entropy."""
    letters, digits = re.search(r"[A-Za-z]", text), re.search(r"[0-9]", text)
    if re.fullmatch(r"[0-9a-fA-F]{20,}", text):
        return letters is not None and digits is not None and _bits(text) >= 2.8
    mixed = min(len(re.findall(pattern, text)) for pattern in ("[a-z]", "[A-Z]")) > 3
    if not (letters and (digits or (mixed and len(text) >= 32))):
        return False
    longest = max(len(part) for part in re.split(r"[/_=+-]", text))
    return longest >= 16 and _bits(text) >= 3.5


def _bits(text: str) -> float:
    """Return the entropy of a text in bits per character."""
    size = len(text)
    return -sum(count / size * math.log2(count / size) for count in Counter(text).values())


def _is_secretive(name: str) -> bool:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return plain in _OPAQUE or bool(_SECRETIVE.search(plain))


def _is_numeric(name: str) -> bool:
    return bool(_NUMERIC.search(re.sub(r"[^a-z0-9]", "", name.lower())))


def _placeholder(secret: str, number: int) -> str:
    """Return a placeholder of the same form as the secret, so that handlers that check the form still work."""
    if secret.startswith("\0"):
        return "0"
    if _UUID.fullmatch(secret):
        return f"00000000-0000-4000-8000-{number:012}"
    if "@" in secret and "://" not in secret:
        return f"redacted-{number}@example.com"
    if secret.isascii() and secret.isdigit():
        return str(number).zfill(len(secret))[-len(secret) :]
    return f"redacted-{number}"


def _may_be_secret(name: str) -> bool:
    """Return whether a variable's value may be secret: the platform's addresses and the application's id are not."""
    return not name.startswith(PLATFORM_PREFIX) or "CLIENT" in name
