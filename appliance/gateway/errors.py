"""What the gateway refuses or cannot do, as the caller sees it.

    HttpError (SovereignError)          status, code, OpenAI type; one line for a person, never a stack
    ├── MalformedError (400)            the request is not one this server can answer (n > 1, wrong host)
    ├── UnauthenticatedError (401)      no valid token or session
    ├── ForbiddenError (403)            entitlements or cross-site rules say no
    ├── NotFoundError (404)             nothing there, or not the caller's
    ├── ConflictError (409)             the conversation is busy, or the message is not the last one
    ├── TooLargeError (413)             the body is over the cap
    ├── UnprocessableError (422)        the body is understood and wrong; ``param`` names the field
    ├── ExhaustedError (429)            a quota or the engine's queue is full; ``retry_after`` seconds
    └── NotReadyError (503)             database, log, engine or sign-in does not answer

``problems`` renders them: OpenAI's error object under /v1, problem details (RFC 9457) elsewhere.
"""

from __future__ import annotations

from typing import ClassVar

from appliance.errors import SovereignError


class HttpError(SovereignError):
    """A failure that has a status code. ``code`` is stable and documented; ``cause`` may be reworded."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "internal error"
    openai_type: ClassVar[str] = "server_error"
    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        cause: str,
        hint: str | None = None,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(cause, hint)
        self.code = code or self.default_code
        self.param = param
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Headers that this refusal must carry."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class MalformedError(HttpError):
    """The request is not one this server can answer."""

    status = 400
    title = "bad request"
    openai_type = "invalid_request_error"
    default_code = "bad_request"


class UnauthenticatedError(HttpError):
    """There is no valid token or session."""

    status = 401
    title = "sign-in required"
    openai_type = "authentication_error"
    default_code = "unauthenticated"

    @property
    def headers(self) -> dict[str, str]:
        """RFC 6750 asks for the scheme; the reason stays in the body."""
        return {"WWW-Authenticate": 'Bearer realm="sovereign"'}


class ForbiddenError(HttpError):
    """The caller is known and may not do this."""

    status = 403
    title = "not allowed"
    openai_type = "permission_error"
    default_code = "forbidden"


class NotFoundError(HttpError):
    """Nothing there, or it belongs to somebody else: the two look the same on purpose."""

    status = 404
    title = "not found"
    openai_type = "invalid_request_error"
    default_code = "not_found"


class ConflictError(HttpError):
    """The state of the resource does not admit this now."""

    status = 409
    title = "conflict"
    openai_type = "invalid_request_error"
    default_code = "conflict"


class TooLargeError(HttpError):
    """The body is over the cap."""

    status = 413
    title = "body too large"
    openai_type = "invalid_request_error"
    default_code = "body_too_large"


class UnprocessableError(HttpError):
    """The body is wrong; ``param`` is the dotted path of the field."""

    status = 422
    title = "request not valid"
    openai_type = "invalid_request_error"
    default_code = "invalid_request"


class ExhaustedError(HttpError):
    """A quota or a queue is full; ``retry_after`` says when to come back."""

    status = 429
    title = "too many requests"
    openai_type = "rate_limit_error"
    default_code = "rate_limit_exceeded"


class NotReadyError(HttpError):
    """A service this request needs does not answer."""

    status = 503
    title = "service unavailable"
    openai_type = "server_error"
    default_code = "unavailable"
