"""Who is at the other end of a Unix socket, as the kernel says it and not as the peer does (unix(7), SO_PEERCRED).

The credentials are those of the process that called connect(2), at that moment. They stay with the connection: one
that is passed on (SCM_RIGHTS), or whose opener changes its uid, still speaks for the uid that opened it.
"""

from __future__ import annotations

import json
import socket as sockets
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.site.paths import SitePaths

ROOT = 0
_UCRED = struct.Struct("=iII")  # struct ucred: pid, uid, gid
_log = structlog.get_logger("peers")


@dataclass(frozen=True)
class Peer:
    """The process that opened a connection. ``pid`` is for messages only: it may be another's by now."""

    uid: int
    gid: int
    pid: int


class _Credentialed(Protocol):
    """A socket, or asyncio's view of one."""

    @property
    def family(self) -> int: ...

    def getsockopt(self, level: int, name: int, length: int, /) -> bytes: ...


def peer_of(connection: _Credentialed) -> Peer:
    """Who opened ``connection``. Raises ``OSError`` when it is no Unix socket: the kernel answers for others too."""
    if connection.family != sockets.AF_UNIX:
        raise OSError("only a Unix socket knows its peer")
    pid, uid, gid = _UCRED.unpack(connection.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, _UCRED.size))
    return Peer(uid, gid, pid)


def service_uid(paths: SitePaths, service: str) -> int | None:
    """The uid that ``service`` runs as: the owner of its runtime folder, which the installer gave it.

    Only root (or, where one user runs everything, that user) makes these folders, and their parent is the installer's,
    so no service can put itself in another's place. None when there is no such folder, or when the owner is
    the uid that stands for everyone whom this user namespace does not know. In a pod the installer's list says it.
    """
    listed = _listed(paths.uids)
    if listed is not None:
        return listed.get(service)
    try:
        uid = paths.socket(service).parent.stat().st_uid
    except FileNotFoundError:
        return None
    return None if uid == overflow_uid() else uid


def _listed(path: Path) -> Mapping[str, int] | None:
    """The uids of a pod's containers by service; None on a host. Raises ``DeploymentError`` for another file."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DeploymentError(f"{path} cannot be read: {error}", "run the installation again") from error
    if not isinstance(value, dict) or not all(type(uid) is int and uid > 0 for uid in value.values()):
        raise DeploymentError(f"{path} is no list of uids above 0 by service", "run the installation again")
    return value


def overflow_uid() -> int:
    """The uid that stands for every uid without a name in this user namespace: it identifies nobody."""
    return int(Path("/proc/sys/kernel/overflowuid").read_text())


class RefusedPeers:
    """Counts what was refused, by uid, and says so on the operational log at the 1st, 2nd, 4th, 8th … time.

    Whoever is refused chooses how often; so neither the log nor this object may grow with it. There are as many keys
    as uids that can reach the socket.
    """

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    @property
    def counts(self) -> Mapping[int, int]:
        """How often each uid was refused since this process started."""
        return self._counts

    def note(self, peer: Peer, what: str, **details: str) -> None:
        """``peer`` was refused; ``what`` names the event on the operational log."""
        count = self._counts[peer.uid] = self._counts.get(peer.uid, 0) + 1
        if count & (count - 1) == 0:
            _log.warning(what, uid=peer.uid, pid=peer.pid, count=count, **details)
