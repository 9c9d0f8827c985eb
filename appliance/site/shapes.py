"""The shapes that site.yaml is made of: where a site is reached, what wraps its secrets, who counts, what is kept."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Port = Annotated[int, Field(ge=1, le=65535)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Instructions = Annotated[str, Field(max_length=16_384)]
Weight = Annotated[float, Field(ge=0.1, le=10)]
SIGN_IN = "/sign-in"
"""Path of Keycloak where it shares the assistant's origin."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Strict(BaseModel):
    """What nobody declared is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LookingUp(Strict):
    """How documents are looked up for a group; what is not named is as the site's `documents` has it."""

    passages: Annotated[int, Field(ge=1, le=12)] | None = Field(
        default=None, description="The most passages that an answer is given."
    )
    nothing_fits: Literal["abstain", "answer"] | None = Field(
        default=None, description="Where no passage fits: say so and no more, or answer without documents, marked."
    )

    meaning: Weight | None = Field(
        default=None, description="What the order by vectors counts beside that by words, which counts 1."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.model_dump(exclude_none=True) == {}:
            raise ValueError("say `passages`, `nothing_fits` or `meaning`")
        return self


class Listen(Strict):
    """Where people reach the site: one origin for the assistant, one for sign-in."""

    host: str = Field(default="127.0.0.1", description="Address both servers bind to.")
    hostname: str = Field(default="localhost", description="Name people type; also the certificate's subject.")
    gateway_port: Port = Field(default=8443, description="The assistant: page and API.")
    identity_port: Port = Field(default=8444, description="Keycloak: sign-in.")
    management_port: Port = Field(default=9843, description="Gateway health and metrics, loopback only.")
    identity_management_port: Port = Field(default=9844, description="Keycloak health and metrics, loopback only.")
    database_port: Port = Field(default=9845, description="PostgreSQL for Keycloak's JDBC, loopback only.")


class Tls(Strict):
    """Transport security of the two public ports."""

    mode: Literal["site-ca", "off"] = Field(default="site-ca", description="`off` is accepted on loopback only.")


class Edge(Strict):
    """The one origin of a site on a cluster: TLS ends there, and gateway and Keycloak listen in their pods alone."""

    port: Port = 443


class SiteKey(Strict):
    """What wraps the site's secrets at rest."""

    kind: Literal["auto", "systemd-creds", "passphrase", "file"] = Field(
        default="auto", description="`auto`: systemd-creds where it works, else a 0600 file (status says so)."
    )


class Officer(Strict):
    """A person whose signature counts here; the public key file was made by `sovereign trust keygen`."""

    name: Slug
    public_key: str = Field(description="Path of the officer's public key file, relative to site.yaml.")


class Exchange(Strict):
    """What of this site's learning may leave it, and who has to sign for that."""

    name: Slug = Field(description="What the site is called outside for this: a name that does not say which it is.")
    approvers: tuple[Slug, ...] = Field(min_length=1, max_length=16, description="Officers whose signatures count.")
    threshold: int = Field(default=2, ge=1, le=16, description="How many of them have to sign each export.")


class Price(Strict):
    """What groups are charged in reports."""

    currency: str = Field(default="CHF", pattern="[A-Z]{3}", description="Three letters, as on a bill.")
    per_1000_tokens: Annotated[Decimal, Field(ge=0, le=1_000_000)] = Field(
        default=Decimal(0), description="Of prompts and answers alike."
    )
    per_kwh: Annotated[Decimal, Field(ge=0, le=1_000_000)] = Field(
        default=Decimal(0), description="Of the energy that receipts state."
    )


class Audit(Strict):
    """The audit log's keeping."""

    retention_days: Annotated[int, Field(ge=184, le=36_600)] = Field(
        default=184, description="Entries are kept for so many days at least; less than six months is refused."
    )
    price: Price | None = Field(default=None, description="Prices, for charges by group in reports.")
