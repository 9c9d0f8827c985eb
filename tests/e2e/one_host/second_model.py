"""What officers bring to the journey's site: a model of a new name, and a second one for the name that it serves.

The new name is the embedding model of many languages, as its description has it. The second one is the release's own,
called otherwise in its header: it computes the same; the file is another, and so is its digest. Root, waivers and
signatures are made by the commands that people use: two officers get the right to bring models from the release's
signers.
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
from demo.workspace import REPOSITORY, sovereign
from tests.bundles import blob, blob_file, manifest

if TYPE_CHECKING:
    from pathlib import Path

    from demo.workspace import Workspace

VERSION = "1.1.0"
MULTILINGUAL = "multilingual-e5-small"
DEPUTY = "deputy"
_NAME = b"general.name"


def make(workspace: Workspace) -> str:
    """Lay ``multilingual`` and ``models`` with a waiver each beside the release; the second model's digest."""
    _grant(workspace)
    languages = workspace.root / "multilingual"
    sovereign("bundle", "build", "--release", REPOSITORY / "sources" / "multilingual.yaml", "--out", languages)
    _sign(workspace, languages)
    _waive(
        workspace,
        MULTILINGUAL,
        _artifact(languages, MULTILINGUAL)[1]["model.gguf"]["digest"],
        "multilingual-waiver.json",
    )
    bundle, weights = _bundle(workspace)
    _sign(workspace, bundle)
    _waive(workspace, MODEL, weights, "second-waiver.json")
    return weights


def _sign(workspace: Workspace, bundle: Path) -> None:
    """Both officers sign the bundle of models."""
    phrase = workspace.passphrase_file("keys")
    for index, name in enumerate((OFFICER, DEPUTY)):
        roots = (
            [option for n in (1, 2) for option in ("--root", workspace.keys / f"{n}.root.json")] if not index else []
        )
        key = ("--key", workspace.keys / f"{name}.key")
        sovereign("bundle", "sign", bundle, "--models", *key, *roots, passphrase=phrase)


def _waive(workspace: Workspace, model: str, weights: str, file: str) -> None:
    about = ("--model", model, "--digest", weights, "--days", "30", "--reason", WAIVER_REASON)
    waived = [word for check in WAIVED for word in ("--waives", check)]
    out = ("--key", workspace.keys / f"{OFFICER}.key", "--out", workspace.root / file)
    sovereign("trust", "waive", *about, *waived, *out, passphrase=workspace.passphrase_file("keys"))


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
    config, layers = _artifact(workspace.bundle, MODEL)
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
        "number": 2,
        "min_release": 1,
        "support_until": (datetime.now(UTC) + timedelta(days=90)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "artifacts": [{"name": MODEL, "kind": "model", "version": VERSION, "digest": str(found.digest)}],
    }
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [found.to_json()]}
    (bundle / "oci-layout").write_bytes(OCI_LAYOUT)
    (bundle / "index.json").write_bytes(strict_json.dumps(index))
    (bundle / "release.json").write_bytes(strict_json.dumps(release))
    return bundle, str(weights.digest)


def _artifact(bundle: Path, model: str) -> tuple[str, dict[str, Any]]:
    """Digest of the config, and the files by title, of a bundle's model."""
    index = json.loads((bundle / "index.json").read_bytes())
    names = {m["annotations"]["org.opencontainers.image.ref.name"]: m["digest"] for m in index["manifests"]}
    found = json.loads(blob_file(bundle, Digest.parse(names[model])).read_bytes())
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
