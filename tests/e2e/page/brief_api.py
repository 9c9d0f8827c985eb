"""What the page of briefs asks for, over one group whose brief can be struck, taken back and replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from tests.e2e.page.expert_api import EXPERT, FORBIDDEN
from tests.e2e.page.page_api import STATIC, PageApi, problem
from tests.e2e.page.scripts import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

GONE = Refusal(404, "not_found", "there is no such line")
LINES = (
    ("l1", "Visitors may park in bay seven of the yard.", "Parking / Yard", "document", False),
    ("l2", "Who renews a permit?\nthe permit office", "", "ruling", False),
    ("l3", "The north gate closes at <b>ten</b>.", "House rules", "document", True),
)


class BriefApi:
    """The brief in force, and one that waits."""

    def __init__(self, api: PageApi) -> None:
        self.api = api

    def _brief(self, number: str) -> dict[str, Any]:
        struck = {act.removeprefix("strike ") for act in self.api.state.acts}
        lines = [
            {"id": at, "text": said, "above": above, "kind": kind, "new": new}
            for at, said, above, kind, new in LINES
            if at not in struck and (number == "b2" or not new)
        ]
        gone = [{"text": "The yard is open on Sundays.", "above": "House rules"}] if number == "b2" else []
        return {"id": number, "digest": "sha256:" + "b" * 64, "lines": lines, "gone": gone}

    async def page(self, _request: Request) -> Response:
        return FileResponse(STATIC / "brief.html")

    async def listed(self, _request: Request) -> Response:
        acts = self.api.state.acts
        accepted = "accept b2" in acts
        group = {
            "name": "analysts",
            "last": {"state": "in_force" if accepted else "compiled", "cause": "few", "at": "2026-03-02T02:31:00.000Z"},
            "in_force": None if "back" in acts else self._brief("b2" if accepted else "b1"),
            "waiting": None if accepted else self._brief("b2"),
        }
        return JSONResponse({"groups": [group]})

    async def accept(self, request: Request) -> Response:
        self.api.state.acts.append(f"accept {request.path_params['id']}")
        return JSONResponse({"digest": None})

    async def strike(self, request: Request) -> Response:
        act = f"strike {request.path_params['words']}"
        if act in self.api.state.acts:
            return problem(GONE)
        self.api.state.acts.append(act)
        return JSONResponse({"digest": None})

    async def back(self, _request: Request) -> Response:
        self.api.state.acts.append("back")
        return JSONResponse({"digest": None})

    def routes(self) -> list[Route]:
        """The routes; ``expert`` may use them, nobody else."""

        def own(handle: Callable[[Request], Awaitable[Response]]) -> Any:
            async def checked(request: Request, user: str) -> Response:
                return await handle(request) if user == EXPERT else problem(FORBIDDEN)

            return self.api.signed_in(checked)

        return [
            Route("/brief", self.page),
            Route("/api/expert/briefs", own(self.listed)),
            Route("/api/expert/briefs/{id}/acceptance", own(self.accept), methods=["POST"]),
            Route("/api/expert/briefs/{id}/lines/{words}", own(self.strike), methods=["DELETE"]),
            Route("/api/expert/briefs/{id}", own(self.back), methods=["DELETE"]),
        ]
