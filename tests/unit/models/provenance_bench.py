"""A model with a publisher's signature and statements of origin, and a policy that asks for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airgap_bundle.digest import sha256
from airgap_bundle.provenance.manifest import Identity, of_files
from airgap_bundle.provenance.origin import sign_origin
from airgap_bundle.provenance.publisher_signature import sign_manifest
from tests.unit.models.small_release import NAME, POLICY, Site, signer
from tests.unit.provenance.publisher_bench import key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

IDENTITY = Identity(NAME, "1.0.0", "chat")
PUBLISHED, HALF_WAY = sha256(b"published weights").hex, sha256(b"converted, not yet quantised").hex
ALL = ("production", "licence", "training-data", "conversion", "quantisation", "approval")


def write_policy(folder: Path, *, attests: Sequence[str] = ALL, **changes: Any) -> Path:
    """The release's policy, with the architect as Google's publisher and the custodian as attester."""
    policy = yaml.safe_load(POLICY.read_bytes())
    pem = key("architect").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    policy |= {
        "publishers": [{"name": "architect", "producers": ["Google"], "keys": [pem]}],
        "attesters": [{"key": json.dumps(signer("custodian").public.to_json()), "attests": list(attests)}],
        "attested": ["producer-verified", "conversion-closed"],
        "waivable": [],
        **changes,
    }
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump(policy))
    return path


def publish(site: Site, owner: str = "architect", identity: Identity = IDENTITY, **changes: bytes) -> None:
    """Add ``owner``'s signature over all of the artifact's files; ``changes`` are signed instead of what is there."""
    files = {**site.contents(), **changes}
    files = {title: data for title, data in files.items() if title != "model.sig"}
    manifest = of_files(identity, {title: sha256(data).hex for title, data in files.items()})
    site.config["signature"] = {"file": "model.sig"}
    site.add("model.sig", sign_manifest(manifest, key(owner)))


def state(site: Site, kind: str, subject: str, by: str = "custodian", **fields: Any) -> None:
    """Add a statement of origin to the artifact."""
    title = f"{len(site.config.get('attestations', []))}-{kind}.intoto.json"
    site.config.setdefault("attestations", []).append(title)
    site.add(title, sign_origin(kind, {subject: "a file"}, fields, signer(by)))


def state_chain(site: Site, by: str = "custodian") -> None:
    """Google published it, llama.cpp converted and quantised it."""
    state(site, "production", PUBLISHED, by, producer="Google", place="Mountain View", jurisdiction="US")
    state(site, "conversion", HALF_WAY, by, tool="convert_hf_to_gguf", version="b6000", inputs=[PUBLISHED])
    quantised = {"tool": "llama-quantize", "version": "b6000", "inputs": [HALF_WAY], "scheme": "Q4_K_M"}
    state(site, "quantisation", sha256(site.weights).hex, by, **quantised)
