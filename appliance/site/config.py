"""site.yaml as values: what an operator may state about a site, with its defaults.

Only the shapes and the rules between fields live here. Reading the file and naming the line of every mistake is
``appliance.site.load``.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from appliance.site import programs
from appliance.site.backups import Backups  # noqa: TC001 - pydantic reads it at run time
from appliance.site.groups import Group, ServiceClient  # noqa: TC001 - pydantic reads them at run time
from appliance.site.rolling import Learning
from appliance.site.served import Documents, Memory, Model
from appliance.site.shapes import (
    LOOPBACK,
    SIGN_IN,
    Audit,
    Edge,
    Exchange,
    Instructions,
    Listen,
    Officer,
    SiteKey,
    Slug,
    Strict,
    Tls,
)


class Use(Strict):
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
    exchange: Exchange | None = Field(
        default=None, description="Without this, nothing that this site learnt leaves it."
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
    memory: Memory = Memory()
    learning: Learning = Learning()

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
        found += self._exchange_mistakes()
        found += programs.mistakes(self.models, self.groups, self.documents.model)
        found += self.learning.mistakes(
            {model.name: model.adapters for model in self.models if model.name != self.documents.model},
            {group.name: group.models for group in self.groups},
            looks_up=self.documents.model is not None,
        )
        found += [
            f"groups.{i}.confidence: confidence is beta, and {group.name} has to be given it with `beta: [confidence]`"
            for i, group in enumerate(self.groups)
            if group.confidence is not None and "confidence" not in group.beta
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
            f"groups.{i}.instructions: with the site's and its brief, no room is left in {model.name}'s "
            f"{model.context_tokens} tokens"
            for i, group in enumerate(self.groups)
            for model in self.models
            if model.name in group.models and self._told_tokens(group, model) > model.context_tokens // 2
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

    def _exchange_mistakes(self) -> list[str]:
        if self.exchange is None:
            return []
        officers, approvers = {one.name for one in self.officers}, self.exchange.approvers
        found = [
            f"exchange.approvers.{i}: {name} is not among this site's officers"
            for i, name in enumerate(approvers)
            if name not in officers
        ]
        if self.exchange.threshold > len(set(approvers)):
            found.append(f"exchange.threshold: {len(set(approvers))} persons cannot give so many signatures")
        return found

    def _pinned(self, model: Model) -> int:
        """About how many tokens the engine of ``model`` would pin, as it counts them.

        The site's words once for each adapter that somebody is answered with, for what was computed with one is of no
        use to another; and for each group that has words of its own the site's with them.
        """
        groups = [group for group in self.groups if model.name in group.models]
        adapted = {group.adapter_among(model.adapters) for group in groups}
        site = len(adapted) * (len(self.instructions.encode()) // 3)
        return site + sum(self._told_tokens(group, model) for group in groups if group.instructions or group.brief)

    def _told_tokens(self, group: Group, model: Model) -> int:
        """About how many tokens go before anybody speaks: one for three bytes, as the gateway guesses."""
        told = len(f"{self.instructions}{group.instructions}".encode()) // 3
        return told + (self.memory.compile.tokens if group.brief and model.name != self.documents.model else 0)


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
    backup: Backups | None = Field(
        default=None, description="Backups by a timer of systemd's; `sovereign backup run` makes the same by hand."
    )

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        """Cross-field rules; each message starts with the path it concerns, so that its line can be found."""
        mistakes = [*self.unknown_references(), *self._port_clashes()]
        if self.tls.mode == "off" and self.listen.host not in LOOPBACK:
            mistakes.append(f"tls.mode: off is accepted on loopback only, not on {self.listen.host}")
        if (self.profile == "pod") != (self.edge is not None) or (self.edge is not None and self.tls.mode != "off"):
            mistakes.append("edge: a pod's site has an edge and no TLS of its own; other sites have no edge")
        if self.backup is not None:
            mistakes += self.backup.mistakes(self.site_key.kind)
            if self.profile == "pod":
                mistakes.append("backup: a cluster has no backup yet")
        if self.profile == "pod":
            mistakes += programs.not_in_pods(self.models)
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
