"""The Lease of the pod that this process runs in, as its chart says it in the environment."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from appliance.audit.lease import Lease
from appliance.audit.lease_api import ASK_SECONDS, LeaseApi
from appliance.audit.lease_note import HolderNote
from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENVIRONMENT, CONTROL_PLANES = "AUDIT_LEASE", "AUDIT_CONTROL_PLANES"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def lease_of_pod(environment: Mapping[str, str], directory: Path, ended: Callable[[], None]) -> Lease | None:
    """The Lease that the pod's environment names (``AUDIT_LEASE``, NAMESPACE/NAME/HOLDER); None where it names none.

    ``AUDIT_CONTROL_PLANES`` says how many hosts the control plane has. ``directory`` is the log's. Raises
    ``DeploymentError`` when a Lease is named and the pod was not given what it takes to hold it.
    """
    named = environment.get(ENVIRONMENT)
    if not named:
        return None
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
    members = environment.get(CONTROL_PLANES, "")
    namespace, _, rest = named.partition("/")
    name, _, holder = rest.partition("/")
    if not (host and namespace and name and holder):
        raise DeploymentError(f"{ENVIRONMENT} names no lease that can be held", "the chart `audit` sets it")
    if not (members.isascii() and members.isdecimal() and int(members)):
        raise DeploymentError(f"{CONTROL_PLANES} is no number of hosts", "the chart `audit` sets it")
    try:
        trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    except OSError as error:
        raise DeploymentError("the pod has no certificate of the API server", "the chart `audit` mounts it") from error
    address = f"[{host}]" if ":" in host else host
    http = httpx.Client(base_url=f"https://{address}:{port}", verify=trusted, timeout=ASK_SECONDS, trust_env=False)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"
    api = LeaseApi(http, path, lambda: (ACCOUNT / "token").read_text(encoding="ascii").strip())
    return Lease(api, holder, lone=HolderNote(directory) if int(members) == 1 else None, ended=ended)


def lease_here(directory: Path, ended: Callable[[], None]) -> Lease | None:
    """As ``lease_of_pod``, of this process."""
    return lease_of_pod(os.environ, directory, ended)
