"""A release with one tiny model, as the importer leaves it in the store: real files, real digests, real keys."""

from __future__ import annotations

import struct
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airgap_bundle import keys
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.statement import WAIVER_TYPE, sign_statement
from airgap_bundle.store import Artifact, StoredFile, VerifiedRelease
from appliance.models.gate import VerifiedModel, examine, open_verified

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from appliance.models.verdict import Verdict

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
POLICY = Path(__file__).parents[3] / "policies" / "models.yaml"
TEMPLATE = "{% for m in messages %}User: {{ m.content }}\n{% endfor %}Assistant:"
NAME = "gemma3-270m"
BOTH = ("producer-verified", "conversion-closed")

Pair = tuple[bytes, int, bytes]


@cache
def signer(name: str) -> keys.Signer:
    """The signer ``name``, the same one for the whole run."""
    return keys.generate(name)


def text(value: bytes) -> bytes:
    """A GGUF string."""
    return struct.pack("<Q", len(value)) + value


STANDARD: tuple[Pair, ...] = (
    (b"general.architecture", 8, text(b"gemma3")),
    (b"gemma3.context_length", 4, struct.pack("<I", 2048)),
    (b"tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 2) + text(b"a") + text(b"b")),
    (b"tokenizer.ggml.scores", 9, struct.pack("<IQ", 6, 2) + bytes(8)),
    (b"general.file_type", 7, b"\x01"),
)
TENSOR: tuple[bytes, tuple[int, ...], int, int] = (b"blk.0.weight", (4, 2), 0, 0)


def gguf(  # noqa: PLR0913 - one argument per thing that can lie
    pairs: Sequence[Pair] = STANDARD,
    tensors: Sequence[tuple[bytes, tuple[int, ...], int, int]] = (TENSOR,),
    *,
    magic: bytes = b"GGUF",
    version: int = 3,
    n_kv: int | None = None,
    n_tensors: int | None = None,
    data: bytes = bytes(64),
) -> bytes:
    """A GGUF file; counts can be made to lie."""
    counts = (len(tensors) if n_tensors is None else n_tensors, len(pairs) if n_kv is None else n_kv)
    out = magic + struct.pack("<IQQ", version, *counts)
    for key, kind, value in pairs:
        out += text(key) + struct.pack("<I", kind) + value
    for name, shape, kind, offset in tensors:
        out += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        out += struct.pack("<IQ", kind, offset)
    return out + bytes(-len(out) % 32) + data


def record(weights: bytes, template: bytes = TEMPLATE.encode()) -> dict[str, Any]:
    """The demo model's record, for other bytes."""
    return {
        "schema": 1,
        "name": NAME,
        "version": "1.0.0",
        "role": "chat",
        "weights": {
            "file": "model.gguf",
            "sha256": sha256(weights).hex,
            "size": len(weights),
            "format": "gguf",
            "architecture": "gemma3",
            "quantisation": "Q4_K_M",
        },
        "template": {"file": "chat_template.jinja", "sha256": sha256(template).hex, "stop": ["\nUser:"]},
        "producer": {"name": "Google", "jurisdiction": "US", "verified": False, "note": "republished by third parties"},
        "licence": {"spdx": "LicenseRef-Gemma-Terms", "files": ["GEMMA_TERMS.html"]},
        "training_data": {"statement": "not published"},
        "conversion": {
            "tool": "unknown",
            "version": "unknown",
            "input": None,
            "closed": False,
            "note": "uploader unknown",
        },
    }


def waiver(  # noqa: PLR0913 - one argument per thing that can be wrong
    digest_hex: str,
    *,
    by: str = "officer",
    name: str = NAME,
    waives: Sequence[str] = BOTH,
    issued: datetime = NOW - timedelta(days=1),
    days: int = 90,
    officer: str | None = None,
    change: Callable[[dict[str, Any]], None] | None = None,
) -> bytes:
    """A signed waiver."""
    payload: dict[str, Any] = {
        "schema": 1,
        "kind": "model",
        "subject": {"name": name, "sha256": digest_hex},
        "waives": sorted(waives),
        "reason": "trial of the appliance, no personal data",
        "issued": issued.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "expires": (issued + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "officer": officer or by,
    }
    if change is not None:
        change(payload)
    return sign_statement(payload, WAIVER_TYPE, signer(by))


def host_waiver(  # noqa: PLR0913 - one argument per thing that can be wrong
    *,
    by: str = "officer",
    site: str = "trial",
    waives: Sequence[str] = ("landlock",),
    issued: datetime = NOW - timedelta(days=1),
    days: int = 90,
    officer: str | None = None,
) -> bytes:
    """A signed waiver for a host."""
    payload: dict[str, Any] = {
        "schema": 1,
        "kind": "host",
        "subject": {"site": site},
        "waives": sorted(waives),
        "reason": "kernel of the vendor, replaced in May",
        "issued": issued.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "expires": (issued + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "officer": officer or by,
    }
    return sign_statement(payload, WAIVER_TYPE, signer(by))


@dataclass
class Site:
    """Files of a store, and what the gate is asked with. Change anything, then ``open`` or ``examine``."""

    folder: Path
    weights: bytes = field(default_factory=gguf)
    template: bytes = TEMPLATE.encode()
    config: dict[str, Any] = field(default_factory=dict)
    waivers: list[bytes] = field(default_factory=list)
    signers: tuple[str, ...] = ("architect", "builder")
    policy: Path = POLICY
    version: str = "1.0.0"
    slot: str = NAME
    titles: tuple[str, ...] = ("model.gguf", "chat_template.jinja", "GEMMA_TERMS.html")
    extra: dict[str, bytes] = field(default_factory=dict)
    others: tuple[Artifact, ...] = ()
    statements: list[Path] = field(default_factory=list)
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.config = self.config or record(self.weights, self.template)
        self.waivers = self.waivers or [waiver(sha256(self.weights).hex)]
        for name, data in self.contents().items():
            (self.folder / name).write_bytes(data)

    def contents(self) -> dict[str, bytes]:
        """The artifact's files; a chat template only where the record has one."""
        template = {"chat_template.jinja": self.template} if self.config.get("template") else {}
        return {"model.gguf": self.weights, **template, "GEMMA_TERMS.html": b"x", **self.extra}

    def add(self, title: str, data: bytes) -> None:
        """Add a file to the artifact."""
        self.extra[title] = data
        (self.folder / title).write_bytes(data)

    @property
    def weights_file(self) -> Path:
        return self.folder / "model.gguf"

    def release(self) -> VerifiedRelease:
        """The release, its files described as they were when this site was made."""
        files = {
            title: StoredFile(sha256(data), len(data), "application/octet-stream", self.folder / title)
            for title, data in self.contents().items()
            if title in self.titles or title in self.extra
        }
        digest = Digest("sha256:" + "0" * 64)
        artifact = Artifact(self.slot, "model", self.version, digest, deepcopy(self.config), files)
        other = replace(artifact, name="runtime", kind="wheelhouse")
        artifacts = {a.name: a for a in (artifact, other, *self.others)}
        return VerifiedRelease("demo", "1.0.0", 1, 1, digest, self.signers, artifacts, digest)

    def _grounds(self) -> dict[str, Any]:
        paths = []
        for index, data in enumerate(self.waivers):
            path = self.folder / f"waiver-{index}.json"
            path.write_bytes(data)
            paths.append(path)
        return {
            "policy_path": self.policy,
            "waivers": paths,
            "officers": [signer("officer").public],
            "now": self.now,
            "statements": self.statements,
        }

    def open(self) -> VerifiedModel:
        return open_verified(self.release(), self.slot, **self._grounds())

    def examine(self) -> Verdict:
        return examine(self.release(), self.slot, **self._grounds())
