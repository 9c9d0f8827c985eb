"""From what a host observed to entries of the log. Pure.

Ids are of the host and of the place on it, so that what is told twice is one entry; the number that a caller gives a
call (`Audit-ID`) is only shown. A host speaks for itself: its name is that of its certificate, and of the API only the
control plane tells. What is no item becomes an entry as well, since a host that cannot go on would tell nothing more.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING

from appliance.audit.events_cluster import api_call, cluster_reading, network_refusal
from appliance.audit.roles import CLUSTER
from appliance.collector.told import Call, Reading, Refused, read_item

if TYPE_CHECKING:
    from appliance.audit.ocsf import Event

Named = tuple[str, "Event"]
CONTROL_PLANE = "control-plane"
_FLOWS = "flows"


def entry(line: bytes, host: str, role: str) -> Named:
    """The entry of the item in ``line``, which ``host`` told. ``role`` is that of the site file."""
    match read_item(line):
        case Call() as call if role == CONTROL_PLANE:
            return CLUSTER.id(host, "call", call.at), _call(call, host)
        case Refused() as refused:
            return CLUSTER.id(host, "refused", refused.number), _refused(refused, host)
        case Reading() as reading if role == CONTROL_PLANE or reading.of == _FLOWS:
            what = reading.why.replace(" ", "-")
            told = cluster_reading(
                host=host,
                of=reading.of,
                why=reading.why,
                place=reading.at,
                size=reading.size or None,
                gaps=reading.gaps,
            )
            return CLUSTER.id(host, "reading", reading.of, reading.at, what), told
    digest = hashlib.sha256(line).hexdigest()
    told = cluster_reading(host=host, of="host", why="not acceptable", place=digest[:16], size=len(line))
    return CLUSTER.id(host, "reading", "host", digest[:32]), told


def _call(call: Call, host: str) -> Event:
    return api_call(
        host=host,
        call_id=call.call,
        stage=call.stage,
        verb=call.verb,
        user=call.user,
        groups=tuple(call.groups),
        impersonated=call.impersonated,
        resource="/".join(part for part in (call.group, call.resource, call.subresource) if part),
        namespace=call.namespace,
        name=call.name or call.path,
        source=call.source,
        agent=call.agent,
        code=call.code,
        decision=call.decision,
        left_out=call.left_out,
        recorded=_moment(call.received),
    )


def _refused(refused: Refused, host: str) -> Event:
    return network_refusal(
        host=host,
        by=refused.by,
        source=refused.source,
        destination=refused.destination,
        protocol=refused.protocol,
        port=refused.port,
        packets=refused.packets,
    )


def _moment(stamp: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return found if found.tzinfo else None
