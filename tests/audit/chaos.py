"""`make chaos`: kill the audit writer and its callers at random, under load, and hold the log against what was seen.

    python -m tests.audit.chaos [KILLS] [SEED]

Whatever a caller was told must be so: an acknowledged entry lies where it was said to lie, and is proved there; each
proof that a caller was given holds, under a checkpoint that the log still extends; no id lies there twice; nothing lies
there that nobody sent, or otherwise than it was sent; and every request has one end, its caller's, or the writer's when
the caller died first, and nothing else has one.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.audit.closing import OUTCOME
from appliance.audit.cosigned import Witnessed
from appliance.audit.entry import decode_entry
from appliance.audit.open_requests import ENDED, end_id, step
from appliance.audit.roles import kind_of
from tests.audit.bench import Bench
from tests.audit.chaos_proofs import Given, open_given, prove_all
from tests.audit.processes import open_requests, until, writers

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE = 1.0
"""Callers come back in half of it."""


@dataclass
class Seen:
    """What callers noted in their diaries."""

    sent: dict[str, str] = field(default_factory=dict)
    """The digest of each entry, by its id."""
    held: set[tuple[str, int]] = field(default_factory=set)
    proofs: list[Given] = field(default_factory=list)
    late: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Outcome:
    """A storm and what was left of it."""

    entries: int
    held: int
    proofs: int
    recoveries: int
    requests: int
    interrupted: int


def storm(bench: Bench, folder: Path, kills: int, seed: int, tell: Callable[[str], None]) -> dict[str, int]:
    """Kill ``kills`` times while callers append; everything is down at the end. How often each was killed."""
    dice, socket, diary = random.Random(seed), folder / "sock", folder / "diary-0"
    counts = {"writer": 0, "callers": 0}
    with writers(bench, folder, socket, {"gateway": os.getuid()}, grace=GRACE) as begin:
        writer, callers = begin(), _start_callers(socket, diary)
        try:
            for number in range(kills):
                _wait_for_progress(diary)
                time.sleep(dice.uniform(0, 0.15))
                if dice.random() < 0.8:
                    counts["writer"] += 1
                    writer.kill()
                    writer.communicate()
                    writer = begin()
                else:
                    counts["callers"] += 1
                    callers.kill()
                    callers.wait()
                    diary = folder / f"diary-{number + 1}"
                    callers = _start_callers(socket, diary)
                tell(f"kill {number + 1} of {kills}")
            _wait_for_progress(diary)
        finally:
            callers.kill()
            callers.wait()
        writer.kill()
        writer.communicate()
        writer = begin()
        until(lambda: open_requests(socket) == 0)
        writer.kill()
        writer.communicate()
    return counts


def reconcile(bench: Bench, folder: Path) -> Outcome:
    """Open the log once more, as a restart would, and hold it against the diaries. Raises ``AssertionError``."""
    log = bench.open()
    log.open()
    bench.close()
    seen = _read(folder)
    positions: dict[str, int] = {}
    outcomes: dict[str, str] = {}
    digests: dict[str, str] = {}
    recoveries: set[str] = set()

    def visit(first: int, entries: list[bytes]) -> None:
        for index, entry in enumerate(entries, first):
            entry_id, event = decode_entry(entry)
            assert entry_id not in positions, f"{entry_id} lies at {positions.get(entry_id)} and at {index}"
            positions[entry_id] = index
            digests[entry_id] = hashlib.sha256(entry).hexdigest()
            if entry_id.startswith("writer/") and kind_of(event) in {"log_recovery", "clock_behind"}:
                recoveries.add(entry_id)
            if entry_id.endswith(f"/{ENDED}"):
                outcomes[entry_id] = event["unmapped"]["sovereign"]["outcome"]

    heads = open_given(seen.proofs, bench.vkeys)
    bench.verify(visit=visit, witnessed=[Witnessed("a caller", head, 0) for head in heads])
    ended = {one for one, outcome in outcomes.items() if outcome == OUTCOME}
    wrong = {one: (index, positions.get(one)) for one, index in seen.held if positions.get(one) != index}
    assert not wrong, f"acknowledged at one place, found at another: {dict(list(wrong.items())[:5])}"
    theirs = set(positions) - recoveries - ended
    assert theirs <= set(seen.sent), f"nobody sent {sorted(theirs - set(seen.sent))[:5]}"
    other = sorted(one for one in theirs if digests[one] != seen.sent[one])
    assert not other, f"sent otherwise than they lie there: {other[:5]}"
    requests = _ends(seen, outcomes, positions)
    prove_all(bench, seen.held, seen.sent)
    return Outcome(len(positions), len(seen.held), len(heads), len(recoveries), *requests)


def _ends(seen: Seen, outcomes: dict[str, str], positions: dict[str, int]) -> tuple[int, int]:
    """How many requests there are, and how many of them the writer ended. Each must have its one end, after it."""
    steps = [(*found, entry_id) for entry_id in positions if (found := step(entry_id))]
    begun = {request: positions[entry_id] for request, begins, entry_id in steps if begins}
    ended = {end_id(request) for request in begun}
    assert ended <= set(outcomes), f"without an end: {sorted(ended - set(outcomes))[:5]}"
    assert set(outcomes) <= ended, f"an end of what never began: {sorted(set(outcomes) - ended)[:5]}"
    assert all(positions[end_id(request)] > index for request, index in begun.items()), "an end before its beginning"
    told = ended & {one for one, _ in seen.held}
    assert told <= {one.entry_id for one in seen.proofs}, "a caller was told of an end without its proof"
    assert {outcomes[one] for one in told} <= {"stop"}, "a caller was told of an end that is not in the log"
    assert {outcomes[one] for one in seen.late} <= {OUTCOME}, "a caller was refused the end that is in the log"
    return len(begun), sum(outcomes[one] == OUTCOME for one in ended)


def _start_callers(socket: Path, diary: Path) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "tests.audit.chaos_callers", str(socket), str(diary), diary.name]
    return subprocess.Popen(argv, cwd=Path(__file__).parents[2])


def _wait_for_progress(diary: Path) -> None:
    """Until these callers were told of another entry."""
    before = _held(diary)
    until(lambda: _held(diary) > before)


def _held(diary: Path) -> int:
    return diary.read_bytes().count(b'["held"') if diary.exists() else 0


def _read(folder: Path) -> Seen:
    seen = Seen()
    for diary in folder.glob("diary-*"):
        for line in diary.read_bytes().splitlines():
            try:
                kind, *fields = json.loads(line)
            except ValueError:  # the line that its writer was killed in
                continue
            if kind == "sent":
                seen.sent[fields[0]] = fields[1]
            elif kind == "held":
                seen.held.add((fields[0], fields[1]))
                seen.proofs += [Given(fields[0], fields[1], proof) for proof in fields[3:]]
            else:
                seen.late.add(fields[0])
    return seen


def main() -> int:
    """Run a storm and say what came of it."""
    kills, seed = (int(one) for one in [*sys.argv[1:], *("200", "1")[len(sys.argv) - 1 :]])
    with tempfile.TemporaryDirectory(prefix=".chaos-", dir=Path.cwd()) as name:
        folder, bench = Path(name), Bench(Path(name) / "log")
        counts = storm(bench, folder, kills, seed, lambda text: print(text, file=sys.stderr))
        found = reconcile(bench, folder)
    sys.stdout.write(
        f"{sum(counts.values())} kills ({counts['writer']} of the writer, {counts['callers']} of its callers): "
        f"{found.entries} entries, {found.held} acknowledged and proved, {found.proofs} of them to their callers too, "
        f"{found.recoveries} recoveries; "
        f"{found.requests} requests, {found.interrupted} of them ended by the writer; all where they should be\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
