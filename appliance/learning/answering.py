"""What a group's people are answered under, part by part, and what a new site.yaml has of it that no gate let pass.

Pure. Parts are instructions (the group's and the site's), the models in the order in which people find them, each with
the group's adapter, and how documents are looked up. Weights under a model's name are a release's, packs and briefs
have gates of their own, and passages have vectors of one embedding model at a time: none of these is a part.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.site.config import SiteConfig
    from appliance.site.groups import Group
    from appliance.site.rolling import Change
    from appliance.site.shapes import LookingUp

    Values = Mapping[str, Sequence[str]]

WORDS, SITE_WORDS, DOCUMENTS = "instructions", "the site's instructions", "how documents are looked up"
MODELS = "models and adapters"
_MODEL, _ADAPTER = "the model ", "the adapter of "
_AND, _WITH = ", ", " with "


def parts_of(site: SiteConfig, group: Group) -> dict[str, str]:
    """Each part by its name: digests of words, names, settings."""
    found = {WORDS: _digest(group.instructions), SITE_WORDS: _digest(site.instructions)}
    listed = [one.name for one in site.models if one.name in group.models and one.name != site.documents.model]
    found[MODELS] = _AND.join(_adapted(site, group, model) for model in listed)
    if site.documents.model is not None:
        found[DOCUMENTS] = _looked_up(site, group.documents)
    return found


def brought_by(site: SiteConfig, change: Change) -> dict[str, str]:
    """What ``change`` brings, as ``unjudged`` looks for it: a part, or what may stand in the place of a model."""
    group = next(one for one in site.groups if one.name == change.group)
    match change.kind:
        case "instructions":
            return {WORDS: _digest(change.words)}
        case "site_instructions":
            return {SITE_WORDS: _digest(change.words)}
        case "documents":
            return {DOCUMENTS: _looked_up(site, group.documents, change.documents)}
        case "adapter":
            return {f"{_ADAPTER}{change.model}": change.adapter or ""}
        case "model":
            return {f"{_MODEL}{change.model}": _adapted(site, group, change.by or "")}


def tried(site: SiteConfig, change: Change) -> str:
    """``sha256:`` of what ``change`` brings now: whoever was answered under it was answered under just that."""
    said = json.dumps(brought_by(site, change), sort_keys=True)
    return "sha256:" + hashlib.sha256(said.encode()).hexdigest()


def unjudged(held: Values, passed: Values, now: Mapping[str, str]) -> list[str]:
    """The parts that ``now`` has otherwise than they ever were in force (``held``, the latest first) or passed.

    Of models: one that goes, or comes first no more, needs one in its place that passed there, with the adapter that it
    passed with; one that stays keeps its adapter, or has one that passed or that it had. What is new to a group, such
    as another model behind those that it has, takes the place of nothing.
    """
    changed = [part for part, value in now.items() if part in held and value not in held[part]]
    return [
        part
        for part in changed
        if not (_follows(held, passed, now[MODELS]) if part == MODELS else now[part] in passed.get(part, ()))
    ]


def _follows(held: Values, passed: Values, now: str) -> bool:
    former = next((value for value in held[MODELS] if value), "")
    if not former or not now:
        return True
    before, listed = former.split(_AND), now.split(_AND)
    names = {one: _name(one) for one in (*before, *listed)}
    stand_ins = {one: {*passed.get(f"{_MODEL}{names[one]}", ())}.intersection(listed) for one in before}
    had = {one for value in held[MODELS] for one in value.split(_AND)}.union(*stand_ins.values())
    here, were = {names[one] for one in listed}, {names[one] for one in before}
    return (
        (names[listed[0]] == names[before[0]] or listed[0] in stand_ins[before[0]])
        and all(stand_ins[one] for one in before if names[one] not in here)
        and all(
            one in had or one.removeprefix(names[one]).removeprefix(_WITH) in passed.get(f"{_ADAPTER}{names[one]}", ())
            for one in listed
            if names[one] in were
        )
    )


def _adapted(site: SiteConfig, group: Group, model: str) -> str:
    adapter = group.adapter_among(next(one.adapters for one in site.models if one.name == model))
    return model if adapter is None else f"{model}{_WITH}{adapter}"


def _name(adapted: str) -> str:
    return adapted.partition(_WITH)[0]


def _looked_up(site: SiteConfig, *said: LookingUp | None) -> str:
    """As the gateway's ``Looking`` has it in force; layers keep this from asking it."""
    own = site.documents
    settings = {"passages": own.passages, "nothing_fits": own.nothing_fits, "meaning": own.meaning}
    for one in said:
        settings |= one.model_dump(exclude_none=True) if one is not None else {}
    if settings["meaning"] == 1:
        del settings["meaning"]  # as it always counted
    return _AND.join(f"{name} {value}" for name, value in settings.items())


def _digest(words: str) -> str:
    return "sha256:" + hashlib.sha256(words.strip().encode()).hexdigest() if words.strip() else "none"
