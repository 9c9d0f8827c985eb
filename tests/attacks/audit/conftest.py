"""A log to work on, and an auditor who watches it; a gateway to ask."""

from __future__ import annotations

from tests.audit.auditor import auditor
from tests.audit.bench import anyio_backend, bench
from tests.audit.erasing import erasure_cluster, erasure_site
from tests.audit.pruning import aged, pruned
from tests.audit.revealing import reveal_cluster, reveal_site
from tests.audit.running import serve
from tests.integration.gateway.conftest import client, cluster, house, pool

__all__ = [
    "aged",
    "anyio_backend",
    "auditor",
    "bench",
    "client",
    "cluster",
    "erasure_cluster",
    "erasure_site",
    "house",
    "pool",
    "pruned",
    "reveal_cluster",
    "reveal_site",
    "serve",
]
