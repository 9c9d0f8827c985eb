"""/api/expert: failures that people sent, for people with the role of an expert, of their own groups.

Whatever an expert looks at is in the log before it is shown, and each ruling and case before it is kept. Who sent a
failure is nowhere here. Whoever asks without the role leaves a refusal in the log, as any other.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.gateway.access import check_same_site, visit
from appliance.gateway.assembly import gateway_of
from appliance.gateway.body import read_json
from appliance.gateway.errors import ExhaustedError, ForbiddenError, NotFoundError, UnprocessableError
from appliance.gateway.expert_queue import grouped, shown_case, shown_failure, shown_queue
from appliance.gateway.gold_rows import OFFERED
from appliance.gateway.page_routes import path_id
from appliance.gateway.rulings import Said, entered
from appliance.learning.cases import Content, Kind
from appliance.learning.failures import Ruling
from appliance.memory.language import language

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

    from appliance.gateway.assembly import Gateway
    from appliance.gateway.callers import Caller
    from appliance.gateway.gold_cases import Made
    from appliance.learning.failures import Failure

EXPERT = "expert"
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class NewCase(BaseModel):
    """The case that an expert makes of a failure. ``decided``: it stands against what contradicts it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: _Text
    kind: Kind
    expected: Annotated[list[_Text], Field(max_length=10)] = Field(default_factory=list)
    vital: bool = False
    documents: bool = False
    language: Literal["en", "fr", "de"] | None = Field(default=None, description="Where the question does not tell.")
    decided: bool = False

    def content(self, group: str) -> Content:
        """As a case of ``group``. Raises ``UnprocessableError``."""
        said = {
            "question": self.question,
            "kind": self.kind,
            "expected": tuple(self.expected),
            "groups": (group,),
            "language": language(self.question, self.language),
            "vital": self.vital,
            "documents": self.documents,
        }
        try:
            return Content.model_validate(said)
        except ValueError as error:
            raise UnprocessableError(_first(error), code="invalid_case", param="case") from error


class NewRuling(BaseModel):
    """PUT /api/expert/failures/{id}/ruling."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ruling: Ruling
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)] | None = None
    case: NewCase | None = None
    answer: Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)] | None = Field(
        default=None, description="For whoever sent it, who is not named here and is told by which group's expert."
    )

    def texts(self) -> list[tuple[str, str]]:
        """What others will read, each with its field: the asker, other experts, and in briefs the whole group."""
        case = [("case.question", self.case.question)] if self.case is not None else []
        case += [("case.expected", one) for one in (self.case.expected if self.case is not None else ())]
        said = (("answer", self.answer), ("note", self.note))
        return [*((field, text) for field, text in said if text), *case]


@dataclass(frozen=True)
class Desk:
    """An expert at work, and the groups whose failures are theirs to judge."""

    gateway: Gateway
    caller: Caller

    @property
    def named(self) -> str:
        """The expert's groups, as a look at everything of theirs is entered."""
        return " ".join(self.caller.groups)

    async def enter(self, action: Literal["create", "read", "update", "delete"], what: str, target: str) -> None:
        """Put the act into the log."""
        await self.gateway.ledger.expert_act(caller=self.caller, action=action, what=what, target=target)

    def check_bound(self) -> None:
        """Each look and each act is an entry. Raises ``ExhaustedError`` for whoever makes one after the other."""
        if self.gateway.expert_bound.admit("expert", self.caller.subject) is None:
            cause, code = "you looked or ruled too often one after the other", "too_many_looks"
            raise ExhaustedError(cause, "wait a moment", code=code, retry_after=1)

    @asynccontextmanager
    async def look(self, what: str, target: str) -> AsyncGenerator[Gateway, None]:
        """Inside, the look is in the log, and nobody else looks as this expert. Raises ``ExhaustedError``."""
        async with self.gateway.looks.turn(self.caller.subject):
            self.check_bound()
            await self.enter("read", what, target)
            yield self.gateway

    async def failure(self, request: Request) -> Failure:
        """The failure of the path, somebody else's. Raises ``NotFoundError``."""
        found = await self.gateway.failures.one(path_id(request, "id"), self.caller.groups)
        if found.subject == self.caller.subject:
            raise NotFoundError("there is no such failure")
        return found


