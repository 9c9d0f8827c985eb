"""site.yaml as values: what an operator may state about a site, with its defaults.

Only the shapes and the rules between fields live here. Reading the file and naming the line of every mistake is
``appliance.site.load``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Port = Annotated[int, Field(ge=1, le=65535)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Instructions = Annotated[str, Field(max_length=16_384)]
SIGN_IN = "/sign-in"
"""Path of Keycloak where it shares the assistant's origin."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Listen(_Strict):
    """Where people reach the site: one origin for the assistant, one for sign-in."""

    host: str = Field(default="127.0.0.1", description="Address both servers bind to.")
    hostname: str = Field(default="localhost", description="Name people type; also the certificate's subject.")
    gateway_port: Port = Field(default=8443, description="The assistant: page and API.")
    identity_port: Port = Field(default=8444, description="Keycloak: sign-in.")
    management_port: Port = Field(default=9843, description="Gateway health and metrics, loopback only.")
    identity_management_port: Port = Field(default=9844, description="Keycloak health and metrics, loopback only.")
    database_port: Port = Field(default=9845, description="PostgreSQL for Keycloak's JDBC, loopback only.")


class Tls(_Strict):
    """Transport security of the two public ports."""

    mode: Literal["site-ca", "off"] = Field(default="site-ca", description="`off` is accepted on loopback only.")


class Edge(_Strict):
    """The one origin of a site on a cluster: TLS ends there, and gateway and Keycloak listen in their pods alone."""

    port: Port = 443


class SiteKey(_Strict):
    """What wraps the site's secrets at rest."""

    kind: Literal["auto", "systemd-creds", "passphrase", "file"] = Field(
        default="auto", description="`auto`: systemd-creds where it works, else a 0600 file (status says so)."
    )


class Officer(_Strict):
    """A person whose signature counts here; the public key file was made by `sovereign trust keygen`."""

    name: Slug
    public_key: str = Field(description="Path of the officer's public key file, relative to site.yaml.")


class Model(_Strict):
    """One model that the site serves: an artifact of the release, and what it may use."""

    name: Slug = Field(description="Artifact name in the release; also the model id of the API.")
    adapters: tuple[Slug, ...] = Field(
        default=(), description="LoRA adapters of the release that are made for it; groups name which they use."
    )
    context_tokens: Annotated[int, Field(ge=256, le=131_072)] = 4096
    memory_mib: Annotated[int, Field(ge=128)] = Field(default=900, description="Resident memory budget of its engine.")
    threads: Annotated[int, Field(ge=1, le=256)] = 2
    parallel: Annotated[int, Field(ge=1, le=64)] = Field(
        default=24, description="Requests computed side by side; fewer where `memory_mib` does not hold them."
    )
    queue: Annotated[int, Field(ge=1, le=4096)] = Field(default=32, description="Requests that may wait.")
    disk_mib: Annotated[int, Field(ge=0, le=1_048_576)] = Field(
        default=512,
        description="Disk for what its engine computed of the site's and the groups' instructions, encrypted, so that "
        "a restart need not compute it again; 0 keeps nothing.",
    )
    pinned_tokens: Annotated[int, Field(ge=0, le=131_072)] | None = Field(
        default=None,
        description="The most tokens of the site's and the groups' instructions that stay in its engine's memory "
        "whatever else goes on there, each group's counted with the site's before it. Without it: as many as there "
        "are, up to half of what it holds. 0 keeps none.",
    )
    watts_busy: Annotated[float, Field(gt=0)] = Field(default=35.0, description="Declared draw while decoding.")
    watts_idle: Annotated[float, Field(ge=0)] = Field(default=8.0, description="Declared idle draw, stated apart.")


class Quota(_Strict):
    """Limits over one subject: a user, or a whole group together."""

    requests_per_minute: Annotated[int, Field(ge=1)] = 60
    tokens_per_day: Annotated[int, Field(ge=1)] = 200_000


class Brought(_Strict):
    """How much the people of a group may bring of documents, all together; what an operator imports is not counted."""

    documents: Annotated[int, Field(ge=1, le=100_000)] = Field(default=500, description="Those refused are counted.")
    characters: Annotated[int, Field(ge=1, le=10_000_000_000)] = Field(
        default=50_000_000, description="Of text, all told; nothing more comes in once there are as many."
    )


class Group(_Strict):
    """A Keycloak group: its models and its quotas."""

    name: Slug
    models: tuple[Slug, ...] = ()
    adapters: tuple[Slug, ...] = Field(
        default=(), description="Adapters that its people are answered with, one of a model at most."
    )
    instructions: Instructions = Field(
        default="", description="What the model is told before its people speak, after the site's `instructions`."
    )
    brings_documents: bool = Field(
        default=False, description="Its people may bring documents on the page, for this group."
    )
    brought: Brought = Brought()
    roles: tuple[Literal["auditor", "expert", "admin"], ...] = ()
    weight: Annotated[float, Field(ge=0.01, le=100)] = Field(
        default=1.0, description="Its users' share of a busy engine, beside users of other groups."
    )
    per_user: Quota = Quota()
    per_group: Quota = Quota(requests_per_minute=600, tokens_per_day=2_000_000)


