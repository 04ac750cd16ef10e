"""What an answer of the platform means: its JSON, or the sentence that says why there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ckfunc.base.errors import (
    ApiFailure,
    CredentialsRejected,
    NotFound,
    RequestRejected,
    ServiceTrouble,
    UnreadableAnswer,
)
from ckfunc.base.secrets import masked
from ckfunc.base.text import printable

if TYPE_CHECKING:
    from ckfunc.api.transport import Answer

EXPLANATION_LIMIT = 500
EXCERPT_LIMIT = 80

_EXPLAINING = ("message", "explanation", "error_description", "detail", "title", "error")
_DOING = {"GET": "reading", "PUT": "updating", "POST": "creating"}


def doing(method: str, what: str) -> str:
    """Return what a request was to do, such as "reading the runtime"."""
    return f"{_DOING.get(method, method)} {what}"


def document(answer: Answer, action: str, where: str) -> Any:
    """Return the JSON of a good answer; raises UnreadableAnswer, which never quotes what may be JSON."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise UnreadableAnswer(
            f"{action}: {where} answered {answer.status} with {_described(answer)}",
            hint="check CHATKITTY_API_URL; a proxy or a sign-in page may answer in the platform's place",
            status=answer.status,
        ) from None


def failure(answer: Answer, method: str, what: str, where: str, hidden: Collection[str] = ()) -> ApiFailure:
    """Return the error for an answer that is not 2xx. Nothing in `hidden` appears in it."""
    status = answer.status
    action = doing(method, what)
    said = hide(explanation(answer.body), hidden)
    because = f": {said}" if said else ""
    if status == 401:
        return CredentialsRejected(
            f"{action}: {where} does not accept these credentials{because}",
            hint="check CHATKITTY_CLIENT_ID and CHATKITTY_CLIENT_SECRET",
            status=status,
        )
    if status == 403:
        return CredentialsRejected(
            f"{action}: these credentials do not allow it{because}",
            hint="give the client the scopes it needs in the dashboard",
            status=status,
        )
    if status == 404:
        return NotFound(
            f"{action}: {where} knows no such thing{because}",
            hint="check CHATKITTY_API_URL, and that the credentials belong to the application you mean",
            status=status,
        )
    if status == 429 or status >= 500:
        return ServiceTrouble(
            f"{action}: {where} answered {status}{because}",
            hint="wait a little and run the command again: what is done stays done",
            status=status,
        )
    if status < 400:
        return UnreadableAnswer(
            f"{action}: {where} answered {status}, which the platform does not send; redirects are not followed",
            hint="check CHATKITTY_API_URL",
            status=status,
        )
    return RequestRejected(
        f"{action}: {where} refused it with {status}{because}",
        hint="change what it names and run the command again" if because else "try it in the dashboard, to learn why",
        status=status,
    )


def explanation(body: bytes) -> str:
    """Return the platform's own words in an error body, on one line and safe to show; "" if it has none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(found, dict):
        return ""
    words: list[str] = []
    for name in _EXPLAINING:
        value = found.get(name)
        text = one_line(value) if isinstance(value, str) else ""
        # `error` and `title` are bare codes; they serve when there is nothing better.
        if text and text not in words and not (words and name in ("error", "title")):
            words.append(text)
    return shortened("; ".join(words), EXPLANATION_LIMIT)


def one_line(text: str) -> str:
    """Return remote text without control characters, its runs of white space as single spaces."""
    return " ".join(printable(text).split())


def shortened(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`, with a mark where some are missing."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def hide(text: str, hidden: Collection[str]) -> str:
    """Return `text` with every secret in it masked."""
    known = sorted({one for one in hidden if one}, key=len, reverse=True)
    if not known:
        return text
    return re.sub("|".join(map(re.escape, known)), lambda found: masked(found[0]), text)


def _described(answer: Answer) -> str:
    kind = shortened(one_line(answer.headers.get("content-type", "")), EXCERPT_LIMIT) or "no content type"
    if not answer.body.strip():
        return f"nothing ({kind})"
    if answer.body.lstrip()[:1] in (b"{", b"["):
        # Broken JSON of a runtime holds environment values.
        return f"JSON that is broken or cut off ({kind}, {len(answer.body)} bytes)"
    start = one_line(answer.body[:4096].decode("utf-8", "replace"))
    return f"something that is not JSON ({kind}): {shortened(start, EXCERPT_LIMIT)}"
