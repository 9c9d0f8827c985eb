"""What the experts' page asks for, over a small queue that a ruling makes shorter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from tests.e2e.page.page_api import STATIC, PageApi, problem
from tests.e2e.page.scripts import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

EXPERT = "expert"
FORBIDDEN = Refusal(403, "not_an_expert", "this is for experts")
GONE = Refusal(404, "not_found", "there is no such failure")
OTHERS = Refusal(422, "of_other_groups", "this repeats 'Safe', which analysts may not read")
CONTRADICTION = Refusal(409, "contradicting_cases", "1 others contradict this")
CLUSTERS = (
    (("parking", "permit", "renew"), ("Who renews my parking permit?", "How long is a parking permit valid?")),
    (("travel", "expenses"), ("How are travel expenses refunded?",)),
)
CORRECTIONS = {"How long is a parking permit valid?": "Two years, from the day of issue."}


def failures() -> list[dict[str, Any]]:
    """The queue at first; ids say where each stands."""
    found = []
    for cluster, (name, questions) in enumerate(CLUSTERS):
        for place, question in enumerate(questions):
            found.append(
                {
                    "id": f"{cluster}{place}",
                    "name": list(name),
                    "question": question,
                    "documents": False,
                    "answer": "The permit is renewed by **itself**.\n<b>not markup</b>",
                    "group": "analysts",
                    "model": "gemma3-270m",
                    "day": "2026-11-25",
                    "reasons": ["wrong", "incomplete"],
                    "reason": "that was so until 2024",
                    "correction": CORRECTIONS.get(question),
                    "corrected": question in CORRECTIONS,
                    "standing": "second" if cluster else "open",
                    "ruling": None,
                    "note": None,
                    "others": [],
                }
            )
    return found


class ExpertApi:
    """The queue, and what was ruled."""

    def __init__(self, api: PageApi) -> None:
        self.api = api

    @property
    def _waiting(self) -> list[dict[str, Any]]:
        return [one for one in failures() if one["id"] not in self.api.state.rulings]

    async def page(self, _request: Request) -> Response:
        return FileResponse(STATIC / "expert.html")

    async def queue(self, _request: Request) -> Response:
        waiting = self._waiting
        names = {tuple(one["name"]): None for one in waiting}
        clusters = [
            {"name": list(name), "failures": [one for one in waiting if tuple(one["name"]) == name]} for name in names
        ]
        blocked = [
            {"id": "b1", "version": 1, "question": "Who signs?", "kind": "contains", "expected": ["the head"]},
            {"id": "b2", "version": 1, "question": "Who signs?", "kind": "contains", "expected": ["the deputy"]},
        ]
        offered = [
            {"id": "o1", "version": 1, "question": "<i>Who pays?</i>", "kind": "contains", "expected": ["the till"]},
        ]
        experts = [
            {
                "name": "5f3a9c1b77e0",
                "you": True,
                "rulings": {"right": 9, "wrong": 21, "unclear": 2},
                "one_sided": False,
                "count": 14,
                "kappa": 0.71,
            },
            {
                "name": "c04e11d2a9b8",
                "you": False,
                "rulings": {"wrong": 40},
                "one_sided": True,
                "count": 14,
                "kappa": 0.0,
            },
        ]
        return JSONResponse(
            {
                "clusters": clusters,
                "contradicting": [["00", "01"]] if {"00", "01"} <= {one["id"] for one in waiting} else [],
                "blocked": [] if {"b1", "b2"} & set(self.api.state.kept) else blocked,
                "offered": [one for one in offered if one["id"] not in self.api.state.kept],
                "agreement": {"count": 14, "observed": 0.86, "kappa": 0.71},
                "experts": experts,
            }
        )

    async def failure(self, request: Request) -> Response:
        found = [one for one in failures() if one["id"] == request.path_params["id"]]
        return JSONResponse(found[0]) if found else problem(GONE)

    async def rule(self, request: Request) -> Response:
        said = await request.json()
        case = said.get("case")
        if "4711" in said.get("answer", ""):
            return problem(OTHERS)
        if case is not None and not case["decided"]:
            return problem(CONTRADICTION)
        self.api.state.rulings[request.path_params["id"]] = said
        return JSONResponse({"case": "c1" if case is not None else None})

    async def keep(self, request: Request) -> Response:
        self.api.state.kept.append(request.path_params["id"])
        return JSONResponse({"retired": ["b2"]})

    def routes(self) -> list[Route]:
        """The routes; ``expert`` may use them, nobody else."""

        def own(handle: Callable[[Request], Awaitable[Response]]) -> Any:
            async def checked(request: Request, user: str) -> Response:
                return await handle(request) if user == EXPERT else problem(FORBIDDEN)

            return self.api.signed_in(checked)

        return [
            Route("/expert", self.page),
            Route("/api/expert/queue", own(self.queue)),
            Route("/api/expert/failures/{id}", own(self.failure)),
            Route("/api/expert/failures/{id}/ruling", own(self.rule), methods=["PUT"]),
            Route("/api/expert/cases/{id}/decision", own(self.keep), methods=["POST"]),
        ]
