"""What the page of memories asks for: a report that the gateway's own code makes, of engines that are made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from appliance.engine.tiers import EngineTiers, Prefill, Row
from appliance.memory.extent import Extent, Part
from appliance.memory.hierarchy import Counted, Hierarchy, Saved, Silent, hierarchy
from tests.e2e.page.page_api import STATIC, PageApi, problem
from tests.e2e.page.scripts import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

ADMIN = "builder"
FORBIDDEN = Refusal(403, "not_an_admin", "this is for people who administer the site")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
KIB = 1024
BUSY = EngineTiers(
    93_600.0,
    16_384,
    (
        Row("pinned", "site", "", 1, 420, 420 * 36 * KIB, 90_000.0, 90_000.0),
        Row("pinned", "group", "analysts", 1, 640, 640 * 36 * KIB, 86_000.0, 86_000.0),
        Row("pinned", "group", "<b>clerks</b>", 1, 180, 180 * 36 * KIB, 7300.0, 7300.0),
        Row("parked", "user", "", 11, 5210, 5210 * 36 * KIB, 5400.0, 12.0),
        Row("live", "user", "", 2, 830, 830 * 36 * KIB, 14.0, 3.0),
        Row("disk", "site", "", 1, 420, 16 << 20, 172_900.0, 172_900.0),
        Row("disk", "group", "analysts", 1, 1060, 39 << 20, 172_000.0, 172_000.0),
        Row("disk", "group", "dissolved", 2, 900, 34 << 20, 864_000.0, 260_000.0),
    ),
    Prefill(310_000, 9_300.0, "estimated"),
)
COUNTED = Counted(
    "2026-11-25T10:00:00Z",
    {
        "gemma3-270m": (
            Saved("pinned", "site", "", 812, 341_040),
            Saved("pinned", "group", "analysts", 640, 409_600),
            Saved("pinned", "group", "<b>clerks</b>", 172, 30_960),
            Saved("parked", "user", "", 401, 188_470),
            Saved("live", "user", "", 9, 2_115),
            Saved("disk", "site", "", 1, 420),
            Saved("disk", "group", "analysts", 1, 640),
        ),
        "apertus-8b": (Saved("untold", "untold", "", 3, 900),),
    },
    1_530,
    611,
)
LIBRARY = Extent(
    (
        Part("analysts", 210, 8_400, 9_210_000, NOW - timedelta(days=300), NOW - timedelta(hours=5)),
        Part("<b>clerks</b>", 31, 990, 800_400, NOW - timedelta(days=90), NOW - timedelta(days=2)),
        Part(None, 12, 260, 190_000, NOW - timedelta(days=12), NOW - timedelta(days=3)),
    ),
    181 << 20,
)
GROUPS = frozenset({"analysts", "<b>clerks</b>"})


def report() -> Hierarchy:
    """One engine that is busy, one that is stopped, one that says nonsense."""
    engines: dict[str, EngineTiers | Silent] = {
        "gemma3-270m": BUSY,
        "apertus-8b": Silent("not_running"),
        "minilm": Silent("not_known", "it counts what cannot be"),
    }
    return hierarchy(engines, COUNTED, LIBRARY, groups=GROUPS, now=NOW)


def memory_routes(api: PageApi) -> list[Route]:
    """The routes; ``ADMIN`` may use them, nobody else."""

    async def page(_request: Request) -> Response:
        return FileResponse(STATIC / "memory.html")

    async def memory(request: Request, user: str) -> Response:
        api.state.looked.append(request.url.path)
        return JSONResponse(report().data()) if user == ADMIN else problem(FORBIDDEN)

    return [Route("/memory", page), Route("/api/memory", api.signed_in(memory))]
