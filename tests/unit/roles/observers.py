"""The parts of the observer, which lie in a folder that Python runs as one program; and an API log to be observed."""

from __future__ import annotations

import importlib
import json
import sys
from typing import TYPE_CHECKING, Any

from tests.unit.roles.plugins import ANSIBLE

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "roles/observer/files/observer"
PARTS = ("calls", "deliver", "follow", "observer", "refused")
sys.path.insert(0, str(ANSIBLE / FOLDER))
try:
    calls, deliver, follow, observer, refused = (importlib.import_module(name) for name in PARTS)
finally:
    sys.path.remove(str(ANSIBLE / FOLDER))

DAY = "2026-11-26T12"


def event(number: int, **more: Any) -> dict[str, Any]:
    """A call as the API server notes it, the ``number``-th of its log."""
    stamp = f"{DAY}:{number // 60 % 60:02d}:{number % 60:02d}.{number:06d}Z"
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": f"call-{number}",
        "stage": "ResponseComplete",
        "requestURI": f"/api/v1/namespaces/default/pods?word=secret-{number}",
        "verb": "create",
        "user": {"username": "kubernetes-admin", "groups": ["kubeadm:cluster-admins", "system:authenticated"]},
        "sourceIPs": ["198.51.100.1", "10.77.0.1"],
        "userAgent": "kubectl/v1.36.3",
        "objectRef": {"resource": "pods", "namespace": "default", "name": f"pod-{number}", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 201},
        "requestReceivedTimestamp": stamp,
        "stageTimestamp": stamp,
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
        **more,
    }


def line(number: int, **more: Any) -> bytes:
    return json.dumps(event(number, **more), separators=(",", ":")).encode() + b"\n"


def append(log: Path, *lines: bytes) -> None:
    with log.open("ab") as out:
        out.writelines(lines)


def rotate(log: Path, number: int) -> Path:
    """As the API server does: the file gets a name with the time, and the next line opens a new one."""
    return log.rename(log.with_name(f"audit-2026-11-26T12-00-{number:02d}.000.log"))
