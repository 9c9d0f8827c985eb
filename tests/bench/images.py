"""`make bench-images`: what the cluster's images weigh on media, and how long assembling them takes.

Progress goes to stderr; the last line of stdout is one JSON object. A layer that several images share counts once. The
first build fills the builder's cache and is told, not judged: it may compile for half an hour, or not at all. With
`--cold` it begins with a cache of its own and without what Go compiled before, and is judged, fetching included but for
modules that Go has already. The builds after it are timed whole, from the call to the last blob, in a fresh folder
each. Needs the committed lock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.release import build_release
from airgap_bundle.build.stage import printed, silent
from airgap_bundle.inspection import inspect_bundle
from airgap_bundle.trust_state import TrustState
from tests.bench.claims import Claim, at_most

if TYPE_CHECKING:
    from airgap_bundle.inspection import ListedArtifact

ROUNDS = 3
MAX_IMAGES = 1_600_000_000
MAX_SECONDS = 60.0
MAX_COLD_SECONDS = 1800.0


def tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def images_of(bundle: Path) -> list[ListedArtifact]:
    """The images of ``bundle``, largest first."""
    found = inspect_bundle(bundle, TrustState.expecting(None), now=datetime.now(UTC)).artifacts
    return sorted((item for item in found if item.kind == "image"), key=lambda item: -item.size)


def main() -> int:
    """Measure, and print the JSON object; 0 when every claim holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.images")
    parser.add_argument("--release", type=Path, default=Path("sources/cluster.yaml"))
    parser.add_argument("--cold", action="store_true", help="compile everything, in a cache that goes afterwards")
    asked = parser.parse_args()
    release, cold = asked.release, asked.cold
    cache, claims, seconds = BuildCache.default(), list[Claim](), list[float]()
    cache.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.root) as folder:
        if cold:
            cache = BuildCache(Path(folder) / "cache")
            os.environ["GOCACHE"] = f"{folder}/go"
        begun = time.monotonic()
        build_release(release, Path(folder) / "first", cache=cache, stage=printed)
        first = time.monotonic() - begun
        tell(f"first build: {first:.0f} s")
        if cold:
            claims.append(at_most("first build, nothing compiled before", first, "s", MAX_COLD_SECONDS))
        images = images_of(Path(folder) / "first")
        for number in range(ROUNDS):
            begun = time.monotonic()
            build_release(release, Path(folder) / str(number), cache=cache, stage=silent)
            seconds.append(time.monotonic() - begun)
            tell(f"warm build: {seconds[-1]:.1f} s")
    for image in images:
        tell(f"{image.size / 1e6:8.1f} MB  {image.name}")
    blobs = {file.digest: file.size for image in images for file in image.files.values()}
    claims += [
        at_most("all images on media", sum(blobs.values()), "bytes", MAX_IMAGES),
        at_most("warm assembly of the whole release", statistics.median(seconds), "s", MAX_SECONDS),
    ]
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {"python": platform.python_version()},
        "rounds": ROUNDS,
        "claims": [asdict(claim) for claim in claims],
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if all(claim.holds for claim in claims) else 1


if __name__ == "__main__":
    sys.exit(main())
