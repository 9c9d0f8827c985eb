"""What the auditors' page asks for, over a small log of the fake gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from tests.e2e.page.page_api import STATIC, PageApi, problem
from tests.e2e.page.scripts import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

AUDITORS = ("auditor", "custodian")
NAMED = "custodian"
FORBIDDEN = Refusal(403, "not_an_auditor", "this is for auditors")
UNNAMED = Refusal(403, "names_not_allowed", "names are for auditors who may see them")
ACCOUNTS = {f"{number:032x}": f"clerk-{number}" for number in range(5)}
SIZE = 1_000_000
BEGAN = 1_795_348_800_000
PAGE = 50
KINDS = (("answer", "stop"), ("request", ""), ("refusal", "quota_exceeded"), ("sign_in", ""))


def entry(index: int) -> dict[str, Any]:
    """One of a million, made when it is looked at."""
    kind, outcome = KINDS[index % len(KINDS)]
    outcomes = ["failure" if kind == "refusal" else "success", *([outcome] if outcome else [])]
    return {
        "index": index,
        "time": BEGAN + 1000 * index,
        "kind": kind,
        "subject": f"{index % 7:032x}",
        "groups": ["analysts" if index % 2 else "clerks"],
        "model": "gemma3-270m" if kind in {"answer", "request"} else None,
        "outcomes": outcomes,
        "event": {"class_uid": 6003, "time": BEGAN + 1000 * index, "note": "<b>not markup</b>"},
    }


def audit_routes(api: PageApi) -> list[Route]:  # noqa: C901 - one small function a route
    """The routes; ``auditor`` may use them, ``custodian`` also those with names, nobody else."""

    async def page(_request: Request) -> Response:
        return FileResponse(STATIC / "auditor.html")

    async def state(_request: Request) -> Response:
        return JSONResponse(
            {
                "origin": "site.example/audit",
                "size": SIZE,
                "signed_at": "2026-11-26T09:00:00Z",
                "checkpoint": f"site.example/audit\n{SIZE}\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n",
                "witnesses": [{"name": "auditor.example/w1", "size": 999_000, "time": 1_795_340_000}],
            }
        )

    async def entries(request: Request) -> Response:
        wanted, found = request.query_params, []
        index = int(wanted.get("before") or SIZE)
        while index > 0 and len(found) < PAGE:
            index -= 1
            one = entry(index)
            if wanted.get("kind") in {None, one["kind"]} and wanted.get("subject") in {None, one["subject"]}:
                found.append(one)
            elif wanted.get("kind") == "nothing":
                index = 0
        return JSONResponse({"entries": found, "before": index or None, "size": SIZE})

    async def figures(_request: Request) -> Response:
        days = {
            f"2026-11-{day:02d}": {
                "answers": 40 + day * 7 % 30,
                "refusals": day % 9,
                "joules": 11.6 * (40 + day),
                "sign_ins": 9 if day % 7 > 1 else 2,
                "failed_sign_ins": 82 if day == 20 else day % 3,
            }
            for day in range(1, 27)
        }
        use = {"requests": 1412, "tokens": 88_200, "joules": 5210.5}
        pairs = [{"subject": "2".zfill(32), "model": model, **use} for model in ("small", "large-with-a-long-name-q4")]
        reasons = {"quota_exceeded": 61, "not_entitled": 22, "csrf": 3}
        failing = [
            {"subject": "2".zfill(32), "failed_sign_ins": 73, "sign_ins": 4},
            {"subject": "unknown", "failed_sign_ins": 17, "sign_ins": 0},
        ]
        return JSONResponse(
            {
                "by_day": days,
                "refusal_reasons": reasons,
                "outcomes": {"stop": 1450, "length": 86, "interrupted": 9, "cancelled": 35, "error": 1, "new_one": 2},
                "top_users_by_model": pairs,
                "top_failed_sign_ins": failing,
            }
        )

    async def export(_request: Request) -> Response:
        return Response(b"PK", media_type="application/zip", headers={"Content-Disposition": "attachment"})

    async def names(request: Request) -> Response:
        asked = request.query_params["subjects"].split(",")
        return JSONResponse({"names": {one: ACCOUNTS.get(one) for one in asked}})

    handlers = {"state": state, "entries": entries, "figures": figures, "export": export, "names": names}

    def own(handle: Any) -> Any:
        async def checked(request: Request, user: str) -> Response:
            api.state.looked.append(str(request.url).removeprefix(api.state.url))
            if user not in AUDITORS:
                return problem(FORBIDDEN)
            return problem(UNNAMED) if handle is names and user != NAMED else await handle(request)

        return api.signed_in(checked)

    return [
        Route("/auditor", page),
        *(Route(f"/api/audit/{name}", own(handle)) for name, handle in handlers.items()),
    ]
