"""Error answers of the platform, with their statuses and bodies.

Source: the Platform API document and the vendor's OpenAPI document; only 400, 401, 403 and 404 are documented.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ckfunc.base.clock import timestamp


class HttpProblem(Exception):
    """An error answer; `explanation` is a sentence for the developer who sent the request."""

    status = 400
    error = "ClientError"
    text = "A client error occurred, check your request"

    def __init__(self, explanation: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(explanation)
        self.explanation = explanation
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """Return the body, an ApiError."""
        return {
            "error": self.error,
            "message": self.text,
            "explanation": self.explanation,
            "timestamp": timestamp(datetime.now(UTC)),
        }


class Refused(HttpProblem):
    """400: the request cannot be carried out as it is."""


class Missing(HttpProblem):
    """404: there is no such resource, or no such path."""

    status = 404
    error = "ResourceNotFoundError"
    text = "Resource not found"


class Unauthorized(HttpProblem):
    """401: the token is missing, unknown or expired."""

    status = 401
    error = "unauthorized"
    text = "Full authentication is required to access this resource"

    def document(self) -> dict[str, Any]:
        """Return the body, an AuthenticationError."""
        return {"error": self.error, "error_description": self.text}


class Denied(Unauthorized):
    """403: the caller may not do this."""

    status = 403
    error = "access_denied"
    text = "Access is denied"

    def document(self) -> dict[str, Any]:
        """Return the body, an AuthenticationError with the reason."""
        return {**super().document(), "explanation": self.explanation}


class Unstorable(HttpProblem):
    """500: the disk is full or refuses writes, or the database is damaged; the explanation says what to do."""

    status = 500
    error = "StorageError"
    text = "The emulator's database cannot be used"


class Unavailable(HttpProblem):
    """503: something that the answer needs cannot be had now."""

    status = 503
    error = "ServiceUnavailableError"
    text = "The emulator cannot answer this now"


class Broken(HttpProblem):
    """500: a bug in the emulator."""

    status = 500
    error = "InternalError"
    text = "The emulator failed; this is a bug in ckfunc"
