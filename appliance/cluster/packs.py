"""The packs of a cluster's site as its gateways read them: one ConfigMap, made of the administrator's own folder.

A gateway goes by the record in it only where the database says the same (`packs.record`), so whoever may write one of
the two alone, a gateway among them, puts no group under another pack. Kubernetes replaces a ConfigMap whole, and the
files of each pod later, all at once: a command waits until every gateway has them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING

from appliance.cluster.objects import NAMESPACE
from appliance.cluster.reach import said
from appliance.errors import DeploymentError, UnavailableError, UsageError
from appliance.packs.files import read_regular
from appliance.packs.shelf import IN_PODS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from appliance.cluster.reach import Pod, Reach

NAME, MARK = "packs", "mark"
APP = "assistant"
MAX_BYTES = 1_000_000
"""Of all packs with their signatures: what one ConfigMap holds, and a little room."""
WAIT_S = 180
_FILE = re.compile(r"[0-9a-f]{64}\.(pack|json)|groups\.json|rollouts\.json")
_PLACE = "/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~configmap/packs/" + IN_PODS + "/" + MARK
_AWAIT = (
    'n=0; while [ "$(cat "$0" 2>/dev/null)" != "$1" ]; do n=$((n + 1)); [ "$n" -le {seconds} ] || exit 1; sleep 1; done'
)


def files_of(folder: Path) -> dict[str, bytes]:
    """What gateways need of the shelf ``folder``, by name. Raises ``UsageError`` where a cluster cannot hold it."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    try:
        found = {name: read_regular(folder / name, MAX_BYTES) for name in names if _FILE.fullmatch(name)}
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} cannot be read: {error}", "run `sovereign pack list`") from error
    if sum(map(len, found.values())) > MAX_BYTES:
        cause = f"the packs of a cluster's site have {MAX_BYTES // 1000} kB in all, and these are more"
        raise UsageError(cause, "`sovereign pack drop` takes away what no group uses")
    return found


def mark_of(files: Mapping[str, bytes]) -> str:
    """A word that changes with the files."""
    told = hashlib.sha256()
    for name, data in sorted(files.items()):
        told.update(f"{name} {len(data)}\n".encode())
        told.update(data)
    return told.hexdigest()[:32]


def config_map(files: Mapping[str, bytes]) -> dict[str, object]:
    """The ConfigMap. It is none of the release's objects: an upgrade and the way back leave it as it is."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/name": APP}},
        "data": {MARK: mark_of(files)},
        "binaryData": {name: base64.b64encode(data).decode() for name, data in sorted(files.items())},
    }


def publish(reach: Reach, folder: Path, *, seconds: int = WAIT_S) -> None:
    """Bring the packs of ``folder`` to every gateway; returns once each has them.

    Raises ``UsageError`` for more than a cluster holds, nothing is changed then; ``DeploymentError`` where the cluster
    does not take it, or a gateway does not have it in time: what it answers under is refused or as before.
    """
    files = files_of(folder)
    mark = mark_of(files)
    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=sovereign", "--filename=-")
    said(reach.kubectl(*apply), stdin=json.dumps(config_map(files)).encode())
    for pod in _gateways(reach):
        _await(reach, pod, mark, seconds)


def _gateways(reach: Reach) -> tuple[Pod, ...]:
    """Pods that read packs: those of an older release do not. One that starts later reads what is there."""
    try:
        return tuple(pod for pod in reach.running(APP) if NAME in pod.volumes)
    except UnavailableError:
        return ()


def _await(reach: Reach, pod: Pod, mark: str, seconds: int) -> None:
    """A pod that is noted something looks at its ConfigMaps at once, and else within a minute or two."""
    about = (f"--namespace={NAMESPACE}", pod.name, f"sovereign/packs={mark}", "--overwrite")
    said(reach.kubectl("annotate", "pod", *about))
    waiting = ("sh", "-c", _AWAIT.format(seconds=seconds), _PLACE.format(uid=pod.uid), mark)
    try:
        said(reach.on(pod.host, *waiting), timeout_s=seconds * 2 + 30.0)
    except DeploymentError as error:
        raise DeploymentError(
            f"{pod.name} on {pod.host} does not have the packs yet",
            "run `sovereign status`, then the command again; nobody is answered under what is not agreed",
        ) from error
