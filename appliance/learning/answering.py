"""What a group's people are answered under, part by part, and what a new site.yaml has of it that no gate let pass.

Pure. Parts are instructions (the group's and the site's), the models in the order in which people find them, the
adapter of each, and how documents are looked up. Weights under a model's name are a release's, packs and briefs have
gates of their own, and passages have vectors of one embedding model at a time: none of these is a part.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.site.config import SiteConfig
    from appliance.site.groups import Group
    from appliance.site.rolling import Change
    from appliance.site.shapes import LookingUp

    Values = Mapping[str, Sequence[str]]

WORDS, SITE_WORDS, DOCUMENTS = "instructions", "the site's instructions", "how documents are looked up"
MODELS = "models"
NONE = "none"
_MODEL, _ADAPTER = "the model ", "the adapter of "
_AND = ", "


def parts_of(site: SiteConfig, group: Group) -> dict[str, str]:
    """Each part by its name: digests of words, names of models and adapters, settings."""
    models = [one for one in site.models if one.name in group.models and one.name != site.documents.model]
    found = {WORDS: _digest(group.instructions), SITE_WORDS: _digest(site.instructions)}
    found[MODELS] = _AND.join(one.name for one in models)
    found |= {f"{_ADAPTER}{one.name}": _adapter(site, group, one.name) for one in models}
    if site.documents.model is not None:
        found[DOCUMENTS] = _looked_up(site, group.documents)
    return found


def brought_by(site: SiteConfig, change: Change) -> dict[str, str]:
    """What ``change`` brings, by part; of a model, which one stands in its place, and the adapter of that one."""
    group = next(one for one in site.groups if one.name == change.group)
    match change.kind:
        case "instructions":
            return {WORDS: _digest(change.words)}
        case "site_instructions":
            return {SITE_WORDS: _digest(change.words)}
        case "documents":
            return {DOCUMENTS: _looked_up(site, group.documents, change.documents)}
        case "adapter":
            return {f"{_ADAPTER}{change.model}": change.adapter or NONE}
        case "model":
            by = change.by or ""
            return {f"{_MODEL}{change.model}": by, f"{_ADAPTER}{by}": _adapter(site, group, by)}


def unjudged(held: Values, passed: Values, now: Mapping[str, str]) -> list[str]:
    """The parts that ``now`` has otherwise than they were in force and than a gate let pass.

    ``held``: what was in force, the latest first. A model may go, or no more be the first that people find, where one
    that is listed passed in its place; such a one comes with the adapter that it passed with. What is new to a group,
    such as another model behind those that it has, takes the place of nothing.
    """
    stand_ins = _stand_ins(held, passed, now)
    found = []
    for part, value in now.items():
        known = part in held or (part.startswith(_ADAPTER) and part.removeprefix(_ADAPTER) in stand_ins)
        if part == MODELS:
            known = known and not _follows(held, value, passed)
        if known and value not in {*held.get(part, ()), *passed.get(part, ())}:
            found.append(part)
    return found


def _stand_ins(held: Values, passed: Values, now: Mapping[str, str]) -> set[str]:
    """Models that are listed now in the place of those that were."""
    former = held[MODELS][0].split(_AND) if MODELS in held else []
    listed = now[MODELS].split(_AND)
    return {by for one in former if one not in listed for by in passed.get(f"{_MODEL}{one}", ()) if by in listed}


def _follows(held: Values, now: str, passed: Values) -> bool:
    """Whether each model that goes, and the first one if it is another, has one in its place that may be there."""
    former = held[MODELS][0]
    if not former or not now:
        return True
    before, listed = former.split(_AND), now.split(_AND)
    in_place = {one: _in_place(one, held, passed).intersection(listed) for one in before}
    first = listed[0] in {before[0], *in_place[before[0]]}
    return first and all(in_place[one] for one in before if one not in listed)


def _in_place(model: str, held: Values, passed: Values) -> set[str]:
    """What may stand in the place of ``model``: what passed there, and what it took the place of itself."""
    ever = {one for value in held[MODELS] for one in value.split(_AND)}
    return {*passed.get(f"{_MODEL}{model}", ()), *(one for one in ever if model in passed.get(f"{_MODEL}{one}", ()))}


def _adapter(site: SiteConfig, group: Group, model: str) -> str:
    served = {one.name: one.adapters for one in site.models}[model]
    return next((one for one in group.adapters if one in served), NONE)


def _looked_up(site: SiteConfig, *said: LookingUp | None) -> str:
    """As the gateway's ``Looking`` has it in force; layers keep this from asking it."""
    settings = {"passages": site.documents.passages, "nothing_fits": site.documents.nothing_fits}
    for one in said:
        settings |= one.model_dump(exclude_none=True) if one is not None else {}
    return _AND.join(f"{name} {value}" for name, value in settings.items())


def _digest(words: str) -> str:
    return "sha256:" + hashlib.sha256(words.strip().encode()).hexdigest() if words.strip() else NONE
