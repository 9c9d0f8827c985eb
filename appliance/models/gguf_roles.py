"""What the header of a file must be for the role that its record gives it (llama.cpp's conventions).

A whole model is no adapter, an adapter is LoRA and nothing else, every one of its tensors one half of a pair, and a
projector is of the architecture ``clip``. A file in a role that is not its own is refused: what changes a model's
behaviour passes the gate as what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.models.errors import GgufMismatchError
from appliance.models.gguf import MODEL, PROJECTOR_ARCHITECTURE

if TYPE_CHECKING:
    from appliance.models.gguf import Header

_HALVES = (".lora_a", ".lora_b")


def check_role(header: Header, role: str) -> None:
    """Raise ``GgufMismatchError`` unless the file behind ``header`` is fit for ``role``."""
    if role == "lora":
        _check_adapter(header)
    elif role == "projector":
        if header.architecture != PROJECTOR_ARCHITECTURE or header.kind not in {MODEL, "mmproj"}:
            raise GgufMismatchError(f"the file is a {header.kind!r:.40} of {header.architecture!r:.40}, no projector")
    elif header.kind != MODEL or header.architecture == PROJECTOR_ARCHITECTURE or header.adapter:
        raise GgufMismatchError(f"the file is a {header.kind!r:.40}, and the record calls it a {role} model")


def _check_adapter(header: Header) -> None:
    if (header.kind, header.adapter) != ("adapter", "lora"):
        raise GgufMismatchError(f"the file is a {header.kind!r:.40}, no LoRA adapter")
    pairs: dict[str, set[str]] = {}
    for name in header.names:
        bare = name.strip("'")
        stem, half = bare[: -len(_HALVES[0])], bare[-len(_HALVES[0]) :]
        if half not in _HALVES or not stem:
            raise GgufMismatchError(f"tensor {name} is no half of a LoRA pair")
        pairs.setdefault(stem, set()).add(half)
    if not pairs or any(len(halves) != len(_HALVES) for halves in pairs.values()):
        raise GgufMismatchError("the adapter has no tensors, or a half of a pair is missing")
