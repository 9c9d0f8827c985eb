"""Cookie names and attributes. Under TLS the ``__Host-`` prefix makes the browser refuse weaker settings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_SESSION = "sovereign-session"
_LOGIN = "sovereign-login-"


@dataclass(frozen=True)
class Cookies:
    """Sets and reads this origin's cookies; ``secure`` is false only on a loopback site without TLS."""

    secure: bool

    def session_name(self) -> str:
        """Name of the cookie that holds the session id."""
        return self._named(_SESSION)

    def login_name(self, state: str) -> str:
        """Name of the cookie of one sign-in under way, of several tabs perhaps; any state makes a legal name."""
        return self._named(_LOGIN + hashlib.sha256(state.encode()).hexdigest()[:16])

    def read(self, request: Request, name: str) -> str | None:
        """The cookie's value, if the browser sent one."""
        return request.cookies.get(name)

    def write(self, response: Response, name: str, value: str, *, max_age: int | None = None) -> None:
        """Set a cookie that scripts cannot read and other sites' posts do not carry."""
        response.set_cookie(name, value, max_age=max_age, path="/", secure=self.secure, httponly=True, samesite="lax")

    def remove(self, response: Response, name: str) -> None:
        """Tell the browser to forget the cookie."""
        response.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="lax")

    def _named(self, name: str) -> str:
        return f"__Host-{name}" if self.secure else name
