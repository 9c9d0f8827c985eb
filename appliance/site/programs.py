"""What a model that llama-server serves cannot have; each is a mistake in site.yaml, not a field without effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from appliance.site.groups import Group
    from appliance.site.served import Model

_ALONE = "llama-server serves {name}, and {lacks}; leave it out, or have sovereign serve it"


def mistakes(models: Collection[Model], groups: Collection[Group], embedding: str | None) -> list[str]:
    """What contradicts ``program``; each message starts with the path it concerns."""
    others = {model.name for model in models if model.program == "llama-server"}
    return [
        *(found for i, model in enumerate(models) if model.name in others for found in _of_model(i, model)),
        *(found for i, group in enumerate(groups) for found in _of_group(i, group, others)),
        *(f"documents.model: {_ALONE.format(name=name, lacks='it makes no vectors')}" for name in others & {embedding}),
    ]


def not_in_pods(models: Collection[Model]) -> list[str]:
    """A cluster's pods know our own engine only."""
    return [
        f"models.{i}.program: on a cluster {model.name} is served by sovereign; llama-server is for a host"
        for i, model in enumerate(models)
        if model.program != "sovereign"
    ]


def _of_model(index: int, model: Model) -> Iterator[str]:
    for field, wrong, lacks in (
        ("gpu", model.gpu is not None, "it computes on the processor only"),
        ("adapters", bool(model.adapters), "it is given no adapters"),
        ("pinned_tokens", bool(model.pinned_tokens), "no instructions stay in its memory"),
    ):
        if wrong:
            yield f"models.{index}.{field}: {_ALONE.format(name=model.name, lacks=lacks)}"


def _of_group(index: int, group: Group, others: set[str]) -> Iterator[str]:
    served = [name for name in group.models if name in others]
    if served and "confidence" in group.beta:
        lacks = "confidence needs probabilities, which it does not give"
        yield f"groups.{index}.beta: {_ALONE.format(name=served[0], lacks=lacks)}"
    if served and len(served) == len(group.models) and group.weight != 1:
        lacks = "it answers in order of arrival, whatever a group weighs"
        yield f"groups.{index}.weight: {_ALONE.format(name=served[0], lacks=lacks)}"
