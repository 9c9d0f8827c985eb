"""/api/messages/{id}/feedback: thumbs, reasons, corrections, and taking them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.gateway.access import visit
from appliance.gateway.assembly import gateway_of
from appliance.gateway.body import read_json
from appliance.gateway.errors import ExhaustedError
from appliance.gateway.page_routes import path_id
from appliance.gateway.rate_bound import SECONDS
from appliance.gateway.recipients import chosen, recipients
from appliance.learning.failures import Reason, Remark, Verdict

if TYPE_CHECKING:
    from typing import Self

    from starlette.requests import Request

    from appliance.gateway.access import Visitor
    from appliance.gateway.assembly import Gateway

_Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]


class Feedback(BaseModel):
    """PUT /api/messages/{id}/feedback: all that is said of the answer; it replaces what was said before."""

    model_config = ConfigDict(extra="forbid", strict=True)

    verdict: Verdict
    reasons: Annotated[list[Reason], Field(max_length=6)] = Field(default_factory=list)
    reason: _Words | None = None
    correction: _Words | None = None
    send: bool = False
    group: Annotated[str, Field(max_length=63)] | None = Field(default=None, description="Whose experts see it.")
    asks: bool = Field(default=False, description="They are asked for an answer.")

    @model_validator(mode="after")
    def _failures_are_sent(self) -> Self:
        if self.send and self.verdict == "up" and not (self.correction or self.asks):
            raise ValueError("what is sent to experts is marked as not good, corrected, or asked about")
        if self.asks and not self.send:
            raise ValueError("experts answer what is sent to them")
        return self

    def remark(self, group: str | None) -> Remark:
        """As it is kept, and sent to ``group``; each reason once, in one order."""
        reasons = tuple(sorted(set(self.reasons)))
        return Remark(self.verdict, reasons, self.reason or None, self.correction or None, self.send, group, self.asks)


async def about(request: Request) -> Response:
    """GET /api/messages/{id}/feedback: whose experts it may be sent to; none, where it is from others' documents."""
    gateway = gateway_of(request)
    async with visit(request) as person:
        marked = await gateway.feedback.answer(person.caller.subject, path_id(request, "id"))
        return JSONResponse({"groups": list(await recipients(gateway, person.caller, marked))})


async def give(request: Request) -> Response:
    """PUT /api/messages/{id}/feedback."""
    gateway = gateway_of(request)
    async with visit(request) as person:
        said = await read_json(request, Feedback)
        marked = await gateway.feedback.answer(person.caller.subject, path_id(request, "id"))
        remark = said.remark(await chosen(gateway, person.caller, marked, said.group) if said.send else None)
        action: Literal["create", "update"] = "create" if marked.given is None else "update"

        async def enter() -> None:
            _check_bound(gateway, person)
            entry: dict[str, Any] = {"verdict": remark.verdict, "reasons": remark.reasons}
            entry |= {
                "corrected": remark.correction is not None,
                "sent": remark.send,
                "sent_to": remark.group,
                "asked": remark.asks,
            }
            await gateway.ledger.feedback(caller=person.caller, action=action, **entry)

        await gateway.feedback.give(person.caller.subject, marked, remark, enter)
        return Response(status_code=204)


async def take_back(request: Request) -> Response:
    """DELETE /api/messages/{id}/feedback."""
    gateway = gateway_of(request)
    async with visit(request) as person:

        async def enter() -> None:
            _check_bound(gateway, person)
            await gateway.ledger.feedback(caller=person.caller, action="delete")

        await gateway.feedback.take_back(person.caller.subject, path_id(request, "id"), enter)
        return Response(status_code=204)


def _check_bound(gateway: Gateway, person: Visitor) -> None:
    """Each change is an entry of the log. Raises ``ExhaustedError`` for whoever makes one after the other."""
    if gateway.feedback_bound.admit("feedback", person.caller.subject) is None:
        cause, code = "you marked many answers one after the other", "too_much_feedback"
        raise ExhaustedError(cause, "wait a moment", code=code, retry_after=round(SECONDS))


routes = [
    Route("/api/messages/{id}/feedback", about, methods=["GET"]),
    Route("/api/messages/{id}/feedback", give, methods=["PUT"]),
    Route("/api/messages/{id}/feedback", take_back, methods=["DELETE"]),
]
