"""Pods of Kubernetes' own namespace and of the assistant's whose images are none of the release.

Static pods are started by a host's kubelet from its files, by tags, and no admission stands before them. What they run
is compared here instead, as kubelets tell it: a host that was taken over may lie about its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.cluster.objects import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from appliance.cluster.standing import Standing

NAMESPACES = ("kube-system", NAMESPACE)


def foreign_images(known: Standing, told: Mapping[str, Any] | None) -> Iterator[str]:
    """A line for each such pod; none where the release's digests are not known, as until one is in force."""
    released = set(known.state.digests)
    if told is None or not released:
        return
    for pod in told["pods"]:
        others = sorted(set(pod.get("images", ())) - released)
        if others and not pod["ended"] and pod["namespace"] in NAMESPACES:
            place = f"{pod['namespace']}/{pod['name']} on {pod['node']}"
            yield f"{place} runs what is not of the release: {', '.join(others)}; see /etc/kubernetes/manifests there"
