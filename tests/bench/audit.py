"""`make bench-audit`: what the audit log costs, and how long checking and counting a large one takes.

Progress goes to stderr; the last line of stdout is one JSON object; a plot of the rounds is left in `dist/`. A claim
that does not hold is printed as such, and the exit code is 1. QUICK=1 tries everything on a tenth. The writer is a
process of its own, so are its callers, and everything crosses its socket; the log lies on this folder's disk, not in
memory. The large log is written by the writer's own code without fsync between batches, which is not what is measured;
it holds questions and answers by turns, each of which rests on documents (``audit_entries``).
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
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.audit.archive import write_archive
from appliance.audit.checkpoint import Checkpoint
from appliance.audit.edge import Edge
from appliance.audit.merkle import inclusion_holds, leaf_hash, perfect_root
from appliance.audit.proofs import inclusion_proof
from appliance.audit.tiles import CHECKPOINT, HASH_BYTES, WIDTH, TileReader
from tests.audit.bench import Bench
from tests.audit.processes import writers
from tests.bench.audit_entries import KINDS, Questions, Sizes, without_documents
from tests.bench.claims import Claim, at_least, at_most, tell
from tests.bench.plot import grouped

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = bool(os.environ.get("QUICK"))
ROUNDS, SECONDS = (1, 3) if QUICK else (5, 6)
CALLERS, RATE = 64, 100
FLIGHTS = (1, 4)
"""Entries of one caller that are on the way at a time. A gateway's request has one; its process as a whole has many."""
ARCHIVED = 65_536
LARGE, BATCH = (100_000 if QUICK else 1_000_000), 20_000
SYNTHETIC = 10_000_000
PLOT = Path("dist/bench-audit.svg")


def load(socket: Path, kind: str, seconds: float) -> dict[str, Any]:
    """One run of ``audit_load``."""
    argv = [sys.executable, "-m", "tests.bench.audit_load", str(socket), kind, str(seconds)]
    found: dict[str, Any] = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout)
    return found


@dataclass
class Flight:
    """What ``CALLERS`` reached, round by round, with so many entries each in flight."""

    in_flight_per_caller: int
    entries_per_second: list[float] = field(default_factory=list)
    entries_per_commit: list[float] = field(default_factory=list)
    caller_us_per_entry: list[float] = field(default_factory=list)
    writer_us_per_entry: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)

    def add(self, found: dict[str, Any], writer_seconds: float) -> None:
        """One round. A commit is one durable write and two signatures, and is counted by the checkpoints answered."""
        count, late = found["entries"], found["latencies_ms"]
        self.entries_per_second.append(count / found["seconds"])
        self.entries_per_commit.append(count / found["commits"])
        self.caller_us_per_entry.append(1e6 * found["processor_seconds"] / count)
        self.writer_us_per_entry.append(1e6 * writer_seconds / count)
        self.p50_ms.append(statistics.median(late))
        self.p99_ms.append(late[int(0.99 * count)])

    def told(self) -> str:
        """The last round in a line."""
        return (
            f"{self.in_flight_per_caller} in flight each: {self.entries_per_second[-1]:.0f} entries/s, "
            f"{self.entries_per_commit[-1]:.0f} a commit, {self.writer_us_per_entry[-1]:.0f} us of processor in the "
            f"writer and {self.caller_us_per_entry[-1]:.0f} in callers, p50 {self.p50_ms[-1]:.1f} ms, "
            f"p99 {self.p99_ms[-1]:.1f} ms"
        )


