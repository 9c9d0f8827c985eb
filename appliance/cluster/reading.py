"""What a host may say about itself, and the words of which host are taken for the cluster's.

A host may be broken, or somebody else's by now: what it says is checked before anything is read out of it, and what it
says about others is believed only of the control plane.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.cluster.standing import Standing

_LAST_SECOND = 2**38  # a time that calendars have


_Moment = Annotated[float, Field(ge=0, le=_LAST_SECOND)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Place(_Strict):
    namespace: str
    name: str


class _Node(_Strict):
    name: str
    ready: bool
    version: str
    schedulable: bool
    control_plane: bool
    pressure: list[str]


class _Pod(_Place):
    node: str
    address: str
    own_network: bool
    owner: str
    ready: bool
    ended: bool
    started: str
    reason: str
    restarts: int
    images: list[str] = []


class _Workload(_Place):
    kind: str
    wanted: int
    ready: int


class _Cluster(_Strict):
    nodes: list[_Node]
    pods: list[_Pod]
    workloads: list[_Workload]
    unbound: list[_Place]


class _Row(_Strict):
    source: str
    destination: str
    protocol: str
    port: int
    count: int


class _Tried(_Row):
    last_seen: _Moment


class _Denied(_Row):
    last_seen: str


class _Firewall(_Strict):
    counters: dict[str, int]
    tried: list[_Tried]
    room: int


class _Observed(_Strict):
    time: _Moment
    taken: _Moment
    behind: int
    cause: str


class _Changing(_Strict):
    to: str
    step: str


class _Reading(_Strict):
    time: float
    disk_free: int
    units: dict[str, str]
    certificates: dict[str, str]
    cluster: _Cluster | None
    observed: _Observed | None = None
    changing: _Changing | None = None
    firewall: _Firewall | None = None
    denied: list[_Denied] | None = None
    denied_rotated: bool = False
    logs: dict[str, str] = {}


FAILED = "failed"


def checked(value: Any) -> Mapping[str, Any]:
    """A reading that is one; of what is none, ``failed`` says what is wrong with it."""
    if isinstance(value, dict) and FAILED in value:
        return {FAILED: str(value[FAILED])}
    try:
        _Reading.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return {FAILED: f"what it says cannot be read: {place + ': ' if place else ''}{first['msg'].lower()}"}
    return dict(value)


def of_cluster(known: Standing, readings: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """What the first host of the control plane that answers says about the cluster; None: none of them does."""
    members = (host.name for host in known.described.cluster.control_plane)
    told = (readings.get(name, {}).get("cluster") for name in members)
    return next((found for found in told if found), None)
