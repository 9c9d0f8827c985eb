"""A log of many months whose first entries may go, and one of which they went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.audit.client import SyncAuditClient
from appliance.audit.log import TileLog
from appliance.audit.pruning import find_prunable
from appliance.audit.server import create_app
from tests.audit.aged import fill, steady
from tests.audit.bench import EVERY_ROLE, Bench

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from appliance.audit.roles import Roles
    from tests.audit.running import Running

    Serve = Callable[[ASGIApp], Running]


def serve_log(bench: Bench, serve: Serve, roles: Roles = EVERY_ROLE, days: int = 184) -> SyncAuditClient:
    app = create_app(TileLog(bench.directory, bench.origin, bench.keys), roles, retention_days=days)
    return SyncAuditClient(serve(app).socket)


def prunable_end(bench: Bench) -> int:
    return find_prunable(bench.directory, vkeys=bench.vkeys, days=184)[1].end


@pytest.fixture
def aged(bench: Bench) -> Bench:
    fill(bench, steady())
    return bench


@pytest.fixture
def pruned(aged: Bench, serve: Serve) -> Bench:
    """A log whose first bundles were pruned as they may be; its writer runs."""
    with serve_log(aged, serve) as client:
        client.prune(prunable_end(aged), "uid 0")
    return aged
