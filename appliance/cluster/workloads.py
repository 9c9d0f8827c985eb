"""The assistant on a cluster: which charts, with which values, and what lies in the API before them.

Charts are told images by digest and nothing that is secret; a pod that must start anew with a Secret has its mark among
the chart's values.
"""

from __future__ import annotations

import base64
import ipaddress
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from appliance.cluster import objects
from appliance.cluster.contents import Content, contents, link_files
from appliance.cluster.custody import engine_link, host_link, provide
from appliance.cluster.seats import (
    AUDIT_PORT,
    COLLECTOR_PORT,
    COLLECTOR_USER,
    GATEWAY_USER,
    IN_PODS,
    RUN,
    VOLUMES,
    engine_seats,
)
from appliance.errors import UsageError
from appliance.identity.keycloak_server import ADMIN_CLIENT, build_options, start_options
from appliance.install.services import READING_MIB
from appliance.site.paths import engine_service
from appliance.site.shapes import SIGN_IN
from appliance.site.writer import writer_settings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from appliance.cluster.objects import Object
    from appliance.install.vault import Vault
    from appliance.site.cluster import ClusterSite
    from appliance.site.paths import SitePaths

__all__ = ["Chart", "Content", "Volume", "Workloads", "prepare"]
_EDGE_AT, _COLLECTOR_AT = 30, 12  # of the service network, whose lowest 16 (a /24's) to 256 are given out by name only
_CONNECTIONS, _CONNECTIONS_OF_GATEWAY = 30, 30  # Keycloak's, those of commands and the superuser's; each gateway's pool
_DATABASE_MIB, _DATABASE_MIB_OF_GATEWAY = 576, 192
_USERS = {"postgresql": 5432, "audit": 20030}


@dataclass(frozen=True)
class Chart:
    """A chart as Helm is told it; the first of a site's makes the namespace that the others are in."""

    name: str
    namespace: str
    archive: Path
    values: Mapping[str, Any]

    def option(self) -> dict[str, Any]:
        """As the role `assistant` is given it."""
        told = {"name": self.name, "namespace": self.namespace, "archive": str(self.archive)}
        return {**told, "values": dict(self.values)}


@dataclass(frozen=True)
class Volume:
    """A folder of the state's host, and the user whose it is."""

    path: Path
    user: int


