"""`make bench-bundle`: what building, verifying, judging and changing the demonstration's release costs.

Progress goes to stderr; the last line of stdout is one JSON object; a plot of the rounds is left in `dist/`. Rounds of
verification and of its peer, `openssl dgst`, alternate on the same files, which lie in the page cache; figures are
medians. A claim that does not hold is printed as such, and the exit code is 1. Verification is timed from the call to
the report, without the interpreter's start, and runs in a process of its own, whose peak memory is asked for. Needs
`openssl`, and a builder's cache for sources/release.lock.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.release import build_release
from airgap_bundle.build.stage import silent
from airgap_bundle.trust_state import fingerprint
from appliance.models.gguf_tensors import read_header
from tests.bench.claims import Claim, at_least, at_most, tell
from tests.bench.holes import one_large_blob
from tests.bench.one_line import delta_of_one_line
from tests.bench.plot import grouped
from tests.bundles import NOW, root_bytes, sign

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 7
BUILDS = 5
RELEASE = Path("sources/release.yaml")
PLOT = Path("dist/bench-bundle.svg")
MIB = 1 << 20


def verified(bundle: Path) -> dict[str, Any]:
    """One verification in a process of its own: ``seconds``, ``bytes`` and ``peak`` (bytes of memory)."""
    argv = [sys.executable, "-m", "tests.bench.verifier", str(bundle), fingerprint(root_bytes())]
    found: dict[str, Any] = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout)
    return found


def hashed(groups: list[list[str]]) -> float:
    """Seconds that ``openssl dgst -sha256`` takes, a process for each group of files, all at once."""
    begin = time.perf_counter()
    running = [subprocess.Popen(["openssl", "dgst", "-sha256", *group], stdout=subprocess.DEVNULL) for group in groups]
    codes = [process.wait() for process in running]
    assert not any(codes)
    return time.perf_counter() - begin


def shares(bundle: Path, count: int) -> list[list[str]]:
    """The blobs in ``count`` groups of about the same size, the largest dealt first: no process waits for another."""
    files = sorted((bundle / "blobs/sha256").iterdir(), key=lambda path: -path.stat().st_size)
    groups: list[list[str]] = [[] for _ in range(count)]
    sizes = [0] * count
    for path in files:
        least = sizes.index(min(sizes))
        groups[least].append(str(path))
        sizes[least] += path.stat().st_size
    return [group for group in groups if group]


def verification(bundle: Path) -> Iterator[Claim]:
    """Throughput beside the peer's, and peak memory."""
    groups = shares(bundle, os.cpu_count() or 1)
    hashed(groups)  # fills the page cache
    ours, theirs = [], []
    for number in range(ROUNDS):
        theirs.append(hashed(groups))
        ours.append(verified(bundle))
        tell(f"  round {number + 1}: openssl {theirs[-1]:.3f} s, verification {ours[-1]['seconds']:.3f} s")
    seconds, peer = statistics.median(found["seconds"] for found in ours), statistics.median(theirs)
    size, peak = ours[0]["bytes"], max(found["peak"] for found in ours)
    PLOT.parent.mkdir(exist_ok=True)
    contenders = {"openssl dgst -sha256": theirs, "full verification": [found["seconds"] for found in ours]}
    PLOT.write_text(grouped(f"{size / MIB:.0f} MiB, seconds a round", "s", contenders))
    yield at_least("full verification beside openssl dgst, throughput", peer / seconds, "ratio", 0.9)
    tell(
        f"  {size / MIB:.0f} MiB: openssl {size / peer / MIB:.0f} MiB/s, verification {size / seconds / MIB:.0f} MiB/s"
    )
    yield at_most("full verification, peak memory", peak / 1e6, "MB", 150)


def large_blob(scratch: Path) -> Iterator[Claim]:
    """Peak memory does not follow the size of a blob."""
    tell("verify one blob of 4 GiB")
    peak = verified(one_large_blob(scratch / "large", 4 << 30))["peak"]
    yield at_most("verification of a 4 GiB blob, peak memory", peak / 1e6, "MB", 150)


def building(scratch: Path, cache: BuildCache) -> Iterator[Claim]:
    """Building again from a cache that holds everything."""
    seconds = []
    for number in range(BUILDS):
        begin = time.perf_counter()
        build_release(RELEASE, scratch / f"built-{number}", cache=cache, stage=silent)
        seconds.append(time.perf_counter() - begin)
        tell(f"  build {number + 1}: {seconds[-1]:.2f} s")
    yield at_most("building from a warm cache", statistics.median(seconds), "s", 10)


def judging(bundle: Path) -> Iterator[Claim]:
    """The header of the demonstration's model, 262,144 tokens long."""
    weights = next(path for path in (bundle / "blobs/sha256").iterdir() if path.open("rb").read(4) == b"GGUF")
    seconds = []
    for _ in range(ROUNDS):
        fd = os.open(weights, os.O_RDONLY)
        begin = time.perf_counter()
        read_header(fd, weights.stat().st_size)
        seconds.append(time.perf_counter() - begin)
        os.close(fd)
    yield at_most("judging the demo model's header", 1000 * statistics.median(seconds), "ms", 500)


def one_line(bundle: Path, scratch: Path, cache: BuildCache) -> Iterator[Claim]:
    """What travels for a change of one line, to a site that holds the release before it."""
    tell("import the release, and build the one after it")
    (scratch / "site").mkdir()
    size = delta_of_one_line(RELEASE, bundle, scratch / "site", cache)
    yield at_most("delta of a one-line configuration change, on media", size / 1e6, "MB", 1)


def main() -> int:
    """Measure, and print the JSON object; 0 when every claim holds."""
    cache = BuildCache.default()
    with tempfile.TemporaryDirectory(dir=cache.root) as folder:
        scratch = Path(folder)
        tell("build the demonstration's release")
        bundle = build_release(RELEASE, scratch / "bundle", cache=cache, stage=silent).folder
        sign(bundle, "architect", "builder", "release", now=NOW)
        claims = [
            *verification(bundle),
            *judging(bundle),
            *one_line(bundle, scratch, cache),
            *large_blob(scratch),
            *building(scratch, cache),
        ]
    openssl = subprocess.run(["openssl", "version"], check=True, capture_output=True, text=True).stdout.strip()
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {"python": platform.python_version(), "openssl": openssl},
        "rounds": ROUNDS,
        "claims": [asdict(claim) for claim in claims],
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if all(claim.holds for claim in claims) else 1


if __name__ == "__main__":
    sys.exit(main())
