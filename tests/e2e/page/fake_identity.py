"""A sign-in page with the element ids of Keycloak's form, on an origin of its own."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request


@dataclass(frozen=True)
class User:
    """What signing in as somebody brings along. The password is the name."""

    groups: tuple[str, ...]
    models: tuple[str, ...]
    roles: tuple[str, ...] = ()


USERS = {
    "analyst": User(("analysts", "pilot"), ("gemma3-270m", "apertus-8b")),
    "clerk": User(("clerks",), ("apertus-8b",)),
    "auditor": User(("auditors",), (), ("auditor",)),
    "custodian": User(("auditors",), (), ("auditor", "auditor-names")),
    "builder": User(("clerks",), ("apertus-8b",), ("admin",)),
    "expert": User(("analysts",), ("gemma3-270m",), ("expert",)),
}

_FORM = """<!doctype html><html lang="en"><head><title>Sign in</title></head><body><main><h1>Sign in</h1>
<form id="kc-form-login" method="post" action="{action}">
<label for="username">Username</label><input id="username" name="username" autofocus>
<label for="password">Password</label><input id="password" name="password" type="password">
<button id="kc-login" type="submit">Sign in</button></form></main></body></html>"""


async def _form(request: Request) -> Response:
    return HTMLResponse(_FORM.format(action=escape(str(request.url))))


async def _submit(request: Request) -> Response:
    fields = dict(pair.split("=", 1) for pair in (await request.body()).decode().split("&"))
    if fields["username"] not in USERS or fields["password"] != fields["username"]:
        return await _form(request)
    back = request.query_params["back"]
    return RedirectResponse(f"{back}?{urlencode({'user': fields['username']})}", status_code=303)


async def _logout(request: Request) -> Response:
    return RedirectResponse(request.query_params["back"], status_code=303)


def identity_app() -> Starlette:
    """Sign-in form, its target, and the end of the session."""
    return Starlette(
        routes=[
            Route("/realms/sovereign/login", _form),
            Route("/realms/sovereign/login", _submit, methods=["POST"]),
            Route("/realms/sovereign/logout", _logout),
        ]
    )
