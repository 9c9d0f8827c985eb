"""The server that an engine's HTTP face runs on: one Unix socket, and only those who may ask a model.

It loads no native code, so that a process may use it which has no model of its own.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import uvicorn

from appliance.site.peer_protocol import protocol_for
from appliance.site.peers import RefusedPeers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.applications import Starlette

    from appliance.site.peers import Peer


KEPT_S = 30
"""So long a connection without a request is kept; clients close theirs sooner (``client``)."""


def server(app: Starlette, clients: frozenset[int]) -> uvicorn.Server:
    """What serves ``app`` on a Unix socket to the uids in ``clients``, and to nobody else."""
    refused = RefusedPeers()

    def admits(peer: Peer) -> bool:
        if peer.uid not in clients:
            refused.note(peer, "connection_refused")
        return peer.uid in clients

    return _Server(
        uvicorn.Config(
            app,
            http=protocol_for(admits),
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEPT_S,
            timeout_graceful_shutdown=5,
        )
    )


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the engine drains first, while it still listens and refuses politely."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield
