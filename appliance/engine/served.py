"""Which model an engine serves, as one digest: what a gateway logged a request for is what must answer it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def receipt_digest(receipt: Mapping[str, Any]) -> str:
    """SHA-256 of the model's part of a receipt, as JSON with sorted keys: weights, template, signers and the rest."""
    return hashlib.sha256(json.dumps(dict(receipt), sort_keys=True, ensure_ascii=True).encode()).hexdigest()
