"""Responses of the platform, as JSON or as errors with a hint."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ckfunc.base.errors import (
    LOG_IN,
    ApiFailure,
    CredentialsRejected,
    NotFound,
    RequestRejected,
    ServiceTrouble,
    UnreadableAnswer,
)
from ckfunc.base.secrets import Masker, Secret
from ckfunc.base.text import one_line, shortened

if TYPE_CHECKING:
    from ckfunc.api.transport import Answer

EMULATOR_HEADER = "x-ckfunc-emulator"
"""A header of every response of an emulator."""

EXPLANATION_LIMIT = 500
EXCERPT_LIMIT = 80
# Much longer than the excerpt, so that a secret in the excerpt is complete and can be masked.
_EXCERPT_SOURCE = 64 * 1024

_EXPLANATION_FIELDS = ("message", "explanation", "error_description", "detail", "title", "error")
_VERBS = {"GET": "reading", "PUT": "updating", "POST": "creating"}


def purpose(method: str, subject: str) -> str:
    """Return the purpose of a request, such as "reading the runtime"."""
    return f"{_VERBS.get(method, method)} {subject}"


def document(answer: Answer, action: str, server: str, hidden: Collection[Secret] = ()) -> Any:
    """Return the JSON of a 2xx response. Raises UnreadableAnswer, which contains no JSON and none of `hidden`."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise UnreadableAnswer(
            f"{action}: {server} answered {answer.status} with {_description(answer, hidden)}",
            hint=f"{LOG_IN}, or check CHATKITTY_API_URL"
            if is_sign_in_page(answer)
            else "check CHATKITTY_API_URL; a proxy may have answered instead of the platform",
            status=answer.status,
        ) from None


def is_sign_in_page(answer: Answer) -> bool:
    """Return whether a network that requires a login answered instead of the platform.

    It answers with 511, or with a page or redirect. Source: RFC 6585 section 6.
    """
    page = answer.body.lstrip()[:1] == b"<" or answer.headers.get("content-type", "").startswith("text/html")
    return answer.status == 511 or (answer.status < 400 and page)


def failure(answer: Answer, method: str, subject: str, server: str, hidden: Collection[Secret] = ()) -> ApiFailure:
    """Return the error for a response that is not 2xx; it contains none of `hidden`."""
    status = answer.status
    action = purpose(method, subject)
    reason = explanation(answer.body, hidden)
    because = f": {reason}" if reason else ""
    kind: type[ApiFailure]
    hint: str | None
    if status == 401:
        kind, problem = CredentialsRejected, f"{server} does not accept these credentials{because}"
        hint = "check CHATKITTY_CLIENT_ID and CHATKITTY_CLIENT_SECRET"
    elif status == 403:
        kind, problem = CredentialsRejected, f"these credentials do not allow it{because}"
        hint = "grant the client the required scopes in the ChatKitty dashboard"
    elif status == 404:
        kind, problem = NotFound, f"not found (404) at {server}{because}"
        hint = "check CHATKITTY_API_URL, and that the credentials belong to the right application"
        if EMULATOR_HEADER in answer.headers:
            hint = "it may have been removed by a change or reset of the emulator's data"
    elif status == 511:
        kind, problem, hint = ServiceTrouble, "the network requires a login (511)", LOG_IN
    elif status == 429 or status >= 500:
        stored = _storage_failure(answer.body)
        kind, problem = ServiceTrouble, stored or f"{server} answered {status}{because}"
        hint = None if stored else "wait a moment and run the command again; finished steps are not repeated"
    elif status < 400:
        kind = UnreadableAnswer
        problem = f"{server} answered {status}, an unexpected status; redirects are not followed"
        hint = f"check CHATKITTY_API_URL; if this network requires a login, {LOG_IN}"
    else:
        kind, problem = RequestRejected, f"{server} rejected the request with {status}{because}"
        hint = "try the same in the ChatKitty dashboard to see the reason"
        if because:
            hint = "fix the problem and run the command again"
    return kind(f"{action}: {problem}", hint=hint, status=status)


def explanation(body: bytes, hidden: Collection[Secret] = ()) -> str:
    """Return the platform's explanation in an error body, on one line and safe to show; "" if there is none.

    It contains none of `hidden`.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict):
        return ""
    words: list[str] = []
    for name in _EXPLANATION_FIELDS:
        value = document.get(name)
        # Secrets are masked first, because they cannot be recognised in shortened text.
        text = one_line(Masker(hidden)(value)) if isinstance(value, str) else ""
        # `error` and `title` are only codes, used if there is nothing better.
        if text and text not in words and not (words and name in ("error", "title")):
            words.append(text)
    return shortened("; ".join(words), EXPLANATION_LIMIT)


def _storage_failure(body: bytes) -> str | None:
    """Return the emulator's explanation of a database failure, or None for another error body."""
    with suppress(ValueError, RecursionError):
        document = json.loads(body)
        if isinstance(document, dict) and document.get("error") == "StorageError" and document.get("explanation"):
            return shortened(one_line(str(document["explanation"])), EXPLANATION_LIMIT)
    return None


def _description(answer: Answer, hidden: Collection[Secret]) -> str:
    mask = Masker(hidden)
    kind = shortened(one_line(mask(answer.headers.get("content-type", ""))), EXCERPT_LIMIT) or "no content type"
    if not answer.body.strip():
        return f"an empty body ({kind})"
    if answer.body.lstrip()[:1] in (b"{", b"["):
        # Not quoted, because JSON of a runtime contains environment values.
        return f"invalid or truncated JSON ({kind}, {len(answer.body)} bytes)"
    start = one_line(mask(answer.body[:_EXCERPT_SOURCE].decode("utf-8", "replace")))
    return f"content that is not JSON ({kind}): {shortened(start, EXCERPT_LIMIT)}"