def processor_seconds(pid: int) -> float:
    """What a process took so far, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def writing(scratch: Path, flights: list[Flight]) -> Iterator[Claim]:
    """Throughput from 64 callers, then latency at a hundred entries a second, each round with a log of its own."""
    halves: list[float] = []
    tails: list[float] = []
    for number in range(ROUNDS):
        folder = scratch / f"round-{number}"
        folder.mkdir()
        with writers(Bench(folder / "log"), folder, folder / "sock", {"gateway": os.getuid()}) as begin:
            writer = begin().pid
            for flight in flights:
                before = processor_seconds(writer)
                fast = load(folder / "sock", f"{CALLERS}x{flight.in_flight_per_caller}", SECONDS)
                flight.add(fast, processor_seconds(writer) - before)
                tell(f"round {number + 1}: {flight.told()}")
            slow = load(folder / "sock", f"rate:{RATE}", SECONDS)
        late = slow["latencies_ms"]
        halves.append(statistics.median(late))
        tails.append(late[int(0.99 * len(late))])
        tell(f"round {number + 1}: at {RATE}/s p50 {halves[-1]:.2f} ms, p99 {tails[-1]:.2f} ms")
    for flight in flights:
        name = f"durable signed entries from {CALLERS} callers, {flight.in_flight_per_caller} in flight each"
        yield at_least(name, statistics.median(flight.entries_per_second), "1/s", 10_000)
    yield at_most("added to a request at 100/s, p50", statistics.median(halves), "ms", 2)
    yield at_most("added to a request at 100/s, p99", statistics.median(tails), "ms", 10)


class SameTiles(TileReader):
    """The tiles of a log whose entries are all the same: a tree of any size, without its disk space."""

    def tile(self, level: int, index: int) -> bytes:
        """As ``TileReader.tile``; every hash of a level is the same."""
        node = leaf_hash(b"the same entry every time")
        for _ in range(level):
            node = perfect_root([node] * WIDTH)
        return node * self.width(level, index)


def proofs() -> Iterator[Claim]:
    """The hashes of an inclusion proof, of entries all over a log of ten million; each is verified."""
    tiles = SameTiles(Path("nowhere"), SYNTHETIC)
    root, leaf = tiles.root(), leaf_hash(b"the same entry every time")
    sizes = []
    for index in (0, 1, SYNTHETIC // 3, SYNTHETIC // 2, SYNTHETIC - 1):
        hashes = inclusion_proof(tiles, index)
        if not inclusion_holds(index, SYNTHETIC, leaf, hashes, root):
            raise RuntimeError(f"the proof of entry {index} does not hold")
        sizes.append(HASH_BYTES * len(hashes))
    yield at_most("inclusion proof in a log of 10,000,000", max(sizes), "bytes", 1023)


def write_files(directory: Path, files: dict[str, bytes]) -> None:
    """Tiles, where they belong."""
    for path, data in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def made_log(directory: Path, questions: Questions, count: int, sizes: dict[str, Sizes]) -> Bench:
    """A log of ``count`` entries on disk, a question's and its answer's by turns; ``sizes`` are added to.

    Of unfinished tiles it has the last alone, as the writer leaves them.
    """
    bench = Bench(directory)
    bench.directory.mkdir()
    edge = Edge()
    for first in range(0, count, BATCH):
        entries = [one for number in range(first // 2, (first + BATCH) // 2) for one in questions.pair(number)]
        for place, entry in enumerate(entries):
            sizes[KINDS[place % 2]].add(entry)
        grown = edge.grow(entries)
        write_files(bench.directory, grown.full)
        edge = grown.edge
        tell(f"{directory.name} log: {first + BATCH} entries")
    write_files(bench.directory, edge.partial_files(0))
    head = Checkpoint(bench.origin, edge.size, edge.tree.root())
    (bench.directory / CHECKPOINT).write_text(bench.keys.sign(head, time=1_795_000_000))
    return bench


def stored(bench: Bench) -> int:
    """Bytes of a log's files."""
    return sum(path.stat().st_size for path in bench.directory.rglob("*") if path.is_file())


def reading(scratch: Path, sizes: dict[str, Sizes]) -> Iterator[Claim]:
    """Checking and counting a million entries, and how many bytes one takes: the mean over questions and answers."""
    plain = made_log(scratch / "plain", Questions(plain=True), BATCH, {kind: Sizes() for kind in KINDS})
    yield at_most("stored bytes of an entry without documents, tiles included", stored(plain) / BATCH, "bytes", 1200)
    bench = made_log(scratch / "large", Questions(), LARGE, sizes)
    name = "stored bytes of an entry of an answer from documents and of its question, tiles included"
    yield at_most(name, stored(bench) / LARGE, "bytes", 1200)
    archived = write_archive(bench.directory, scratch / "archive", vkeys=bench.vkeys, end=ARCHIVED)
    yield at_most("bytes of an entry in an archive", archived.size / ARCHIVED, "bytes", 400)
    begin = time.perf_counter()
    bench.verify()
    yield at_most(f"verifying {LARGE:,} entries", time.perf_counter() - begin, "s", 10)
    keys = scratch / "vkeys"
    keys.write_text("".join(f"{key.encode()}\n" for key in bench.vkeys))
    argv = [sys.executable, "-m", "tests.bench.audit_report", *map(str, (bench.directory, keys, scratch / "figures"))]
    for state in ("nothing counted before", "again"):
        spent = float(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout)
        yield at_most(f"report over {LARGE:,} entries, {state}", spent, "s", 5)


def main() -> int:
    """Run everything; 1 when a claim does not hold."""
    flights = [Flight(count) for count in FLIGHTS]
    sizes = {kind: Sizes() for kind in KINDS}
    claims: list[Claim] = []
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as scratch:
        for part in (proofs(), writing(Path(scratch), flights), reading(Path(scratch), sizes)):
            for claim in part:
                claims.append(claim)
                tell(f"{claim.name}: {claim.value} {claim.unit} ({'holds' if claim.holds else 'DOES NOT HOLD'})")
    PLOT.parent.mkdir(exist_ok=True)
    PLOT.write_text(
        grouped(
            "durable signed entries a second, 64 callers",
            "1/s",
            {f"{one.in_flight_per_caller} in flight": one.entries_per_second for one in flights},
        )
    )
    result = {
        "machine": {"processors": os.cpu_count(), "system": platform.platform()},
        "versions": {"python": platform.python_version(), "cryptography": version("cryptography")},
        "callers": CALLERS,
        "flights": [asdict(one) for one in flights],
        "entries": {kind: one.told() for kind, one in sizes.items()},
        "largest_entry_bytes": max(one.largest for one in sizes.values()),
        "entries_without_documents": without_documents(),
        "claims": [asdict(claim) for claim in claims],
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if all(claim.holds for claim in claims) else 1


if __name__ == "__main__":
    sys.exit(main())
