"""The page API on loopback with scripted answers: what the page is developed and tested against.

Pages and headers are the production ones (``appliance/gateway/static``, ``security_headers``). Run
``python -m tests.e2e.page.fake_gateway`` to try the page by hand; it prints its address.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import uuid
from collections import deque
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from appliance.gateway.headers import security_headers
from tests.e2e.page.fake_identity import USERS, identity_app
from tests.e2e.page.scripts import EXPIRED, Refusal, Script, receipt, session_model
from tests.e2e.page.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC = Path(__file__).parents[3] / "appliance/gateway/static"
COOKIE = "sovereign-session"
NOT_FOUND = Refusal(404, "not_found", "there is no such conversation")
BAD_CSRF = Refusal(403, "csrf", "the X-CSRF-Token header is missing or wrong")
FIRST_INDEX = 1041


class FakeGateway:
    """State and controls. Every method may be called from a test's thread while the server runs in its own."""

    def __init__(self) -> None:
        self.url = ""
        self.identity_url = ""
        self.scripts: deque[Script] = deque()
        self.asked: list[str] = []
        self.feedback: dict[str, dict[str, str]] = {}
        self.stopped = 0
        self.sessions: dict[str, str] = {}
        self.conversations: dict[str, Any] = {}
        self.csrf = secrets.token_urlsafe(24)
        self.index = FIRST_INDEX
        self._released = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    def forget(self) -> None:
        """As if it had just started; sessions and everything asked are gone."""
        for memory in (self.scripts, self.asked, self.feedback, self.sessions, self.conversations):
            memory.clear()
        self._released.clear()
        self.stopped = 0

    def play(self, *scripts: Script) -> None:
        """The next answers, in order; after them every answer is ``Script()``."""
        self.scripts.extend(scripts)

    def release(self) -> None:
        """Let an answer go on that waits at its ``hold_after``."""
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self._released.set)

    def expire_sessions(self) -> None:
        """From here on nobody is signed in."""
        self.sessions.clear()

    def seed(self, user: str, title: str, *, days_ago: int = 0, turns: int = 1) -> str:
        """Put a finished conversation there, and give its id."""
        made = self.create(user, "gemma3-270m", datetime.now(UTC) - timedelta(days=days_ago))
        made["title"] = title
        for _ in range(turns):
            self._add(made, "user", "What does the rule ask for?")
            answer = self._add(made, "assistant", Script().text)
            answer["finish_reason"] = "stop"
            answer["receipt"] = self._receipt(made["model"], "What does the rule ask for?", answer["content"])
        return str(made["id"])

    def create(self, user: str, model: str, updated: datetime) -> dict[str, Any]:
        """An empty conversation of ``user``."""
        made: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "title": "",
            "model": model,
            "updated": updated.isoformat(),
            "user": user,
            "messages": [],
        }
        self.conversations[made["id"]] = made
        return made

    @staticmethod
    def _add(conversation: dict[str, Any], role: str, content: str) -> dict[str, Any]:
        message = {
            "id": str(uuid.uuid4()),
            "role": role,
            "content": content,
            "created": datetime.now(UTC).isoformat(),
            "finish_reason": None,
            "receipt": None,
            "feedback": None,
        }
        conversation["messages"].append(message)
        return message

    def _receipt(self, model: str, question: str, answer: str) -> dict[str, Any]:
        self.index += 2
        return receipt(model, question, answer, self.index)

    async def stream(self, conversation: dict[str, Any], question: str, script: Script) -> AsyncGenerator[bytes, None]:
        """Write one answer; the reader's going away ends it early and keeps what there is."""
        message = conversation["messages"][-1]
        yield _event("start", {"user_message_id": conversation["messages"][-2]["id"], "message_id": message["id"]})
        try:
            for count, token in enumerate(script.tokens()):
                if script.hold_after == count:
                    await self._released.wait()
                    self._released.clear()
                    if script.broken or script.cut:
                        break
                await asyncio.sleep(script.token_seconds)
                message["content"] += token
                yield _event("token", {"text": token})
        except (asyncio.CancelledError, GeneratorExit):
            self.stopped += 1
            message["finish_reason"] = "cancelled"
            message["receipt"] = self._receipt(conversation["model"], question, message["content"])
            raise
        if script.broken:
            yield _event("problem", script.broken.body())
        if script.broken or script.cut:
            return
        message["finish_reason"] = script.finish_reason
        message["receipt"] = self._receipt(conversation["model"], question, message["content"])
        yield _event("receipt", message["receipt"])
        yield _event("done", {"finish_reason": script.finish_reason})

    def answer(self, conversation: dict[str, Any], question: str, *, replaces: str | None = None) -> Response:
        """The response to a question, or to the wish for another answer."""
        script = self.scripts.popleft() if self.scripts else Script()
        self.asked.append(question)
        if script.refused:
            return problem(script.refused)
        if replaces is None:
            self._add(conversation, "user", question)
        else:
            conversation["messages"] = [m for m in conversation["messages"] if m["id"] != replaces]
        conversation["title"] = conversation["title"] or question[:60]
        conversation["updated"] = datetime.now(UTC).isoformat()
        self._add(conversation, "assistant", "")
        return StreamingResponse(self.stream(conversation, question, script), media_type="text/event-stream")


def _event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def problem(refusal: Refusal) -> Response:
    """The refusal as a response."""
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    media_type = "application/problem+json"
    return JSONResponse(refusal.body(), status_code=refusal.status, media_type=media_type, headers=headers)


if TYPE_CHECKING:
    OwnHandler = Callable[[Request, str], Awaitable[Response]]
    Handler = Callable[[Request], Awaitable[Response]]


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
        return JSONResponse({k: found[k] for k in ("id", "title", "model", "messages")})

    async def ask(self, request: Request, user: str) -> Response:
        found = self._own(request, user)
        if found is None:
            return problem(NOT_FOUND)
        return self.state.answer(found, (await request.json())["content"])

    async def retry(self, request: Request, user: str) -> Response:
        found = self._own(request, user)
        if found is None:
            return problem(NOT_FOUND)
        return self.state.answer(found, found["messages"][-2]["content"], replaces=request.path_params["message"])

    async def feedback(self, request: Request, _user: str) -> Response:
        given = await request.json()
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
            Route("/api/messages/{message}/feedback", own(self.feedback), methods=["PUT"]),
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


@contextmanager
def running_gateway() -> Iterator[FakeGateway]:
    """The gateway and its sign-in page, each on a free port of loopback; both are stopped at the end."""
    state = FakeGateway()
    with serving(identity_app()) as identity:
        state.identity_url = identity.url
        app = with_headers(Starlette(routes=PageApi(state).routes()), security_headers(issuer=identity.url, tls=False))
        with serving(app) as gateway:
            state.url = gateway.url
            state.loop = gateway.loop
            yield state
            state.release()


if __name__ == "__main__":
    with running_gateway() as served:
        for days, title in ((0, "What the new rule asks for"), (1, "Letter to the works council"), (20, "Shift plan")):
            served.seed("analyst", title, days_ago=days)
        served.play(Script(token_seconds=0.03), Script(token_seconds=0.03))
        input(f"{served.url}  (analyst / analyst; Enter stops)\n")
