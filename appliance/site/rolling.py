"""How a site rolls a change out, as site.yaml says it: by which shares, and when it goes on or back by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from appliance.site.shapes import Instructions, LookingUp, Slug, Strict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Percent = Annotated[int, Field(ge=1, le=99)]
Kind = Literal["instructions", "site_instructions", "model", "adapter", "documents"]


class Rollout(Strict):
    """Stages of a rollout, and what is compared in each."""

    stages: Annotated[tuple[Percent, ...], Field(min_length=1, max_length=6)] = Field(
        default=(10, 50), description="Shares of a group's people in percent, rising; everybody follows."
    )
    advances: Literal["by-hand", "by-itself"] = Field(
        default="by-hand",
        description="`by-itself`: the next stage begins after `hours`, with `people` and `answers`, and no harm seen.",
    )
    hours: Annotated[float, Field(gt=0, le=8760)] = Field(
        default=24.0, description="The least that a stage lasts; by hand, only where fewer were observed."
    )
    people: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=5, description="People of the new arm who are observed before a stage may end."
    )
    answers: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=50, description="Answers of the new arm before a stage may end."
    )
    alpha: Annotated[float, Field(ge=0.001, le=0.2)] = Field(
        default=0.05, description="The chance that a change which makes no difference goes back, over all stages."
    )
    of_person: Annotated[int, Field(ge=1, le=50)] = Field(
        default=5, description="The first answers of a person in a stage, on which they are observed."
    )
    settle_minutes: Annotated[float, Field(ge=0, le=1440)] = Field(
        default=10.0, description="How long after those a mark still counts."
    )
    errors: Annotated[int, Field(ge=1, le=100)] = Field(
        default=5, description="So many failures among the new arm's last `of_last` answers end it at once."
    )
    of_last: Annotated[int, Field(ge=1, le=1000)] = 20

    @field_validator("stages")
    @classmethod
    def _rising(cls, stages: tuple[int, ...]) -> tuple[int, ...]:
        if sorted(set(stages)) != list(stages):
            raise ValueError("shares rise from stage to stage")
        return stages


class Change(Strict):
    """What may be rolled out to a group: `sovereign learn rollout start --change NAME`. One of the five.

    The group's instructions, the site's, a model in the place of another, an adapter in the place of another, or how
    documents are looked up.
    """

    name: Slug
    group: Slug
    instructions: Instructions | None = Field(
        default=None, description="In the place of the group's `instructions`; empty: none."
    )
    site_instructions: Instructions | None = Field(
        default=None, description="In the place of the site's `instructions`, for this group; empty: none."
    )
    model: Slug | None = Field(
        default=None, description="A model of the group, in whose place `by` answers, or which gets `adapter`."
    )
    by: Slug | None = Field(default=None, description="Another model of the site, of the same use.")
    adapter: Slug | Literal[""] | None = Field(
        default=None, description="An adapter of `model`, in the place of the group's; empty: none."
    )

    documents: LookingUp | None = Field(
        default=None, description="In the place of how documents are looked up for the group."
    )

    @property
    def kind(self) -> Kind:
        """What it is of."""
        named: dict[Kind, object] = {
            "documents": self.documents,
            "adapter": self.adapter,
            "model": self.by,
            "site_instructions": self.site_instructions,
        }
        return next((kind for kind, said in named.items() if said is not None), "instructions")

    @property
    def words(self) -> str:
        """Of a change of instructions: those that it brings."""
        return (self.instructions or self.site_instructions or "").strip()

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        of = (self.by, self.adapter, self.instructions, self.site_instructions, self.documents)
        of_model = self.by is not None or self.adapter is not None
        if len(of) - of.count(None) != 1 or of_model != (self.model is not None) or self.by == (self.model or ""):
            raise ValueError(
                "a change is of the group's instructions, of the site's, of a model by another, of a model's adapter, "
                "or of how documents are looked up"
            )
        return self

    def missing(self, models: Mapping[str, Collection[str]], groups: Mapping[str, Collection[str]]) -> bool:
        """Whether it names a group, a model or an adapter that is not there, or that is not the group's.

        ``models`` are those that chat, with their adapters; ``groups`` have their models.
        """
        named = {self.model, self.by} - {None}
        if self.group not in groups or not named <= models.keys():
            return True
        if named and not named & set(groups[self.group]):
            return True
        return bool(self.adapter) and self.adapter not in models[self.model or ""]


class Learning(Strict):
    """How the site learns."""

    rollout: Rollout = Rollout()
    changes: Annotated[tuple[Change, ...], Field(max_length=100)] = Field(
        default=(), description="What may be tried by an evaluation and rolled out; nothing is in force by it."
    )
    ungated: tuple[Slug, ...] = Field(
        default=(),
        description="Groups that site.yaml may change what their people are answered under without a gate, though one "
        "judged such a change before.",
    )

    def mistakes(
        self, models: Mapping[str, Collection[str]], groups: Mapping[str, Collection[str]], *, looks_up: bool
    ) -> list[str]:
        """What is wrong here, each message with the path it concerns; for the arguments see ``Change.missing``."""
        told = []
        called = [(change.group, change.name) for change in self.changes]
        for i, change in enumerate(self.changes):
            at = f"learning.changes.{i}: {change.name}"
            if change.missing(models, groups):
                told.append(f"{at} is of a group, a model or an adapter that is not there, or not the group's")
            if change.documents is not None and not looks_up:
                told.append(f"{at} is of documents, and `documents.model` names none that looks them up")
            if called[i] in called[:i]:
                told.append(f"{at} is the name of two changes of {change.group}")
        return told + [
            f"learning.ungated.{i}: {name} is not among this site's groups"
            for i, name in enumerate(self.ungated)
            if name not in groups
        ]
