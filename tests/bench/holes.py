"""A signed bundle with one blob of any size, which takes no room on disk: it is all holes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from airgap_bundle import strict_json
from airgap_bundle.descriptor import INDEX_TYPE, OCI_LAYOUT, TITLE, Descriptor, artifact_type
from airgap_bundle.digest import sha256_stream
from tests.bundles import blob, manifest, sign

if TYPE_CHECKING:
    from pathlib import Path


def one_large_blob(bundle: Path, size: int) -> Path:
    """A release of one artifact with one file of ``size`` zero bytes, signed and sealed."""
    (bundle / "blobs/sha256").mkdir(parents=True)
    holes = bundle / "holes"
    holes.touch()
    os.truncate(holes, size)
    with holes.open("rb") as stream:
        digest, _ = sha256_stream(stream)
    holes.rename(bundle / "blobs/sha256" / digest.hex)
    layer = Descriptor("application/octet-stream", digest, size, {TITLE: "weights.gguf"})
    config = blob(bundle, b"{}", "application/json")
    found = manifest(bundle, "large", artifact_type("model"), config, [layer])
    release = {
        "schema": 1,
        "name": "sovereign",
        "version": "1.0.0",
        "number": 1,
        "min_release": 1,
        "support_until": "2028-05-31T12:00:00Z",
        "artifacts": [{"name": "large", "kind": "model", "version": "1.0.0", "digest": str(found.digest)}],
    }
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [found.to_json()]}
    (bundle / "oci-layout").write_bytes(OCI_LAYOUT)
    (bundle / "index.json").write_bytes(strict_json.dumps(index))
    (bundle / "release.json").write_bytes(strict_json.dumps(release))
    return sign(bundle, "architect", "builder", "release")
