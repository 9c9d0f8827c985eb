"""Who a site serves, as site.yaml says it: groups with their limits, and programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from appliance.site.shapes import Instructions, LookingUp, Slug, Strict

if TYPE_CHECKING:
    from collections.abc import Collection


class Quota(Strict):
    """Limits over one subject: a user, or a whole group together."""

    requests_per_minute: Annotated[int, Field(ge=1)] = 60
    tokens_per_day: Annotated[int, Field(ge=1)] = 200_000


class Brought(Strict):
    """How much the people of a group may bring of documents, all together; what an operator imports is not counted."""

    documents: Annotated[int, Field(ge=1, le=100_000)] = Field(default=500, description="Those refused are counted.")
    characters: Annotated[int, Field(ge=1, le=10_000_000_000)] = Field(
        default=50_000_000, description="Of text, all told; nothing more comes in once there are as many."
    )


class Threshold(Strict):
    """What follows for an answer that is too unsure. It holds only where the answering model was calibrated.

    `sovereign learn calibrate` does that; until then every answer is given, and says that it is not calibrated.
    """

    below: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="Answers of which fewer than this share were right are too unsure: 0.5 is five of ten."
    )
    then: Literal["abstain", "ask_back", "mark"] = Field(
        default="mark",
        description="`mark`: the answer is given with a warning. `abstain`: it is not given, and the assistant says "
        "so. `ask_back`: it is not given, and the assistant asks for a narrower question. With the last two an answer "
        "is shown only once it is whole.",
    )


class Group(Strict):
    """A Keycloak group: its models and its quotas."""

    name: Slug
    models: tuple[Slug, ...] = ()
    adapters: tuple[Slug, ...] = Field(
        default=(), description="Adapters that its people are answered with, one of a model at most."
    )
    instructions: Instructions = Field(
        default="", description="What the model is told before its people speak, after the site's `instructions`."
    )
    brief: bool = Field(
        default=False,
        description="`sovereign memory compile` chooses sentences from its documents overnight, which its people are "
        "answered with from then on (`memory.compile`).",
    )
    documents: LookingUp | None = Field(
        default=None, description="How documents are looked up for its people, where not as the site's `documents` say."
    )
    brings_documents: bool = Field(
        default=False, description="Its people may bring documents on the page, for this group."
    )
    brought: Brought = Brought()
    roles: tuple[Literal["auditor", "auditor-names", "expert", "admin"], ...] = Field(
        default=(),
        description="`auditor-names`, beside `auditor`: its people may see whom a pseudonym of the log stands for.",
    )
    beta: tuple[Literal["confidence"], ...] = Field(
        default=(),
        description="Features that its people get while they are being tried, marked as beta. `confidence`: answers "
        "say how sure they are.",
    )
    confidence: Threshold | None = Field(
        default=None, description="What follows for an answer that is too unsure; with `beta: [confidence]`."
    )
    weight: Annotated[float, Field(ge=0.01, le=100)] = Field(
        default=1.0, description="Its users' share of a busy engine, beside users of other groups."
    )
    per_user: Quota = Quota()
    per_group: Quota = Quota(requests_per_minute=600, tokens_per_day=2_000_000)

    def adapter_among(self, served: Collection[str]) -> str | None:
        """The one of ``served``, a model's adapters, that its people are answered with; None: the model as it is."""
        return next((name for name in self.adapters if name in served), None)


class ServiceClient(Strict):
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
