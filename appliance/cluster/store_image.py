"""The site's verified store as an image that pods mount: what the model gate reads, and the models that are served.

It is made on the administrator's machine out of the verified release, since a release cannot hold an image that holds
the release. Equal releases give equal digests. Engines judge and hash it all again at every start.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle.archive import Entry, write_tar
from airgap_bundle.blobs import blob_path
from airgap_bundle.digest import Digest, sha256, sha256_stream
from airgap_bundle.durable import replace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap_bundle.store import Store

NAME = "sovereign.internal/site-store"
FOLDER = "store"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_REMEMBERED = "layer.json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class StoreImage:
    """``blobs`` are files by hex digest: the manifest's, the config's and the layer's."""

    digest: str
    size: int
    blobs: dict[str, Path]

    @property
    def reference(self) -> str:
        """The image by digest."""
        return f"{NAME}@{self.digest}"


def make(store: Store, version: str, models: tuple[str, ...], folder: Path) -> StoreImage:
    """The image of release ``version`` with ``models``; its blobs lie in ``folder``. Raises as ``Store`` for damage."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = list(_entries(store, version, models))
    layer, size = _layer(folder, entries)
    rootfs = {"type": "layers", "diff_ids": [layer]}
    config = _json({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs})
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": _CONFIG, "digest": str(sha256(config)), "size": len(config)},
            "layers": [{"mediaType": _LAYER, "digest": layer, "size": size}],
        }
    )
    blobs = {Digest.parse(layer).hex: folder / Digest.parse(layer).hex}
    for data in (config, manifest):
        path = folder / sha256(data).hex
        replace(path, data)
        blobs[path.name] = path
    for old in set(folder.iterdir()) - {*blobs.values(), folder / _REMEMBERED}:
        old.unlink()
    return StoreImage(str(sha256(manifest)), len(manifest), blobs)


def _entries(store: Store, version: str, models: tuple[str, ...]) -> Iterator[Entry]:
    """The record, every document that opening the release reads, and the files of the models."""
    record = store.record(version)
    release = store.open_record(record)
    wanted = set(store.documents(record))
    wanted |= {file.digest for name in models for file in release.artifacts[name].files.values()}
    yield Entry(f"{FOLDER}/{store.shelf}/{version}.json", record.to_bytes())
    for digest in sorted(wanted, key=str):
        yield Entry(f"{FOLDER}/{blob_path(digest)}", store.path(str(digest)))


def _layer(folder: Path, entries: list[Entry]) -> tuple[str, int]:
    """Digest and size of the layer, made unless ``folder`` holds it already: it is as large as the models are."""
    small = [entry.content.hex() for entry in entries if isinstance(entry.content, bytes)]
    asked = sha256("\n".join([*small, *(entry.path for entry in entries)]).encode()).hex
    remembered = folder / _REMEMBERED
    if remembered.exists():
        kept = json.loads(remembered.read_bytes())
        path = folder / str(kept["digest"]).removeprefix("sha256:")
        if kept["asked"] == asked and path.exists() and path.stat().st_size == kept["size"]:
            return kept["digest"], kept["size"]
    partial = folder / "layer.partial"
    with partial.open("w+b") as out:
        write_tar(out, entries)
        out.seek(0)
        digest, size = sha256_stream(out)
    partial.rename(folder / digest.hex)
    replace(remembered, _json({"asked": asked, "digest": str(digest), "size": size}))
    return str(digest), size


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