@dataclass(frozen=True)
class Workloads:
    """Everything of the assistant that the roles bring to a cluster; ``objects`` come after the first chart.

    ``observers`` are the files by which each host reaches the ``collector`` (`address:port`), by the host's name.
    ``last`` is the first chart as it is once no pod of a former release is left; None: there is none.
    """

    charts: tuple[Chart, ...]
    objects: tuple[Object, ...]
    volumes: tuple[Volume, ...]
    state_host: str
    collector: str = ""
    observers: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    last: Chart | None = None

    def only(self, names: Collection[str]) -> Workloads:
        """The same with these charts alone, in their order."""
        return replace(self, charts=tuple(chart for chart in self.charts if chart.name in names), last=None)

    def options(self) -> dict[str, Any]:
        """What the role `assistant` is given. What may hold braces is told in base64: Ansible would read them."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(self.objects)}
        return {
            "assistant_state_host": self.state_host,
            "assistant_volumes": [{"path": str(v.path), "user": v.user} for v in self.volumes],
            "assistant_charts": [chart.option() for chart in self.charts],
            **({"assistant_last_chart": self.last.option()} if self.last is not None else {}),
            "assistant_objects": base64.b64encode(json.dumps(listed).encode()).decode(),
            "observer_collector": self.collector,
            "observer_credentials": {
                host: {name: base64.b64encode(data).decode() for name, data in files.items()}
                for host, files in self.observers.items()
            },
        }


def prepare(
    paths: SitePaths, vault: Vault, described: ClusterSite, content: Content, *, anew: bool = False
) -> Workloads:
    """The assistant of ``described``; makes and seals the keys that are missing. Raises as opening the vault does.

    ``anew``: certificates are issued again, as ``provide`` does.
    """
    hosts = [host.name for host in described.cluster.hosts]
    store = provide(paths, vault, described.pods, hosts=hosts, anew=anew)
    found = contents(paths, store, described.pods, content)
    values = _Values(described, content, {item["metadata"]["name"]: item for item in found})
    charts = content.parts.charts

    def chart(name: str, told: Mapping[str, Any]) -> Chart:
        return Chart(name, objects.NAMESPACE if name != "policies" else "kube-system", charts[name], told)

    return Workloads(
        tuple(chart(name, told) for name, told in values.by_chart().items()),
        found,
        (Volume(VOLUMES, 0), *(Volume(VOLUMES / name, user) for name, user in _USERS.items())),
        described.state_host,
        f"{values.collector_address()}:{COLLECTOR_PORT}",
        {host: link_files(paths, store, host_link(host)) for host in hosts},
        chart("policies", values.policies()) if content.former else None,
    )


class _Values:
    """Values of every chart, in the order in which they are installed."""

    def __init__(self, described: ClusterSite, content: Content, found: Mapping[str, Object]) -> None:
        self._described, self._config = described, described.pods
        self._images, self._former = content.parts.images, content.former
        self._found = found

    def policies(self, *more: str) -> dict[str, Any]:
        """The images of the release alone, and ``more``."""
        return {"digests": sorted({*(name.rpartition("@")[2] for name in self._images.values()), *more})}

    def by_chart(self) -> dict[str, dict[str, Any]]:
        return {
            "policies": self.policies(*self._former),
            "postgresql": self._postgresql(),
            "keycloak": self._keycloak(),
            "audit": self._audit(),
            "edge": self._edge(),
            "assistant": self._assistant(),
        }

    @property
    def _site(self) -> Mapping[str, str]:
        """Files of the site. Some pods read one, and start anew with that alone: meanwhile nobody is answered."""
        found: Mapping[str, str] = self._found["site"]["data"]
        return found

    def _mark(self, *names: str) -> str:
        return objects.mark(*(self._found[name] for name in names))

    def _stored(self) -> dict[str, Any]:
        return {"run": RUN, "storage": {"node": self._described.state_host}}

    def _own(self) -> dict[str, Any]:
        return {"linkImage": self._images["assistant"]}

    def _postgresql(self) -> dict[str, Any]:
        gateways = self._gateways()
        return {
            **self._own(),
            **self._stored(),
            "image": self._images["postgresql"],
            "connections": _CONNECTIONS + gateways * _CONNECTIONS_OF_GATEWAY,
            "secrets": self._mark("postgresql", "link-database"),
            "resources": {"limits": {"memory": f"{_DATABASE_MIB + gateways * _DATABASE_MIB_OF_GATEWAY}Mi"}},
        }

    def _gateways(self) -> int:
        assert self._described.assistant is not None
        return self._described.assistant.gateways

    def _keycloak(self) -> dict[str, Any]:
        return {
            **self._own(),
            "image": self._images["keycloak"],
            "build": list(build_options(self._config)),
            "start": list(start_options(self._config, IN_PODS, None)),
            "client": ADMIN_CLIENT,
            "path": SIGN_IN,
            "address": self._edge_address(),
            "hostname": self._config.listen.hostname,
            "secrets": self._mark("identity", "link-identity"),
            "settings": objects.mark({"ca.pem": self._site["ca.pem"]}),
            "realm": self._mark("site", "realm"),
        }

    def _audit(self) -> dict[str, Any]:
        writers = [{"name": "gateway", "user": GATEWAY_USER, "port": AUDIT_PORT}]
        writers += [
            {"name": engine_link(seat.model), "user": seat.user, "port": seat.port}
            for seat in engine_seats(self._config)
        ]
        collector = {"user": COLLECTOR_USER, "port": COLLECTOR_PORT, "clusterAddress": self.collector_address()}
        return {
            **self._own(),
            **self._stored(),
            "writers": writers,
            "collector": collector,
            "hosts": {host_link(host.name): host.role for host in self._described.cluster.hosts},
            "controlPlanes": len(self._described.cluster.control_plane),
            "secrets": self._mark("audit", "link-audit"),
            "settings": objects.mark(asdict(writer_settings(self._config)), {"uids.json": self._site["uids.json"]}),
        }

    def _edge(self) -> dict[str, Any]:
        assert self._config.edge is not None
        shared = self._described.cluster.shared_address
        addresses = [host.address for host in self._described.cluster.hosts] + ([shared.address] if shared else [])
        return {
            **self._own(),
            "image": self._images["edge"],
            "hostname": self._config.listen.hostname,
            "port": self._config.edge.port,
            "addresses": sorted(set(addresses)),
            "clusterAddress": self._edge_address(),
            "path": SIGN_IN,
            "secrets": self._mark("edge", "link-edge"),
        }

    def _assistant(self) -> dict[str, Any]:
        memory = {model.name: model.memory_mib for model in self._config.models}
        engines = [
            {
                "name": engine_link(seat.model),
                "service": engine_service(seat.model),
                "user": seat.user,
                "port": seat.port,
                "memoryMib": memory[seat.model],
            }
            for seat in engine_seats(self._config)
        ]
        return {
            **self._own(),
            "storeImage": self._images["site-store"],
            "run": RUN,
            "replicas": self._gateways(),
            "gateway": {"user": GATEWAY_USER},
            "engines": engines,
            "hostname": self._config.listen.hostname,
            "edgeAddress": self._edge_address(),
            "policies": [
                {"key": key, "path": key.replace("..", "/")} for key in sorted(self._found["policies"]["data"])
            ],
            "readingMib": READING_MIB * any(group.brings_documents for group in self._config.groups),
            "secrets": self._mark("gateway", "link-gateway", *(f"link-{engine['name']}" for engine in engines)),
            "settings": self._mark("site", "policies"),
        }

    def collector_address(self) -> str:
        """Where hosts, which have no names of the cluster, reach the collector."""
        return self._address(_COLLECTOR_AT)

    def _edge_address(self) -> str:
        return self._address(_EDGE_AT)

    def _address(self, number: int) -> str:
        network = ipaddress.ip_network(self._described.cluster.service_subnet)
        if network.num_addresses <= max(_EDGE_AT, _COLLECTOR_AT):
            raise UsageError(f"cluster.service_subnet: {network} is too small", "give it a /24 or a larger one")
        return str(network[number])
