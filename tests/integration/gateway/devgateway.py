"""A gateway to develop the page against: real PostgreSQL, obedient engine and log, a sign-in that asks nothing.

    .venv/bin/python -m tests.integration.gateway.devgateway [--port N] [--pause SECONDS]

prints its address, a session cookie and that session's CSRF token, and serves until Ctrl+C. GET /auth/login signs in
without a password. Questions with a fate: ``endless``, ``break`` (the engine stops half-way), ``busy`` (429); the
model ``large`` answers slowly. The page's files are read at start.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from appliance.gateway import database
from appliance.gateway.app import create_app
from appliance.gateway.assembly import Keys, Parts
from appliance.gateway.pseudonyms import subject_of
from appliance.gateway.schema_upgrade import migrate
from appliance.gateway.server import run, server
from appliance.gateway.sessions import SessionData
from tests.gateway import postgres
from tests.gateway.doubles import MemoryLog, ObedientEngine, OpenDoor, principal, site

if TYPE_CHECKING:
    from appliance.gateway.assembly import Gateway

KEYS = Keys(content=b"c" * 32, session=b"s" * 32, pseudonym=b"p" * 32)
_ANSWER = (
    "Here is what I found.\n\n",
    "## Findings\n\n",
    "1. The *first* point,\n",
    "2. the **second** point.\n\n",
    "```python\n",
    "print('hello')\n",
    "```\n\n",
    "| column | value |\n|---|---|\n",
    "| one | 1 |\n\n",
    "A tag that must stay text: <script>alert(1)</script>\n",
    "That is all.",
)


async def serve(port: int, pause: float, cluster: postgres.Cluster) -> None:
    """Serve until a signal."""
    pool = database.connect(cluster.socket_dir, postgres.PORT, postgres.PASSWORD)
    await migrate(pool)
    people = {"analyst": principal("analyst", "analysts", roles=("expert",))}
    door = OpenDoor(people=people)
    bound = socket.create_server(("127.0.0.1", port))
    port = bound.getsockname()[1]
    parts = Parts(
        site=site(listen={"hostname": "127.0.0.1", "gateway_port": port}),
        database=pool,
        engines={
            "small": ObedientEngine("small", _ANSWER, pause),
            "large": ObedientEngine("large", _ANSWER, pause * 10),
        },
        audit=MemoryLog(),
        verifier=door,
        sign_in=door,
        keys=KEYS,
    )
    app = create_app(parts)
    gateway: Gateway = app.state.gateway
    token = await _session(gateway)
    lines = [
        f"url: http://127.0.0.1:{port}/",
        f"cookie: {gateway.cookies.session_name()}={token}",
        f"csrf: {gateway.sessions.csrf_token(token)}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    with bound:
        await run(gateway, {server(app, None): bound}, drain=1)
    await pool.dispose()


async def _session(gateway: Gateway) -> str:
    data = SessionData("analyst", ("analysts",), ("expert",), "refresh", "id:analyst")
    subject = subject_of("sub-analyst", KEYS.pseudonym)
    return await gateway.sessions.create(subject, "sid-analyst", data, datetime.now(UTC) + timedelta(minutes=5))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="a gateway to develop the page against")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.15, help="seconds between tokens")
    asked = parser.parse_args()
    with postgres.cluster() as cluster:
        asyncio.run(serve(asked.port, asked.pause, cluster))


if __name__ == "__main__":
    main()
