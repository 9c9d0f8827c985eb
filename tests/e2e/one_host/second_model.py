"""A second model for the journey's site: the release's own, called otherwise in its header, in a bundle of models.

The weights compute the same; the file is another, and so is its digest. Root, waiver and signatures are made by the
commands that people use: two officers get the right to bring models from the release's signers.
"""

from __future__ import annotations

import json
import os
import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airgap_bundle import strict_json
from airgap_bundle.descriptor import INDEX_TYPE, OCI_LAYOUT, TITLE, Descriptor, artifact_type
from airgap_bundle.digest import Digest, sha256_stream
from demo.release import MODEL, OFFICER, SIGNERS, WAIVER_REASON
from demo.site import WAIVED
from demo.workspace import sovereign
from tests.bundles import blob, blob_file, manifest

if TYPE_CHECKING:
    from pathlib import Path

    from demo.workspace import Workspace

VERSION = "1.1.0"
DEPUTY = "deputy"
_NAME = b"general.name"


def make(workspace: Workspace) -> str:
    """Lay ``models`` and ``second-waiver.json`` beside the release; the digest of the second model's weights."""
    _grant(workspace)
    bundle, weights = _bundle(workspace)
    phrase = workspace.passphrase_file("keys")
    for index, name in enumerate((OFFICER, DEPUTY)):
        roots = (
            [option for n in (1, 2) for option in ("--root", workspace.keys / f"{n}.root.json")] if not index else []
        )
        key = ("--key", workspace.keys / f"{name}.key")
        sovereign("bundle", "sign", bundle, "--models", *key, *roots, passphrase=phrase)
    about = ("--model", MODEL, "--digest", weights, "--days", "30", "--reason", WAIVER_REASON)
    waived = [word for check in WAIVED for word in ("--waives", check)]
    out = ("--key", workspace.keys / f"{OFFICER}.key", "--out", workspace.root / "second-waiver.json")
    sovereign("trust", "waive", *about, *waived, *out, passphrase=phrase)
    return weights


def _grant(workspace: Workspace) -> None:
    """Root 2, in which the officer and the deputy may bring models; signed by two of those who hold root 1."""
    phrase, keys = workspace.passphrase_file("keys"), workspace.keys
    sovereign("trust", "keygen", DEPUTY, "--out", keys, passphrase=phrase)
    newcomers = [option for name in (OFFICER, DEPUTY) for option in ("--add-models", keys / f"{name}.pub")]
    sovereign("trust", "rotate", "--roots", keys, *newcomers, "--models-threshold", "2")
    for name in SIGNERS[:2]:
        draft = (keys / "2.root.json", "--key", keys / f"{name}.key", "--yes")
        sovereign("trust", "sign-root", *draft, passphrase=phrase)


def _bundle(workspace: Workspace) -> tuple[Path, str]:
    """The unsigned bundle, and the digest of its weights."""
    bundle = workspace.root / "models"
    (bundle / "blobs/sha256").mkdir(parents=True)
    config, layers = _artifact(workspace.bundle)
    weights = _renamed(blob_file(workspace.bundle, Digest.parse(layers["model.gguf"]["digest"])), bundle)
    record: dict[str, Any] = json.loads(blob_file(workspace.bundle, Digest.parse(config)).read_bytes())
    record |= {"version": VERSION, "weights": {**record["weights"], "sha256": weights.digest.hex}}
    described = [weights]
    for title, layer in layers.items():
        if title != "model.gguf":
            data = blob_file(workspace.bundle, Digest.parse(layer["digest"])).read_bytes()
            described.append(blob(bundle, data, layer["mediaType"], {TITLE: title}))
    settings = blob(bundle, strict_json.dumps(record), "application/vnd.sovereign.model.config.v1+json")
    found = manifest(bundle, MODEL, artifact_type("model"), settings, described)
    release = {
        "schema": 1,
        "name": "site-models",
        "version": VERSION,
        "number": 1,
        "min_release": 1,
        "support_until": (datetime.now(UTC) + timedelta(days=90)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "artifacts": [{"name": MODEL, "kind": "model", "version": VERSION, "digest": str(found.digest)}],
    }
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [found.to_json()]}
    (bundle / "oci-layout").write_bytes(OCI_LAYOUT)
    (bundle / "index.json").write_bytes(strict_json.dumps(index))
    (bundle / "release.json").write_bytes(strict_json.dumps(release))
    return bundle, str(weights.digest)


def _artifact(release: Path) -> tuple[str, dict[str, Any]]:
    """Digest of the config, and the files by title, of the release's model."""
    index = json.loads((release / "index.json").read_bytes())
    names = {m["annotations"]["org.opencontainers.image.ref.name"]: m["digest"] for m in index["manifests"]}
    found = json.loads(blob_file(release, Digest.parse(names[MODEL])).read_bytes())
    return found["config"]["digest"], {layer["annotations"][TITLE]: layer for layer in found["layers"]}


def _renamed(weights: Path, bundle: Path) -> Descriptor:
    """The weights under another ``general.name`` of the same length, as a blob of ``bundle``."""
    data = bytearray(weights.read_bytes())
    at = data.index(_NAME) + len(_NAME) + 4  # the value's type, then its length and text
    (length,) = struct.unpack_from("<Q", data, at)
    data[at + 8 : at + 8 + length] = b"Second".ljust(length, b"d")[:length]
    part = bundle / "blobs/sha256/weights"
    part.write_bytes(data)
    with part.open("rb") as stream:
        digest, size = sha256_stream(stream)
    os.replace(part, blob_file(bundle, digest))  # noqa: PTH105 - one file, two names for it
    return Descriptor("application/octet-stream", digest, size, {TITLE: "model.gguf"})
