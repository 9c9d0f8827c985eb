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
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse

from appliance.gateway.grounding import rested, shown
from appliance.gateway.headers import security_headers
from tests.e2e.page.audit_api import audit_routes
from tests.e2e.page.brief_api import BriefApi
from tests.e2e.page.expert_api import ExpertApi
from tests.e2e.page.fake_identity import identity_app
from tests.e2e.page.memory_api import memory_routes
from tests.e2e.page.page_api import PageApi, problem, with_headers
from tests.e2e.page.scripts import Script, receipt
from tests.e2e.page.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from appliance.memory.documents import Found, Place

FIRST_INDEX = 1041


class FakeGateway:
    """State and controls. Every method may be called from a test's thread while the server runs in its own."""

    def __init__(self) -> None:
        self.url = ""
        self.identity_url = ""
        self.scripts: deque[Script] = deque()
        self.asked: list[str] = []
        self.from_documents: list[bool] = []
        self.brought: list[tuple[str, str, bytes]] = []
        self.shelf: dict[Place, Found] = {}
        self.looked: list[str] = []
        self.feedback: dict[str, dict[str, Any]] = {}
        self.expert_answers: list[dict[str, Any]] = []
        self.open_to = ["analysts"]
        self.rulings: dict[str, dict[str, Any]] = {}
        self.kept: list[str] = []
        self.acts: list[str] = []
        self.stopped = 0
        self.sessions: dict[str, str] = {}
        self.conversations: dict[str, Any] = {}
        self.csrf = secrets.token_urlsafe(24)
        self.index = FIRST_INDEX
        self._released = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    def forget(self) -> None:
        """As if it had just started; sessions and everything asked are gone."""
        for memory in (self.scripts, self.asked, self.looked, self.kept, self.acts, self.from_documents, self.brought):
            memory.clear()
        self.expert_answers.clear()
        for known in (self.feedback, self.rulings, self.sessions, self.conversations, self.shelf):
            known.clear()
        self._released.clear()
        self.stopped = 0
        self.open_to = ["analysts"]

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
        for tokens in script.held:
            yield _event("held", {"tokens": tokens})
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
        if script.confidence is not None:
            message["receipt"]["confidence"] = script.confidence
        if (grounding := script.grounding) is not None:
            found = rested(message["content"], grounding, grounding.passages)
            message["receipt"]["documents"] = found
            self.shelf |= {one.place: one for one in grounding.passages}
            yield _event("citations", shown(found, grounding))
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


@contextmanager
def running_gateway() -> Iterator[FakeGateway]:
    """The gateway and its sign-in page, each on a free port of loopback; both are stopped at the end."""
    state = FakeGateway()
    with serving(identity_app()) as identity:
        state.identity_url = identity.url
        api = PageApi(state)
        routes = [*api.routes(), *audit_routes(api), *memory_routes(api)]
        routes += [*ExpertApi(api).routes(), *BriefApi(api).routes()]
        app = with_headers(Starlette(routes=routes), security_headers(issuer=identity.url, tls=False))
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