@asynccontextmanager
async def desk_of(request: Request) -> AsyncGenerator[Desk, None]:
    """The desk of an expert. Raises ``ForbiddenError`` for everybody else."""
    async with visit(request) as person:
        if EXPERT not in person.session.data.roles:
            raise ForbiddenError("this is for experts", "ask whoever administers this site", code="not_an_expert")
        check_same_site(gateway_of(request), request)  # a look is an entry: no other site's page is to cause one
        yield Desk(gateway_of(request), person.caller)


async def queue(request: Request) -> Response:
    """GET /api/expert/queue: what waits for this expert, in clusters; blocked and offered cases; agreement."""
    async with desk_of(request) as desk, desk.look("queue", desk.named) as gateway:
        expert = desk.caller
        found = await grouped(gateway, await gateway.failures.waiting(expert.groups, expert.subject))
        judged = await gateway.failures.judged(expert.groups)
        standing = await gateway.cases.current(expert.groups, ("blocked", OFFERED))
        return JSONResponse(shown_queue(found, expert.subject, judged, standing))


async def failure(request: Request) -> Response:
    """GET /api/expert/failures/{id}: question, answer, and what was said of it."""
    async with desk_of(request) as desk:
        found = await desk.failure(request)
        async with desk.look("failure", str(found.id)) as gateway:
            ruled = await gateway.failures.ruled(found.id)
            answers = await gateway.expert_answers.written(found)
            return JSONResponse(shown_failure(found, desk.caller.subject, ruled, answers))


async def rule(request: Request) -> Response:
    """PUT /api/expert/failures/{id}/ruling: what the expert says of it, and the case that comes of it."""
    async with desk_of(request) as desk:
        asked = await read_json(request, NewRuling)
        found = await desk.failure(request)
        case = asked.case
        content = case.content(found.group) if case is not None else None
        said = Said(asked.ruling, asked.note or None, content, case is not None and case.decided, asked.answer or None)
        desk.check_bound()
        await desk.gateway.others_documents.check(asked.texts(), desk.caller.groups, found.group, found.sent)
        made = await desk.gateway.rulings.rule(desk.caller, found, said, desk.enter)
        return JSONResponse({"case": str(made.case.id) if made is not None else None})


async def cases(request: Request) -> Response:
    """GET /api/expert/cases: the cases of the expert's groups."""
    async with desk_of(request) as desk, desk.look("cases", desk.named) as gateway:
        found = await gateway.cases.current(desk.caller.groups)
        return JSONResponse({"cases": [shown_case(one) for one in found]})


async def decide(request: Request) -> Response:
    """POST /api/expert/cases/{id}/decision: keep this one of those that contradict each other, or take it on."""
    async with desk_of(request) as desk:
        desk.check_bound()

        async def enter(made: Made) -> None:
            await entered(made, desk.enter)

        made = await desk.gateway.cases.decide(path_id(request, "id"), desk.caller.groups, enter)
        return JSONResponse({"retired": [str(one.id) for one in made.retired]})


def _first(error: ValueError) -> str:
    found: Any = getattr(error, "errors", list)()
    return str(found[0]["msg"]).removeprefix("Value error, ").lower() if found else str(error)


routes = [
    Route("/api/expert/queue", queue, methods=["GET"]),
    Route("/api/expert/failures/{id}", failure, methods=["GET"]),
    Route("/api/expert/failures/{id}/ruling", rule, methods=["PUT"]),
    Route("/api/expert/cases", cases, methods=["GET"]),
    Route("/api/expert/cases/{id}/decision", decide, methods=["POST"]),
]
