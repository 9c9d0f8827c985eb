"""HTTP on a Unix socket where every request knows who opened its connection: uvicorn's h11 protocol with ``Peer``.

The peer goes into the ASGI scope once per connection, from the kernel; nothing that a request carries can change it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

from appliance.site.peers import Peer, peer_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from starlette.types import Scope

PEER = "sovereign.peer"
"""Where the peer lies in a scope's ``state``."""


class PeerProtocol(H11Protocol):
    """One connection. Who is not admitted is cut off before a byte of theirs is read."""

    @staticmethod
    def admits(_peer: Peer) -> bool:
        """Whether ``_peer`` may connect: here, everyone whom the socket's mode lets in."""
        return True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it too
        """Learn who connected, and cut them off or remember them for every request of this connection."""
        super().connection_made(transport)
        try:
            peer = peer_of(transport.get_extra_info("socket"))
        except OSError:
            transport.abort()
            return
        if not self.admits(peer):
            transport.abort()
            return
        self.app_state = {**self.app_state, PEER: peer}  # uvicorn copies it into the scope of each request


def protocol_for(admits: Callable[[Peer], bool]) -> type[PeerProtocol]:
    """A protocol that admits only those of whom ``admits`` says so."""
    return type("AdmittingProtocol", (PeerProtocol,), {"admits": staticmethod(admits)})


def peer(scope: Scope) -> Peer | None:
    """Who opened the connection of this request; None behind a server that does not say."""
    found = scope.get("state", {}).get(PEER)
    return found if isinstance(found, Peer) else None
