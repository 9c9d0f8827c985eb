"""How a site rolls a change out, as site.yaml says it: by which shares, and when it goes on or back by itself."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from appliance.site.shapes import Instructions, LookingUp, Slug, Strict

Percent = Annotated[int, Field(ge=1, le=99)]


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
    """What may be rolled out to a group: `sovereign learn rollout start --change NAME`. One of the three.

    Instructions, a model in the place of another, or how documents are looked up.
    """

    name: Slug
    group: Slug
    instructions: Instructions | None = Field(
        default=None, description="In the place of the group's `instructions`; empty: none."
    )
    model: Slug | None = Field(default=None, description="A model of the group, in whose place `by` answers.")
    by: Slug | None = Field(default=None, description="Another model of the site, of the same use.")

    documents: LookingUp | None = Field(
        default=None, description="In the place of how documents are looked up for the group."
    )

    @property
    def kind(self) -> Literal["instructions", "model", "documents"]:
        """What it is of."""
        if self.documents is not None:
            return "documents"
        return "instructions" if self.model is None else "model"

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        of_model = self.model is not None and self.by is not None and self.model != self.by
        of = (of_model, self.instructions is not None, self.documents is not None)
        if sum(of) != 1 or (self.model is None) != (self.by is None):
            raise ValueError("a change is of instructions, of a model by another, or of how documents are looked up")
        return self


class Learning(Strict):
    """How the site learns."""

    rollout: Rollout = Rollout()
    changes: Annotated[tuple[Change, ...], Field(max_length=100)] = Field(
        default=(), description="What may be tried by an evaluation and rolled out; nothing is in force by it."
    )
