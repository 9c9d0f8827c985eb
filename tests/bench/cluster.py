"""`make bench-cluster`: how long a cluster takes from the bundle on disk to the first answer, and what it weighs idle.

Two lab hosts on this machine, the cluster's release and the demonstration's model (root; caches should be warm, since
building is not measured). Progress goes to stderr; the last line of stdout is one JSON object. Nothing else should run:
both hosts share this machine's processors. Other systems are installed from networks, which is not done here.

Memory is the proportional set size of every process on the hosts, once nothing has been asked for a minute, less the
model's file, which the engine holds.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from demo.release import MODEL
from lab.lab import Lab, scratch_folder
from tests.bench.claims import at_most, tell
from tests.e2e.two_hosts.administrator import Desk
from tests.e2e.two_hosts.hosts import NODES

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER_SECONDS = 360.0
AGAIN_SECONDS = 30.0
IDLE_BYTES = 3.5e9
SETTLE_SECONDS = 60
PERSON = ("analyst", "a-Passphrase-of-the-analyst-1")
QUESTION = "Which city is the capital of France?"
# Runs on a host: the proportional set size of every process, by the program's name.
WEIGH = """
import json, pathlib, re
found = {}
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        name = (folder / "comm").read_text().strip()
        size = re.search(r"^Pss: +([0-9]+)", (folder / "smaps_rollup").read_text(), re.M)
    except OSError:
        continue
    if size:
        found[name] = found.get(name, 0) + 1024 * int(size[1])
print(json.dumps(found))
"""


def timed(what: str, act: Callable[[], object]) -> float:
    """Seconds that ``act`` takes."""
    begun = time.monotonic()
    act()
    seconds = time.monotonic() - begun
    tell(f"{what}: {seconds:.0f} s")
    return seconds


def weights(lab: Lab) -> dict[str, dict[str, int]]:
    """Bytes by host and program."""
    return {name: json.loads(lab.host(name).run(["python3", "-"], stdin=WEIGH).stdout) for name in NODES}


def model_bytes(desk: Desk) -> int:
    """Size of the demonstration's model, by the bundle."""
    told = json.loads(desk.sovereign("bundle", "inspect", str(desk.folder / "bundle"), "--output", "json"))
    return int(next(a["size"] for a in told["artifacts"] if a["name"] == MODEL))


def main() -> int:
    """Measure, and print the JSON object; 0 when every claim holds."""
    lab = Lab(scratch_folder())
    with tempfile.TemporaryDirectory(prefix="bench-cluster-") as folder:
        desk = Desk(lab, Path(folder))
        try:
            timed("two hosts", lambda: lab.up(2))
            timed("bundle built and signed", desk.prepare)
            seconds = timed("install", desk.install)
            seconds += timed("the first person", lambda: desk.visit("people", *PERSON, "analysts"))
            seconds += timed("sign-in and first answer", lambda: desk.visit("ask", *PERSON, QUESTION))
            again = timed("a second run", desk.install)
            time.sleep(SETTLE_SECONDS)
            found, model = weights(lab), model_bytes(desk)
        finally:
            lab.down()
    whole = sum(sum(programs.values()) for programs in found.values())
    for name, programs in found.items():
        for program, size in sorted(programs.items(), key=lambda item: -item[1])[:10]:
            tell(f"{name} {size / 1e6:8.1f} MB  {program}")
    claims = [
        at_most("bundle on disk to the first answer", seconds, "s", ANSWER_SECONDS),
        at_most("a second run, which changes nothing", again, "s", AGAIN_SECONDS),
        at_most("both hosts idle, without the model", whole - model, "bytes", IDLE_BYTES),
    ]
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, both hosts on it",
        "versions": {"python": platform.python_version()},
        "memory_bytes": {name: sum(programs.values()) for name, programs in found.items()},
        "claims": [asdict(claim) for claim in claims],
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if all(claim.holds for claim in claims) else 1


if __name__ == "__main__":
    sys.exit(main())