class Price(_Strict):
    """What groups are charged in reports."""

    currency: str = Field(default="CHF", pattern="[A-Z]{3}", description="Three letters, as on a bill.")
    per_1000_tokens: Annotated[Decimal, Field(ge=0, le=1_000_000)] = Field(
        default=Decimal(0), description="Of prompts and answers alike."
    )
    per_kwh: Annotated[Decimal, Field(ge=0, le=1_000_000)] = Field(
        default=Decimal(0), description="Of the energy that receipts state."
    )


class Audit(_Strict):
    """The audit log's keeping."""

    retention_days: Annotated[int, Field(ge=184, le=36_600)] = Field(
        default=184, description="Entries are kept for so many days at least; less than six months is refused."
    )
    price: Price | None = Field(default=None, description="Prices, for charges by group in reports.")


class DocumentFolder(_Strict):
    """A folder whose files are documents: `sovereign document sync` takes in what is new and drops what is gone."""

    path: Annotated[str, Field(pattern=r"^/[^\x00]*$", max_length=1024)] = Field(description="An absolute path.")
    groups: tuple[Slug, ...] = Field(min_length=1, description="Groups whose people may see them.")


class Documents(_Strict):
    """What the assistant may look up."""

    model: Slug | None = Field(
        default=None,
        description="The embedding model that makes their vectors; without one, words alone are searched, and nobody "
        "is answered from documents.",
    )
    folders: tuple[DocumentFolder, ...] = ()
    every_minutes: Annotated[int, Field(ge=5, le=10_080)] = Field(
        default=60, description="How often systemd has `sovereign document sync` read the folders."
    )
    passages: Annotated[int, Field(ge=1, le=12)] = Field(
        default=5, description="The most passages that an answer is given; fewer where the model's context is short."
    )
    nothing_fits: Literal["abstain", "answer"] = Field(
        default="abstain",
        description="Where no passage fits a question: say so and no more, or answer without documents, marked.",
    )


class ServiceClient(_Strict):
    """A program that calls the API with client credentials."""

    id: Slug
    groups: tuple[Slug, ...]
    priority: Literal["interactive", "batch"] = Field(
        default="interactive", description="`batch`: work that nobody waits for; people's requests come first."
    )
    evaluates: bool = Field(
        default=False,
        description="It evaluates answers, as `sovereign learn evaluate` does: its requests name one of its groups, "
        "are answered as that group's people are, come after people's, and are marked in the audit log.",
    )


