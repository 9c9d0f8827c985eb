"""What a site file may not change under a cluster that stands, and what hosts must show of it before a run.

The disk of one host holds database and log, and the control plane is its members: a run that looked for either on
other hosts would find nothing there, begin anew, and clean those that the site file names no more. Both come back
from a backup, and no other way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.errors import UsageError

if TYPE_CHECKING:
    from appliance.cluster.state import ClusterState
    from appliance.site.cluster import ClusterSite


def refuse_moved(known: ClusterState | None, described: ClusterSite) -> None:
    """Raise ``UsageError`` where ``described`` has the state on another host than the last run that went through.

    Nothing is compared while a restore brings the state to where it is to be, nor of a site that had no assistant.
    """
    if known is None or not known.release or not known.state_host:
        return
    named = {host.name for host in described.cluster.hosts}
    stays = described.state_host == known.state_host if described.assistant is not None else known.state_host in named
    if not stays:
        elsewhere = described.state_host if described.assistant is not None else "no host of the site file"
        raise UsageError(
            f"the site's database and log are on {known.state_host}, and the site file has them on {elsewhere}",
            f"write `state_host: {known.state_host}` below `assistant`; to another host they go by "
            "`sovereign backup` and `sovereign restore`",
        )


def to_be_seen(known: ClusterState | None) -> dict[str, Any]:
    """Options of the preflight: what it must find on hosts of a cluster that stands."""
    if known is None or not known.release:
        return {}
    return {"preflight_stands": True, "preflight_state_host": known.state_host}


def to_lie_apart(described: ClusterSite) -> dict[str, Any]:
    """Options of the preflight: the host whose disk the log is to have, which had better not be etcd's."""
    return {"preflight_log_host": described.state_host} if described.assistant is not None else {}


def to_have_room_for(described: ClusterSite) -> dict[str, Any]:
    """Options of the preflight: the pods that hosts must have the memory for; none of a site without an assistant."""
    if described.assistant is None:
        return {}
    models = sum(model.memory_mib for model in described.assistant.models)
    return {"preflight_pods": {"count": described.assistant.gateways, "memory_mib": models}}
