"""What a group's people are answered under, part by part, and what a new site.yaml has of it that no gate let pass.

Pure. Parts are instructions (the group's and the site's), the models that it lists, the adapter of each, and how
documents are looked up. Weights under a model's name are a release's, packs and briefs have gates of their own, and
passages have vectors of one embedding model at a time: none of these is a part.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from appliance.site.config import SiteConfig
    from appliance.site.groups import Group
    from appliance.site.rolling import Change
    from appliance.site.shapes import LookingUp

WORDS, SITE_WORDS, DOCUMENTS = "instructions", "the site's instructions", "how documents are looked up"
NONE = "none"
_MODEL, _ADAPTER = "the model ", "the adapter of "


def parts_of(site: SiteConfig, group: Group) -> dict[str, str]:
    """Each part by its name: digests of words, names of models and adapters, settings."""
    found = {WORDS: _digest(group.instructions), SITE_WORDS: _digest(site.instructions)}
    if site.documents.model is not None:
        found[DOCUMENTS] = _looked_up(site, group.documents)
    for model in site.models:
        if model.name in group.models:
            found[f"{_MODEL}{model.name}"] = model.name
            found[f"{_ADAPTER}{model.name}"] = next((one for one in group.adapters if one in model.adapters), NONE)
    return found


def brought_by(site: SiteConfig, change: Change) -> dict[str, str]:
    """The part that ``change`` is of, and what it is where site.yaml has the change in force."""
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
            return {f"{_MODEL}{change.model}": change.by or NONE}


def unjudged(
    held: Mapping[str, Collection[str]], passed: Mapping[str, Collection[str]], now: Mapping[str, str]
) -> list[str]:
    """The parts that ``now`` has otherwise than they were in force (``held``) and than a gate let pass.

    A model that is listed no more is one, unless one of those that are listed passed in its place. What is new to a
    group, such as another model beside those that it has, takes the place of nothing.
    """
    changed = [
        part for part, value in now.items() if part in held and value not in {*held[part], *passed.get(part, ())}
    ]
    gone = [part for part in held if part.startswith(_MODEL) and part not in now]
    return changed + [part for part in gone if not any(f"{_MODEL}{by}" in now for by in passed.get(part, ()))]


def _looked_up(site: SiteConfig, *said: LookingUp | None) -> str:
    settings = {"passages": site.documents.passages, "nothing_fits": site.documents.nothing_fits}
    for one in said:
        settings |= one.model_dump(exclude_none=True) if one is not None else {}
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _digest(words: str) -> str:
    return "sha256:" + hashlib.sha256(words.strip().encode()).hexdigest() if words.strip() else NONE
