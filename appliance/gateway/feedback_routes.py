"""/api/messages/{id}/feedback: thumbs, reasons, corrections, and taking them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from starlette.responses import Response
from starlette.routing import Route

from appliance.gateway.access import visit
from appliance.gateway.assembly import gateway_of
from appliance.gateway.body import read_json
from appliance.gateway.entitlements import grant
from appliance.gateway.errors import ExhaustedError
from appliance.gateway.page_routes import path_id
from appliance.gateway.rate_bound import SECONDS
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

    @model_validator(mode="after")
    def _failures_are_sent(self) -> Self:
        if self.send and self.verdict == "up" and not self.correction:
            raise ValueError("what is sent to experts is marked as not good, or corrected")
        return self

    def remark(self) -> Remark:
        """As it is kept; each reason once, in one order."""
        reasons = tuple(sorted(set(self.reasons)))
        return Remark(self.verdict, reasons, self.reason or None, self.correction or None, self.send)


async def give(request: Request) -> Response:
    """PUT /api/messages/{id}/feedback."""
    gateway = gateway_of(request)
    async with visit(request) as person:
        remark = (await read_json(request, Feedback)).remark()
        marked = await gateway.feedback.answer(person.caller.subject, path_id(request, "id"))
        group = grant(gateway.site, person.caller.groups, marked.model).group.name if remark.send else ""
        action: Literal["create", "update"] = "create" if marked.given is None else "update"

        async def enter() -> None:
            _check_bound(gateway, person)
            about: dict[str, Any] = {"verdict": remark.verdict, "reasons": remark.reasons}
            about |= {"corrected": remark.correction is not None, "sent": remark.send}
            await gateway.ledger.feedback(caller=person.caller, action=action, **about)

        await gateway.feedback.give(person.caller.subject, marked, remark, group, enter)
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
    Route("/api/messages/{id}/feedback", give, methods=["PUT"]),
    Route("/api/messages/{id}/feedback", take_back, methods=["DELETE"]),
]
