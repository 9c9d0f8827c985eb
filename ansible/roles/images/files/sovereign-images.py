#!/usr/bin/python3
"""Brings containerd to what the host's image layout says: every image unpacked, under name and digest, pinned.

    sovereign-images LAYOUT [--prune]

Prints {"imported": […], "removed": […]}. Every blob is hashed before it is imported; a wrong one is removed, named on
stderr, and ends the run with status 3: the next installation sends it again. An `index-before.json` beside the index
names what a former release brought, which stays. With `--prune`, blobs that neither index leads to are removed: only an
installation may, once all is sent. Runs on hosts with their distribution's Python and containerd's `ctr`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

CTR = ("ctr", "--namespace", "k8s.io")
PINNED = "io.cri-containerd.pinned"
NAME = "io.containerd.image.name"
OURS = "sovereign.release"
BEFORE = "index-before.json"
REFUSED = 3


class DamagedBlobError(Exception):
    """A blob is not what its name says; it has been removed."""


def ctr(*arguments: str) -> str:
    """What `ctr` prints. Raises ``CalledProcessError``."""
    return subprocess.run([*CTR, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def known() -> dict[str, tuple[str, str]]:
    """Digest and labels of every image that containerd knows, by name."""
    lines = ctr("images", "list").splitlines()[1:]
    rows = (line.split() for line in lines if line.strip())
    return {row[0]: (next(w for w in row if w.startswith("sha256:")), row[-1]) for row in rows}


def listed(index: Path) -> dict[str, dict[str, Any]]:
    """Descriptor of every image in an index, by name; none where it is not there."""
    if not index.exists():
        return {}
    return {d["annotations"][NAME]: d for d in json.loads(index.read_bytes())["manifests"]}


def wanted(layout: Path) -> dict[str, dict[str, Any]]:
    """Descriptor of every image by name. A name that both releases have is the new one's; see ``held``."""
    return {**listed(layout / BEFORE), **listed(layout / "index.json")}


def held(layout: Path) -> set[str]:
    """Names by digest of what a former release brought under a name that is another image's by now."""
    new = listed(layout / "index.json")
    return {by_digest(name, d["digest"]) for name, d in listed(layout / BEFORE).items() if name in new}


def by_digest(name: str, digest: str) -> str:
    """The name under which pods find the image by digest."""
    return f"{name.rsplit(':', 1)[0]}@{digest}"


def blobs(layout: Path, descriptor: dict[str, Any]) -> Iterator[str]:
    """Digests of one image's manifest, config and layers, as hex."""
    digest = descriptor["digest"].removeprefix("sha256:")
    yield digest
    manifest = json.loads(verified(layout, digest).read_bytes())
    for part in (*manifest.get("manifests", ()), *manifest.get("layers", ()), *filter(None, [manifest.get("config")])):
        if "manifest.v" in part["mediaType"]:
            yield from blobs(layout, part)
        else:
            yield part["digest"].removeprefix("sha256:")


def verified(layout: Path, digest: str) -> Path:
    """Path of a blob whose bytes were just hashed. Raises ``DamagedBlobError``."""
    path = layout / "blobs/sha256" / digest
    if not path.exists():
        raise DamagedBlobError(f"{digest} is missing")
    hashed = hashlib.sha256()
    with path.open("rb") as blob:
        while piece := blob.read(1 << 20):
            hashed.update(piece)
    if hashed.hexdigest() != digest:
        path.unlink()
        raise DamagedBlobError(f"{digest} was changed; removed")
    return path


def load(layout: Path, names: dict[str, dict[str, Any]]) -> None:
    """Stream these images to `ctr images import`, each blob once; it unpacks them."""
    digests = sorted({digest for descriptor in names.values() for digest in blobs(layout, descriptor)})
    files = [verified(layout, digest) for digest in digests]
    index = json.dumps({"schemaVersion": 2, "manifests": list(names.values())}).encode()
    with subprocess.Popen(
        [*CTR, "images", "import", "--local", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as ran:
        assert ran.stdin is not None
        with contextlib.suppress(BrokenPipeError), tarfile.open(fileobj=ran.stdin, mode="w|") as archive:
            for name, data in (("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", index)):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, BytesIO(data))
            for file in files:
                archive.add(file, f"blobs/sha256/{file.name}", recursive=False)
        ran.stdin.close()
        if ran.wait() != 0:
            raise subprocess.CalledProcessError(ran.returncode, "ctr images import")


def pin(name: str) -> None:
    """Keep the image from garbage collection and mark it as the release's."""
    ctr("images", "label", name, f"{PINNED}=pinned", f"{OURS}=1")


def bring(layout: Path) -> dict[str, list[str]]:
    """Import, name and pin what is missing, and let go of what an earlier release brought."""
    images, there = wanted(layout), known()
    missing = {n: d for n, d in images.items() if there.get(n, ("",))[0] != d["digest"]}
    if missing:
        load(layout, missing)
        there = known()
    changed = set(missing)
    for name, descriptor in images.items():
        exact = by_digest(name, descriptor["digest"])
        if exact not in there:
            ctr("images", "tag", name, exact)
            changed.add(name)
        for alias in (name, exact):
            if f"{PINNED}=pinned" not in there.get(alias, ("", ""))[1]:
                pin(alias)
                changed.add(name)
    keep = {alias for name, d in images.items() for alias in (name, by_digest(name, d["digest"]))} | held(layout)
    stale = sorted(name for name, (_, labels) in there.items() if f"{OURS}=" in labels and name not in keep)
    for name in stale:
        ctr("images", "label", name, f"{PINNED}=", f"{OURS}=")  # the kubelet collects it once no pod uses it
    return {"imported": sorted(changed), "removed": stale}


def prune(layout: Path) -> None:
    """Remove blobs that the indexes do not lead to."""
    known = {**listed(layout / "index.json"), **{f"{name} ": d for name, d in listed(layout / BEFORE).items()}}
    named = {digest for descriptor in known.values() for digest in blobs(layout, descriptor)}
    for path in (layout / "blobs/sha256").iterdir():
        if path.name not in named:
            path.unlink()


def main() -> int:
    """Run; the exit status."""
    layout = Path(sys.argv[1])
    try:
        done = bring(layout)
        if "--prune" in sys.argv[2:]:
            prune(layout)
    except DamagedBlobError as error:
        sys.stderr.write(f"error: blob {error}\nhint: run the installation again; it sends what is missing\n")
        return REFUSED
    sys.stdout.write(json.dumps(done) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
