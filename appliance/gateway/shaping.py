"""What shapes an answer of this gateway, for the setting that its confidence is measured under. Pure.

The thresholds are read from where they are used, so that a release which changes one has another setting without
anybody having to remember it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from appliance.gateway import documents
from appliance.learning import confidence
from appliance.learning.setting import setting
from appliance.memory import briefs, fitting, fusion, quoting, retrieval, support, word_search

if TYPE_CHECKING:
    from appliance.engine.client import ModelInfo
    from appliance.gateway.entitlements import Grant
    from appliance.gateway.grounding import Grounding

_FEATURES = {"names": list(confidence.NAMES), "window": confidence.WINDOW, "least": confidence.LEAST}
_LOOKING_UP = {
    "near": fitting.NEAR,
    "covered": fitting.COVERED,
    "rests": support.THRESHOLD,
    "fusion": fusion.K,
    "depth": word_search.DEPTH,
    "candidates": word_search.MAX_CANDIDATES,
    "words": word_search.MAX_WORDS,
    "ranking": retrieval.RANKING,
    "share": documents.SHARE,
    "rule": hashlib.sha256(quoting.RULE.encode()).hexdigest(),
}


def shaped(granted: Grant, model: ModelInfo, grounding: Grounding | None, *, told: bool) -> str:
    """The digest of all that shapes an answer; ``told``: it is given under instructions, as all but completions are."""
    receipt = model.receipt
    adapter = receipt.get("adapters", {}).get(granted.adapter, {}) if granted.adapter is not None else {}
    words = granted.instructions if told else None
    return setting(
        {
            "conversation": told,
            "model": receipt["digest"],
            "template": receipt.get("template_digest"),
            "adapter": adapter.get("digest"),
            "instructions": words.digests() if words is not None else {},
            "brief_form": _digest(briefs.AROUND) if words is not None and words.brief else None,
            "pack": granted.pack.digest if told and granted.pack is not None else None,
            "documents": {**grounding.looked_up_by, **_LOOKING_UP} if grounding is not None else None,
            "features": _FEATURES,
        }
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
