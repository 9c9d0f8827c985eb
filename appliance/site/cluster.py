"""The part of a site file that describes a cluster: its hosts, how they are reached, and its networks.

Hosts that share a name and networks that meet are left to the preflight, which tells them beside what it finds on the
hosts.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from appliance.site import programs
from appliance.site.config import SiteConfig, Use
from appliance.site.shapes import Edge

if TYPE_CHECKING:
    from collections.abc import Iterator

HostName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Address = Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,3}){3}$", description="An IPv4 address.")]
Network = Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,3}){3}/\d{1,2}$", description="An IPv4 network.")]
Port = Annotated[int, Field(ge=1, le=65535)]
API_PORT = 6443
CONTROL_PLANES = (1, 3)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Host(_Strict):
    """One host of the cluster."""

    name: HostName = Field(description="Its name in the cluster.")
    address: Address = Field(description="Where it is reached, by the administrator and by the other hosts.")
    role: Literal["control-plane", "worker"] = "worker"


class Ssh(_Strict):
    """How the administrator enters the hosts. Files are named relative to the site file."""

    user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")] = "root"
    port: Port = 22
    key: str = Field(description="File of the administrator's private key.")
    known_hosts: str = Field(description="File with the hosts' keys; a host whose key is not in it is refused.")


class SharedAddress(_Strict):
    """An address that the hosts of the control plane share by keepalived."""

    address: Address
    interface: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,15}$")] = Field(
        description="Interface that carries it."
    )


class Service(_Strict):
    """Something that the site offers from its hosts."""

    port: Port
    protocol: Literal["tcp", "udp"] = "tcp"
    sources: tuple[Network, ...] = Field(min_length=1, description="Networks that may use it.")


class Destination(_Strict):
    """Something beyond the cluster that hosts and pods may reach, such as a time server."""

    port: Port
    protocol: Literal["tcp", "udp"] = "tcp"
    addresses: tuple[Network, ...] = Field(min_length=1)


class Cluster(_Strict):
    """Hosts, networks and access of a cluster."""

    hosts: tuple[Host, ...] = Field(min_length=1)
    ssh: Ssh
    administration: tuple[Network, ...] = Field(min_length=1, description="Networks that administer the hosts.")
    endpoint: Address | None = Field(
        default=None,
        description="Address of the API when something of the site balances it, on port 6443; default: the shared one.",
    )
    shared_address: SharedAddress | None = None
    pod_subnet: Network = "10.244.0.0/16"
    service_subnet: Network = Field(
        default="10.96.0.0/16",
        description="Network that the site uses nowhere: what is sent to it is not told as an attempt to leave.",
    )
    services: tuple[Service, ...] = ()
    destinations: tuple[Destination, ...] = ()
    control_plane_runs_pods: bool = Field(
        default=False, description="Whether the control plane's hosts run other pods."
    )
    settings: str | None = Field(
        default=None, description="YAML file with further options of the roles, for hosts of a special kind."
    )

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        """Rules between fields; each message starts with the path it concerns."""
        mistakes = [*self._control_plane_stands(), *self._shared_is_one(), *self._addresses_are()]
        if mistakes:
            raise ValueError("\n".join(mistakes))
        return self

    def _control_plane_stands(self) -> Iterator[str]:
        members = self.control_plane
        if len(members) not in CONTROL_PLANES:
            yield f"hosts: the control plane has 1 or 3 hosts, not {len(members)}"
        if len(members) > 1 and self.endpoint is None and self.shared_address is None:
            yield "hosts: a control plane of 3 needs an endpoint or a shared_address"

    def _shared_is_one(self) -> Iterator[str]:
        if self.shared_address is None:
            return
        if self.endpoint is not None:
            yield "endpoint: the API has one address, and `shared_address` gives it already"
        try:
            ipaddress.ip_address(self.shared_address.address)
        except ValueError:
            yield f"shared_address.address: {self.shared_address.address} is no address"
        taken = next((host for host in self.hosts if host.address == self.shared_address.address), None)
        if taken is not None:
            yield f"shared_address.address: {taken.name} has it already"

    def _addresses_are(self) -> Iterator[str]:
        given = {f"hosts.{i}.address": host.address for i, host in enumerate(self.hosts)}
        given |= {"endpoint": self.endpoint} if self.endpoint is not None else {}
        for field, address in given.items():
            try:
                ipaddress.ip_address(address)
            except ValueError:
                yield f"{field}: {address} is no address"
        for field in ("pod_subnet", "service_subnet"):
            try:
                ipaddress.ip_network(getattr(self, field))
            except ValueError as error:
                yield f"{field}: {error}"

    @property
    def control_plane(self) -> tuple[Host, ...]:
        """The hosts of the control plane, the first of which begins it."""
        return tuple(host for host in self.hosts if host.role == "control-plane")

    @property
    def api_endpoint(self) -> str:
        """``address:port`` that hosts reach the API at."""
        shared = self.shared_address.address if self.shared_address else None
        return f"{self.endpoint or shared or self.control_plane[0].address}:{API_PORT}"


class Assistant(Use):
    """The assistant on the cluster: where people reach it, and where its state lies; the rest as on a host."""

    hostname: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")] = Field(
        description="Name people type; also the certificate's subject."
    )
    port: Port = 443
    state_host: HostName | None = Field(
        default=None,
        description="Host whose disk holds database, log and content; default: the first worker, or the first host.",
    )
    gateways: Annotated[int, Field(ge=1, le=4)] = Field(
        default=1,
        description="How many pods answer, each with engines of its own: memory for a model is needed as often.",
    )


class ClusterSite(_Strict):
    """The site file of a cluster. Unknown fields are mistakes."""

    schema_version: Literal[1] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    profile: Literal["cluster"]
    cluster: Cluster
    assistant: Assistant | None = Field(default=None, description="Without it, the cluster alone.")

    @model_validator(mode="after")
    def _assistant_agrees(self) -> Self:
        """Rules between fields; each message starts with the path it concerns."""
        if self.assistant is None:
            return self
        found = [*self.assistant.unknown_references(), *programs.not_in_pods(self.assistant.models)]
        mistakes = [f"assistant.{one}" for one in found]
        wanted = self.assistant.state_host
        if wanted is not None and wanted not in {host.name for host in self.cluster.hosts}:
            mistakes.append(f"assistant.state_host: {wanted} is not among the cluster's hosts")
        if mistakes:
            raise ValueError("\n".join(mistakes))
        return self

    @property
    def state_host(self) -> str:
        """The host whose disk holds what must not be lost."""
        hosts = self.cluster.hosts
        first = next((host for host in hosts if host.role == "worker"), hosts[0])
        return self.assistant.state_host if self.assistant and self.assistant.state_host else first.name

    @property
    def pods(self) -> SiteConfig:
        """The site as pods read it: gateway and Keycloak listen on loopback, the edge has TLS and the one origin.

        Only for a site with an assistant.
        """
        assert self.assistant is not None
        shared = {name: getattr(self.assistant, name) for name in Use.model_fields}
        return SiteConfig.model_validate(
            {
                **{name: _plain(value) for name, value in shared.items()},
                "schema": 1,
                "name": self.name,
                "profile": "pod",
                "listen": {"hostname": self.assistant.hostname},
                "tls": {"mode": "off"},
                "edge": Edge(port=self.assistant.port).model_dump(),
            }
        )


def _plain(value: Any) -> Any:
    """A field's value as a file says it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value
