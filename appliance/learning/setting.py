"""Everything that an answer was given under, as one digest: what was learnt of answers holds for no other. Pure.

``shaped`` is digests and settings, never words: of the model with its template, of the adapter, of each part of the
instructions, of the pack, of how documents are looked up, and of the thresholds that the features are made with. Two
answers are of one setting where all of it is equal. What whoever asks sends (their own system message, the sampler's
temperature) is theirs, and has no part in it.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
"""Of the form below: another one makes all that was learnt before hold for nothing."""


def setting(shaped: Mapping[str, Any]) -> str:
    """``sha256:`` over canonical JSON. Raises ``ValueError`` for numbers that are none."""
    said = {"version": VERSION, **shaped}
    raw = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return "sha256:" + hashlib.sha256(raw.encode()).hexdigest()
