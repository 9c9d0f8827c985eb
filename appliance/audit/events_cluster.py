"""What a cluster's hosts observed: calls of Kubernetes' API, refused packets, and gaps in the reading of both.

Users of that API are certificates and service accounts of the cluster, named as it names them: none of them is a
person of the site's sign-in, so there is no pseudonym to give. ``host`` is the one that observed. Of a call neither
bodies nor the query of its address are taken over. ``recorded`` is the API server's time, ``at`` that of logging.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from appliance.audit import ocsf
from appliance.audit.ocsf import Event, compact, envelope, maybe, text

if TYPE_CHECKING:
    from datetime import datetime

_CREATE, _READ, _UPDATE, _DELETE = 1, 2, 3, 4
_ACTIVITIES = {
    **dict.fromkeys(("get", "list", "watch", "head", "options"), _READ),
    **dict.fromkeys(("update", "patch", "put"), _UPDATE),
    **dict.fromkeys(("delete", "deletecollection"), _DELETE),
}
_BAD_REQUEST = 400
_ENTERED = (
    "pods/exec",
    "pods/attach",
    "pods/portforward",
    "pods/ephemeralcontainers",
    "pods/proxy",
    "services/proxy",
    "nodes/proxy",
)
_REFUSE = 5
_UNKNOWN = 0
_LONGEST_ADDRESS = 40
_USER, _SYSTEM, _SERVICE = 1, 3, 4


def api_call(  # noqa: PLR0913 - the fields of a call, by keyword
    *,
    host: str,
    call_id: str,
    stage: str,
    verb: str,
    user: str,
    groups: tuple[str, ...] = (),
    impersonated: str = "",
    resource: str = "",
    namespace: str = "",
    name: str = "",
    source: str = "",
    agent: str = "",
    code: int | None = None,
    decision: str = "",
    left_out: int = 0,
    recorded: datetime | None = None,
    at: datetime | None = None,
) -> Event:
    """Somebody called Kubernetes' API: ``verb`` is Kubernetes' own, ``resource`` is `group/resource/subresource`.

    ``name`` is the object's, or the path of what is no object; a collection is named as its sort is. ``call_id`` and
    ``agent`` are what the caller says.
    ``left_out`` calls like it came before and have no entry.
    """
    success = code is None or code < _BAD_REQUEST
    who = ocsf.user(user or "unknown", groups, kind=_kind_of(user))
    ours = {
        "kind": "api_call",
        "host": text(host),
        "verb": text(verb),
        "stage": maybe(stage),
        "impersonated": maybe(impersonated),
        "decision": maybe(decision),
        "left_out": left_out or None,
    }
    api = {
        "operation": text(verb or "unnamed"),
        "service": {"name": "kubernetes"},
        "request": {"uid": text(call_id)},
        "response": {"code": code} if code is not None else None,
    }
    called = {"type": maybe(resource), "namespace": maybe(namespace), "name": text(name or resource or "unknown")}
    fields = {
        "actor": {"user": who},
        "api": compact(api),
        "src_endpoint": _endpoint(source),
        "resources": [compact(called)],
        "http_request": {"user_agent": text(agent)} if agent else None,
    }
    return envelope(
        ocsf.API_ACTIVITY,
        _ACTIVITIES.get(verb, _CREATE),
        ours=compact(ours),
        at=at,
        original=recorded,
        success=success,
        severity=_severity(resource, success=success),
        fields=compact(fields),
    )


def network_refusal(  # noqa: PLR0913 - the fields of a refusal, by keyword
    *,
    host: str,
    by: str,
    source: str,
    destination: str,
    protocol: str,
    port: int,
    packets: int,
    at: datetime | None = None,
) -> Event:
    """So many more packets from ``source`` to ``destination`` were refused ``by`` a host's firewall or a policy.

    Or ``by`` the network, for another reason than a policy.
    Ends are addresses or `namespace/pod`. Without them it is the rest that no row names.
    """
    ours = {"kind": "network_refusal", "host": text(host), "by": text(by)}
    fields: Event = {
        "src_endpoint": {"name": text(source or "unknown")},
        "dst_endpoint": compact({"name": text(destination or "unknown"), "port": port or None}),
        "connection_info": {"protocol_name": text(protocol or "unknown"), "direction_id": _UNKNOWN},
        "traffic": {"packets": packets},
        **ocsf.DENIED,
    }
    return envelope(
        ocsf.NETWORK_ACTIVITY,
        _REFUSE,
        ours=ours,
        at=at,
        success=False,
        severity=ocsf.LOW,
        profiles=("security_control",),
        fields=fields,
    )


def cluster_reading(  # noqa: PLR0913 - the fields of a reading, by keyword
    *, host: str, of: str, why: str, place: str, size: int | None = None, gaps: int = 1, at: datetime | None = None
) -> Event:
    """A host's reading ``of`` its files (``calls``, ``flows``) began, or lost something: ``why``, and how many bytes.

    ``gaps`` of them are told as one where many came together.
    ``begun`` alone is no loss by itself: entries before it say whether there was a reading before.
    """
    gap = why != "begun"
    ours = {
        "kind": "cluster_reading",
        "host": text(host),
        "of": text(of),
        "why": text(why),
        "place": text(place),
        "bytes": size,
    }
    return envelope(
        ocsf.APPLICATION_LIFECYCLE,
        3,
        ours=compact(ours | {"gap": gap, "gaps": gaps if gaps > 1 else None}),
        at=at,
        success=not gap,
        severity=ocsf.MEDIUM if gap else ocsf.INFORMATIONAL,
        fields={"app": {"name": "kubernetes", "vendor_name": "Kubernetes"}},
    )


def _endpoint(source: str) -> Event:
    """Where a call came from, as an address where it is one; OCSF takes nothing else for one.

    What follows a zone's mark (``%``) may be any text, and so is none.
    """
    try:
        ip_address(source)
    except ValueError:
        return {"name": text(source or "unknown")}
    return {"name": text(source)} if "%" in source or len(source) > _LONGEST_ADDRESS else {"ip": source}


def _kind_of(user: str) -> int:
    if user.startswith("system:serviceaccount:"):
        return _SERVICE
    return _SYSTEM if user.startswith("system:") else _USER


def _severity(resource: str, *, success: bool) -> int:
    if not success:
        return ocsf.LOW
    if resource in _ENTERED or resource.startswith(("rbac.authorization.k8s.io/", "admissionregistration.k8s.io/")):
        return ocsf.MEDIUM
    return ocsf.LOW if resource.startswith(("secrets", "serviceaccounts/token")) else ocsf.INFORMATIONAL
