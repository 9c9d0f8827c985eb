"""Config and manifest of an image made here, as the OCI image specification v1.1 has them.

Nothing in them is of the release or the time, so that two releases have one image where its content is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airgap_bundle import strict_json
from airgap_bundle.build.rootfs.layer import MEDIA_TYPE
from airgap_bundle.container_image import FAMILIES
from airgap_bundle.descriptor import MANIFEST_TYPE, Descriptor
from airgap_bundle.digest import Digest, sha256

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airgap_bundle.build.recipe.recipe_file import Recipe
    from airgap_bundle.build.rootfs.layer import Layer

ARCHITECTURE = "amd64"
LABELS = "org.opencontainers.image."
OWN_LABELS = "vnd.sovereign.image."
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BEGINNING = "1970-01-01T00:00:00Z"


def image_config(recipe: Recipe, version: str, layers: Sequence[Layer]) -> bytes:
    """The config blob: who runs what, where, and the layers' own digests."""
    settings: dict[str, Any] = {
        "User": "0:0" if recipe.user is None else f"{recipe.user}:{recipe.user}",
        "Env": [PATH, *(f"{name}={value}" for name, value in sorted(recipe.environment.items()))],
        "WorkingDir": recipe.folder,
        "Labels": _labels(recipe, version),
    }
    if recipe.entrypoint:
        settings["Entrypoint"] = list(recipe.entrypoint)
    if recipe.command:
        settings["Cmd"] = list(recipe.command)
    return strict_json.dumps(
        {
            "created": _BEGINNING,
            "architecture": ARCHITECTURE,
            "os": "linux",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in layers]},
            "history": [{"created": _BEGINNING, "created_by": f"layer {n}"} for n, _ in enumerate(layers, 1)],
        }
    )


def image_manifest(config: bytes, layers: Sequence[Layer]) -> bytes:
    """The manifest blob."""
    described = Descriptor(FAMILIES[MANIFEST_TYPE].config, sha256(config), len(config))
    blobs = [Descriptor(MEDIA_TYPE, Digest.from_hex(layer.blob.sha256), layer.blob.size) for layer in layers]
    return strict_json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": described.to_json(),
            "layers": [blob.to_json() for blob in blobs],
        }
    )


def _labels(recipe: Recipe, version: str) -> dict[str, str]:
    """What the recipe promises and where it makes an exception, for whoever holds only the image."""
    labels = {
        f"{LABELS}title": recipe.title,
        f"{LABELS}version": version,
        f"{LABELS}licenses": recipe.licence,
        f"{OWN_LABELS}writable": ",".join(sorted(recipe.writable)),
    }
    reasons = {"root": recipe.root, "shell": recipe.shell}
    return labels | {f"{OWN_LABELS}{name}": reason for name, reason in reasons.items() if reason is not None}
