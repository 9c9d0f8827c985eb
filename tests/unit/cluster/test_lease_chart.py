"""What the chart gives the log's writer to hold its Lease with: that, and nothing that goes further."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

TEMPLATES = Path(__file__).parents[3] / "charts/audit/templates"


def rendered(name: str) -> list[dict[str, Any]]:
    """The objects of a template that has no more in it than labels and the namespace."""
    text = (TEMPLATES / name).read_text()
    text = re.sub(r"\{\{- include \"sovereign\.labels\"[^}]*\}\}", "{app: audit}", text)
    text = text.replace("{{ .Release.Namespace }}", "sovereign")
    assert "{{" not in text
    return list(yaml.safe_load_all(text))


def by_kind() -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in rendered("lease.yaml")}


def test_the_account_may_read_and_renew_one_lease_and_nothing_else() -> None:
    found = by_kind()
    assert set(found) == {"Lease", "ServiceAccount", "Role", "RoleBinding", "CiliumNetworkPolicy"}
    assert found["Role"]["rules"] == [
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": [found["Lease"]["metadata"]["name"]],
            "verbs": ["get", "update"],
        }
    ]
    assert found["RoleBinding"]["roleRef"]["name"] == found["Role"]["metadata"]["name"]
    assert found["RoleBinding"]["subjects"] == [{"kind": "ServiceAccount", "name": "audit", "namespace": "sovereign"}]
    assert found["ServiceAccount"]["automountServiceAccountToken"] is False


def test_an_upgrade_of_the_chart_says_nothing_about_who_holds_it() -> None:
    assert "spec" not in by_kind()["Lease"]


def test_the_pod_reaches_the_api_server_and_no_other_place_that_it_did_not_reach() -> None:
    policy = by_kind()["CiliumNetworkPolicy"]["spec"]
    assert policy == {
        "endpointSelector": {"matchLabels": {"app.kubernetes.io/name": "audit"}},
        "egress": [{"toEntities": ["kube-apiserver"], "toPorts": [{"ports": [{"port": "6443", "protocol": "TCP"}]}]}],
    }


def test_the_token_is_the_writers_alone_among_the_pods_containers() -> None:
    text = (TEMPLATES / "statefulset.yaml").read_text()
    library = (TEMPLATES.parents[1] / "library/_sovereign.tpl").read_text()
    before, writer = text.split("      - name: writer\n")
    containers, volumes = writer.split("      volumes:\n")
    assert "name: account" not in before
    assert "serviceaccount" not in before + library
    assert containers.count("{name: account, mountPath: /var/run/secrets/kubernetes.io/serviceaccount") == 1
    assert "automountServiceAccountToken: false" in library
    assert "serviceAccountToken: {path: token, expirationSeconds: 604800}" in volumes
    assert "value: $(NAMESPACE)/audit/$(POD)_$(POD_UID)}" in containers
    assert "{name: AUDIT_CONTROL_PLANES, value: {{ .Values.controlPlanes | quote }}}" in containers


def test_how_many_hosts_the_control_plane_has_must_be_said() -> None:
    schema = json.loads((TEMPLATES.parent / "values.schema.json").read_text())
    assert "controlPlanes" in schema["required"]
    assert schema["properties"]["controlPlanes"] == {"enum": [1, 3]}
    assert yaml.safe_load((TEMPLATES.parent / "values.yaml").read_text())["controlPlanes"] not in {1, 3}
