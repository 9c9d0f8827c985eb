"""What the API server notes: whatever people do and what opens a way for them, never a body, and not its own heartbeat.

Rules are matched here as its documentation says: the first that fits decides, and an empty list fits everything.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.unit.roles.plugins import ANSIBLE

POLICY = yaml.safe_load((ANSIBLE / "roles/control_plane/files/audit-policy.yaml").read_text())


@dataclass(frozen=True)
class Asked:
    """A request: by whom, and of what; ``path`` is of one that is for no object."""

    verb: str
    resource: str = ""
    group: str = ""
    user: str = "kubernetes-admin"
    groups: tuple[str, ...] = ("kubeadm:cluster-admins", "system:authenticated")
    path: str = ""


def level(asked: Asked) -> str:
    return next((str(rule["level"]) for rule in POLICY["rules"] if _fits(rule, asked)), "None")


def _fits(rule: dict[str, Any], asked: Asked) -> bool:
    if rule.get("users") and asked.user not in rule["users"]:
        return False
    if rule.get("userGroups") and not set(asked.groups) & set(rule["userGroups"]):
        return False
    if rule.get("verbs") and asked.verb not in rule["verbs"]:
        return False
    if asked.path:
        listed = rule.get("nonResourceURLs", ())
        return any(fnmatch.fnmatch(asked.path, one) for one in listed) if listed else not rule.get("resources")
    if rule.get("nonResourceURLs"):
        return False
    return not rule.get("resources") or any(
        one.get("group", "") == asked.group and (not one.get("resources") or asked.resource in one["resources"])
        for one in rule["resources"]
    )


RBAC = "rbac.authorization.k8s.io"
HOST = {"user": "system:node:node1", "groups": ("system:nodes", "system:authenticated")}
PROGRAM = {
    "user": "system:serviceaccount:kube-system:deployment-controller",
    "groups": ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"),
}
STRANGER = {"user": "system:anonymous", "groups": ("system:unauthenticated",)}
CILIUM, OPERATOR = (
    {"user": f"system:serviceaccount:kube-system:{name}", "groups": PROGRAM["groups"]}
    for name in ("cilium", "cilium-operator")
)
POD = {
    "user": "system:serviceaccount:default:stolen",
    "groups": ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"),
}
NOTED = [
    Asked("create", "pods"),
    Asked("delete", "namespaces"),
    Asked("deletecollection", "secrets"),
    Asked("patch", "deployments", "apps"),
    Asked("create", "clusterrolebindings", RBAC),
    Asked("update", "validatingwebhookconfigurations", "admissionregistration.k8s.io"),
    Asked("delete", "validatingadmissionpolicies", "admissionregistration.k8s.io"),
    Asked("patch", "ciliumnetworkpolicies", "cilium.io"),
    Asked("create", "serviceaccounts/token"),
    Asked("patch", "nodes/status"),
    Asked("post", path="/anything"),
    *(Asked(verb, "secrets") for verb in ("get", "list", "watch")),
    *(Asked("get", "secrets", **who) for who in (PROGRAM, POD, STRANGER)),
    *(
        Asked(verb, f"pods/{way}", **who)
        for verb in ("get", "create")
        for way in ("exec", "attach", "portforward")
        for who in (PROGRAM, POD, STRANGER, HOST, {})
    ),
    *(
        Asked("get", f"{what}/proxy", **who)
        for what in ("nodes", "pods", "services")
        for who in (PROGRAM, POD, STRANGER, HOST, {})
    ),
    *(
        Asked(verb, what, "cilium.io", **who)
        for verb in ("create", "patch", "delete", "deletecollection")
        for what in ("ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies")
        for who in (PROGRAM, CILIUM, OPERATOR)
    ),
    Asked("patch", "ciliumendpoints", "cilium.io", **PROGRAM),
    Asked("watch", "secrets", **OPERATOR),
    Asked("create", "pods", **PROGRAM),
    Asked("create", "rolebindings", RBAC, **PROGRAM),
    Asked("create", "serviceaccounts/token", **PROGRAM),
    Asked("create", "pods", **POD),
    Asked("create", "pods", **HOST),
    Asked("delete", "pods", **HOST),
    Asked("create", "pods/exec", **HOST),
    Asked("create", "pods", **STRANGER),
]
LEFT_OUT = [
    Asked("update", "leases", "coordination.k8s.io", **HOST),
    Asked("create", "events"),
    Asked("patch", "nodes/status", **HOST),
    Asked("patch", "pods/status", **HOST),
    Asked("create", "serviceaccounts/token", **HOST),
    Asked("get", "secrets", **HOST),
    Asked("update", "endpointslices", "discovery.k8s.io", **PROGRAM),
    Asked("update", "replicasets/status", "apps", **PROGRAM),
    *(
        Asked("patch", what, "cilium.io", **who)
        for what in ("ciliumendpoints", "ciliumidentities", "ciliumnodes", "ciliumnetworkpolicies/status")
        for who in (CILIUM, OPERATOR)
    ),
    Asked("watch", "ciliumnetworkpolicies", "cilium.io", **CILIUM),
    Asked("watch", "configmaps", **PROGRAM),
    *(
        Asked("create", what, group, **who)
        for who in (STRANGER, POD, {})
        for what, group in (
            ("selfsubjectaccessreviews", "authorization.k8s.io"),
            ("selfsubjectrulesreviews", "authorization.k8s.io"),
            ("selfsubjectreviews", "authentication.k8s.io"),
        )
    ),
    Asked("update", "deployments", "apps", user="system:kube-controller-manager"),
    Asked("list", "pods"),
    Asked("get", path="/healthz/ping"),
    Asked("get", path="/api/v1"),
]


def _named(asked: Asked) -> str:
    return f"{asked.user} {asked.verb} {asked.group}/{asked.resource}{asked.path}"


@pytest.mark.parametrize("asked", NOTED, ids=_named)
def test_what_people_do_and_every_way_in_is_noted(asked: Asked) -> None:
    assert level(asked) == "Metadata"


@pytest.mark.parametrize("asked", LEFT_OUT, ids=_named)
def test_what_a_cluster_does_by_itself_all_day_is_left_out(asked: Asked) -> None:
    assert level(asked) == "None"


def test_no_body_is_ever_noted_and_a_request_once_it_is_answered() -> None:
    assert {rule["level"] for rule in POLICY["rules"]} == {"None", "Metadata"}
    assert POLICY["omitStages"] == ["RequestReceived"]