class Use(_Strict):
    """What a site serves and to whom: the same on a host and on a cluster."""

    site_key: SiteKey = SiteKey()
    instructions: Instructions = Field(
        default="", description="What every model is told before anybody speaks, as a system message."
    )
    audit: Audit = Audit()
    languages: tuple[Literal["en", "fr", "de"], ...] = ("en", "fr", "de")
    officers: tuple[Officer, ...] = ()
    auditors: tuple[Officer, ...] = Field(
        default=(), description="Persons of whom two together may reveal what was said behind an entry of the log."
    )
    waivers: tuple[str, ...] = Field(default=(), description="Signed waiver files, relative to site.yaml.")
    statements: tuple[str, ...] = Field(
        default=(), description="Signed statements of origin, an approval for one, relative to site.yaml."
    )
    model_policy: str | None = Field(default=None, description="Path of models.yaml; default: the release's policy.")
    models: tuple[Model, ...] = Field(min_length=1)
    groups: tuple[Group, ...] = Field(min_length=1)
    service_clients: tuple[ServiceClient, ...] = ()
    documents: Documents = Documents()

    def unknown_references(self) -> list[str]:
        """Names that nothing has, and names that two things have; each message starts with the path it concerns."""
        models = {m.name for m in self.models}
        groups = {g.name for g in self.groups}
        found = [
            f"groups.{i}.models: {name} is not among this site's models"
            for i, group in enumerate(self.groups)
            for name in group.models
            if name not in models
        ]
        found += [
            f"service_clients.{i}.groups: {name} is not among this site's groups"
            for i, client in enumerate(self.service_clients)
            for name in client.groups
            if name not in groups
        ]
        if self.documents.model is not None and self.documents.model not in models:
            found.append(f"documents.model: {self.documents.model} is not among this site's models")
        found += [
            f"documents.folders.{i}.groups: {name} is not among this site's groups"
            for i, folder in enumerate(self.documents.folders)
            for name in folder.groups
            if name not in groups
        ]
        of = {name: model.name for model in self.models for name in model.adapters}
        found += [
            f"models.{i}.adapters: {name} is {of[name]}'s too, and an adapter is made for one model"
            for i, model in enumerate(self.models)
            for name in model.adapters
            if of[name] != model.name
        ]
        for i, group in enumerate(self.groups):
            adapted = [of.get(name) for name in group.adapters]
            for name, model in zip(group.adapters, adapted, strict=True):
                if model is None:
                    found.append(f"groups.{i}.adapters: {name} is no adapter of this site's models")
                elif adapted.count(model) > 1:
                    found.append(f"groups.{i}.adapters: {name} is not the only adapter of {model}")
        found += [
            f"groups.{i}.instructions: with the site's, no room is left in {model.name}'s {model.context_tokens} tokens"
            for i, group in enumerate(self.groups)
            for model in self.models
            if model.name in group.models and self._told_tokens(group) > model.context_tokens // 2
        ]
        found += [
            f"models.{i}.pinned_tokens: the instructions of those who use {model.name} take about "
            f"{self._pinned(model)} tokens, and {model.pinned_tokens} stay in memory; shorten them, or raise it"
            for i, model in enumerate(self.models)
            if model.pinned_tokens and model.pinned_tokens < self._pinned(model)
        ]
        for field, names in (
            ("models", [m.name for m in self.models]),
            ("groups", [g.name for g in self.groups]),
            ("auditors", [a.name for a in self.auditors]),
            ("service_clients", [c.id for c in self.service_clients]),
            ("documents.folders", [f.path for f in self.documents.folders]),
        ):
            found += [f"{field}.{i}.name: {n} is named twice" for i, n in enumerate(names) if n in names[:i]]
        return found

    def _pinned(self, model: Model) -> int:
        """About how many tokens the engine of ``model`` would pin, as it counts them.

        The site's words once for each adapter that somebody is answered with, for what was computed with one is of no
        use to another; and for each group that has words of its own the site's with them.
        """
        groups = [group for group in self.groups if model.name in group.models]
        adapted = {next((name for name in group.adapters if name in model.adapters), "") for group in groups}
        site = len(adapted) * (len(self.instructions.encode()) // 3)
        return site + sum(self._told_tokens(group) for group in groups if group.instructions)

    def _told_tokens(self, group: Group) -> int:
        """About how many tokens go before anybody speaks: one for three bytes, as the gateway guesses."""
        return len(f"{self.instructions}{group.instructions}".encode()) // 3


class SiteConfig(Use):
    """Everything that site.yaml may say. Unknown fields are mistakes."""

    schema_version: Literal[1] = Field(alias="schema")
    name: Slug
    profile: Literal["host", "pod"] = Field(
        default="host", description="`pod`: what a cluster's installer writes for its pods."
    )
    listen: Listen = Listen()
    tls: Tls = Tls()
    edge: Edge | None = Field(default=None, description="In pods only: where people reach the site.")

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        """Cross-field rules; each message starts with the path it concerns, so that its line can be found."""
        mistakes = [*self.unknown_references(), *self._port_clashes()]
        if self.tls.mode == "off" and self.listen.host not in LOOPBACK:
            mistakes.append(f"tls.mode: off is accepted on loopback only, not on {self.listen.host}")
        if (self.profile == "pod") != (self.edge is not None) or (self.edge is not None and self.tls.mode != "off"):
            mistakes.append("edge: a pod's site has an edge and no TLS of its own; other sites have no edge")
        if mistakes:
            raise ValueError("\n".join(mistakes))
        return self

    def _port_clashes(self) -> list[str]:
        ports = [(n, v) for n, v in self.listen.model_dump().items() if n.endswith("_port")]
        return [
            f"listen.{name}: port {value} is already used by listen.{earlier}"
            for i, (name, value) in enumerate(ports)
            for earlier, other in ports[:i]
            if other == value
        ]

    @property
    def scheme(self) -> str:
        """``https``, or ``http`` where TLS is off and no edge has it."""
        return "https" if self.tls.mode == "site-ca" or self.edge is not None else "http"

    @property
    def gateway_url(self) -> str:
        """Origin of page and API, without a trailing slash."""
        if self.edge is not None:
            return f"https://{self._authority(self.edge.port)}".removesuffix(":443")
        return f"{self.scheme}://{self._authority(self.listen.gateway_port)}"

    @property
    def issuer(self) -> str:
        """OIDC issuer of the site's realm: an origin of its own, or a path of the edge's."""
        if self.edge is not None:
            return f"{self.gateway_url}{SIGN_IN}/realms/sovereign"
        return f"{self.scheme}://{self._authority(self.listen.identity_port)}/realms/sovereign"

    @property
    def log_origin(self) -> str:
        """Origin line of the site's audit log; its verifier keys carry the same name."""
        return f"sovereign/{self.name}"

    def _authority(self, port: int) -> str:
        host = self.listen.hostname
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
