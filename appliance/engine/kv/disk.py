"""What an engine brings along for keeping beginnings on disk: an open file and a key. Got before it is confined.

The key that an engine gets is for the very weights, adapters and library that it is about to load. Native code that a
model takes over holds it, and can seal with it; so it must open nothing of another model's, nor of the next one's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Disk:
    """``descriptor`` of an arena (``arena.open_arena``) and 32 secret bytes that only this model's engine ever has."""

    descriptor: int
    key: bytes = field(repr=False)

    @classmethod
    def for_model(cls, descriptor: int, master: bytes, receipt: Mapping[str, Any]) -> Disk:
        """The disk of the model that ``receipt`` is of, from the site's secret ``master``, which is not handed on."""
        adapters = {name: one["digest"] for name, one in receipt.get("adapters", {}).items()}
        facts = [receipt["digest"], adapters, version("llama-cpp-python")]
        info = b"sovereign kv engine v1\n" + json.dumps(facts, sort_keys=True).encode()
        return cls(descriptor, HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(master))
