"""The routes of the page API over a ``FakeGateway``, and the production headers around them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from appliance.gateway.grounding import worded
from appliance.gateway.passage_routes import PlaceAsked
from tests.e2e.page.fake_identity import USERS
from tests.e2e.page.scripts import EXPIRED, Refusal, session_model

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tests.e2e.page.fake_gateway import FakeGateway

    OwnHandler = Callable[[Request, str], Awaitable[Response]]
    Handler = Callable[[Request], Awaitable[Response]]

STATIC = Path(__file__).parents[3] / "appliance/gateway/static"
COOKIE = "sovereign-session"
NOT_FOUND = Refusal(404, "not_found", "there is no such conversation")
BAD_CSRF = Refusal(403, "csrf", "the X-CSRF-Token header is missing or wrong")


def problem(refusal: Refusal) -> Response:
    """The refusal as a response."""
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    media_type = "application/problem+json"
    return JSONResponse(refusal.body(), status_code=refusal.status, media_type=media_type, headers=headers)


class PageApi:
    """The routes of contracts.md's page API over a ``FakeGateway``."""

    def __init__(self, state: FakeGateway) -> None:
        self.state = state

    def signed_in(self, handle: OwnHandler) -> Handler:
        """Session and CSRF check before ``handle``."""

        async def checked(request: Request) -> Response:
            user = self.state.sessions.get(request.cookies.get(COOKIE, ""))
            if user is None:
                return problem(EXPIRED)
            if request.method != "GET" and request.headers.get("X-CSRF-Token") != self.state.csrf:
                return problem(BAD_CSRF)
            return await handle(request, user)

        return checked

    def _own(self, request: Request, user: str) -> dict[str, Any] | None:
        found = self.state.conversations.get(request.path_params["id"])
        return found if found is not None and found["user"] == user else None

    async def index(self, _request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def login(self, _request: Request) -> Response:
        return RedirectResponse(f"{self.state.identity_url}/realms/sovereign/login?back={self.state.url}/auth/callback")

    async def callback(self, request: Request) -> Response:
        response = RedirectResponse("/")
        cookie = secrets.token_urlsafe(24)
        self.state.sessions[cookie] = request.query_params["user"]
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="lax")
        return response

    async def logout(self, request: Request, _user: str) -> Response:
        self.state.sessions.pop(request.cookies[COOKIE], None)
        return JSONResponse({"redirect": f"{self.state.identity_url}/realms/sovereign/logout?back={self.state.url}/"})

    async def session(self, _request: Request, user: str) -> Response:
        known = USERS[user]
        body = {
            "user": {"name": user, "groups": list(known.groups), "roles": list(known.roles)},
            "csrf": self.state.csrf,
            "languages": ["en", "fr", "de"],
            "site": {"name": "north-clinic"},
            "models": [session_model(name) for name in known.models],
            "documents": True,
            "expert_answers": sum(not one["seen"] for one in self.state.expert_answers),
            "brings": list(known.groups),
        }
        return JSONResponse(body)

    async def listed(self, _request: Request, user: str) -> Response:
        own = [c for c in self.state.conversations.values() if c["user"] == user]
        own.sort(key=lambda c: str(c["updated"]), reverse=True)
        return JSONResponse({"conversations": [{k: c[k] for k in ("id", "title", "model", "updated")} for c in own]})

    async def create(self, request: Request, user: str) -> Response:
        made = self.state.create(user, (await request.json())["model"], datetime.now(UTC))
        return JSONResponse({k: made[k] for k in ("id", "title", "model", "updated")}, status_code=201)

    async def one(self, request: Request, user: str) -> Response:
        found = self._own(request, user)
        if found is None:
            return problem(NOT_FOUND)
        if request.method == "DELETE":
            del self.state.conversations[found["id"]]
            return Response(status_code=204)
        if request.method == "PATCH":
            found["title"] = (await request.json())["title"]
        there = {message["id"] for message in found["messages"]}
        before = [one for one, said in self.state.feedback.items() if said.get("send") and one not in there]
        answers = [one for one in self.state.expert_answers if one["conversation_id"] == found["id"]]
        shown = {k: found[k] for k in ("id", "title", "model", "messages")}
        return JSONResponse(shown | {"sent_before": before, "expert_answers": answers})

    async def ask(self, request: Request, user: str) -> Response:
        found = self._own(request, user)
        if found is None:
            return problem(NOT_FOUND)
        asked = await request.json()
        self.state.from_documents.append(asked.get("documents", False))
        return self.state.answer(found, asked["content"])

    async def retry(self, request: Request, user: str) -> Response:
        found = self._own(request, user)
        if found is None:
            return problem(NOT_FOUND)
        return self.state.answer(found, found["messages"][-2]["content"], replaces=request.path_params["message"])

    async def expert_answers(self, request: Request, _user: str) -> Response:
        if request.method == "GET":
            return JSONResponse({"answers": self.state.expert_answers})
        seen = (await request.json())["ids"]
        for one in self.state.expert_answers:
            one["seen"] = one["seen"] or one["id"] in seen
        return Response(status_code=204)

    async def passages(self, request: Request, _user: str) -> Response:
        places = [PlaceAsked.model_validate(one).place() for one in (await request.json())["places"]]
        found = [self.state.shelf.get(place) for place in places]
        return JSONResponse({"passages": [worded(one) if one is not None else None for one in found]})

    async def bring(self, request: Request, _user: str) -> Response:
        data = await request.body()
        self.state.brought.append((request.path_params["group"], request.path_params["name"], data))
        refused = data == b"locked"
        told = {"title": None, "passages": None} if refused else {"title": "Rules", "passages": 3}
        outcome = {"outcome": "refused", "reason": "encrypted"} if refused else {"outcome": "new", "reason": None}
        return JSONResponse({**outcome, **told})

    async def feedback(self, request: Request, _user: str) -> Response:
        if request.method == "GET":
            return JSONResponse({"groups": self.state.open_to})
        given = None if request.method == "DELETE" else await request.json()
        self.state.feedback.pop(request.path_params["message"], None)
        if given is not None:
            self.state.feedback[request.path_params["message"]] = given
        for conversation in self.state.conversations.values():
            for message in conversation["messages"]:
                if message["id"] == request.path_params["message"]:
                    message["feedback"] = given
        return Response(status_code=204)

    def routes(self) -> list[Route | Mount]:
        """Every route of the page."""
        own = self.signed_in
        return [
            Route("/", self.index),
            Mount("/static", StaticFiles(directory=STATIC)),
            Route("/auth/login", self.login),
            Route("/auth/callback", self.callback),
            Route("/auth/logout", own(self.logout), methods=["POST"]),
            Route("/api/session", own(self.session)),
            Route("/api/conversations", own(self.listed)),
            Route("/api/conversations", own(self.create), methods=["POST"]),
            Route("/api/conversations/{id}", own(self.one), methods=["GET", "PATCH", "DELETE"]),
            Route("/api/conversations/{id}/messages", own(self.ask), methods=["POST"]),
            Route("/api/conversations/{id}/messages/{message}/retry", own(self.retry), methods=["POST"]),
            Route("/api/messages/{message}/feedback", own(self.feedback), methods=["GET", "PUT", "DELETE"]),
            Route("/api/documents/{group}/{name}", own(self.bring), methods=["PUT"]),
            Route("/api/expert-answers", own(self.expert_answers)),
            Route("/api/expert-answers/seen", own(self.expert_answers), methods=["POST"]),
            Route("/api/passages", own(self.passages), methods=["POST"]),
        ]


def with_headers(app: ASGIApp, headers: dict[str, str]) -> ASGIApp:
    """``app`` with ``headers`` on every response."""
    extra = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await app(scope, receive, send_more)

    return wrapped
