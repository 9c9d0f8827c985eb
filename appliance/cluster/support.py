"""The cluster's part of a support bundle: its status, its site file, and the ends of logs from every host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.cluster.looking import look
from appliance.cluster.reading import FAILED
from appliance.cluster.status import cluster_status
from appliance.install.support_bundle import Item, described, document, log

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from appliance.cluster.standing import Standing
    from appliance.cluster.status import Readings
    from appliance.install.redaction import Redactor
    from appliance.site.paths import SitePaths


def cluster_items(
    paths: SitePaths, known: Standing, redactor: Redactor, *, enter: Sequence[str] = ()
) -> tuple[Item, ...]:
    """What the bundle of a cluster holds; a host that does not answer is in its status."""
    readings = look(known, "state logs", enter=enter)
    return tuple(sorted(_items(paths, known, readings, redactor), key=lambda item: item.path))


def _items(paths: SitePaths, known: Standing, readings: Readings, redactor: Redactor) -> Iterator[Item]:
    yield described("site.yaml", "the site file", known.source.read_bytes(), redactor)
    status = cluster_status(paths, known, readings).data()
    yield document("status.json", "as `sovereign status` shows it", status, redactor)
    for host, reading in readings.items():
        if FAILED not in reading:
            for name, text in reading.get("logs", {}).items():
                yield log(f"hosts/{host}/{name}.log", "its end, from the host", text.encode(), redactor)


def networks(known: Standing) -> set[str]:
    """The site's own networks, which say nothing of people: hosts, pods, services."""
    cluster = known.described.cluster
    of_api = cluster.api_endpoint.partition(":")[0]
    return {*(host.address for host in cluster.hosts), of_api, cluster.pod_subnet, cluster.service_subnet}
