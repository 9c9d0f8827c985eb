"""`make chaos`, its second half: kill a site's services at random while programs ask, and hold the log against them.

    python -m tests.audit.site_storm [KILLS] [SEED]

The site is the demonstration's: a real Keycloak and PostgreSQL, the log's writer, an engine with its model, a gateway.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.audit.checkpoint import read_vkeys
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, IDENTITY, SitePaths
from demo import release, site
from demo.release import MODEL
from demo.workspace import SOVEREIGN, Workspace, sovereign
from tests.audit.processes import until
from tests.audit.site_reconciliation import outstanding, proven, read_diary, read_log, reconcile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PORT = 18480
HEAL_SECONDS = 180
END_SECONDS = 120
LOOK_SECONDS = 1
"""Asking for the status takes a good part of a second of the processors that the site needs to come back."""
OF_KEYCLOAK = 10
"""Its kills at most: it takes longest to come back."""
WEIGHTS = {GATEWAY: 35, AUDIT: 30, f"engine-{MODEL}": 25, DATABASE: 5, IDENTITY: 5}
Service = dict[str, Any]
"""As `status` tells it: ``pid`` and ``ready`` among others."""


def order(weights: Mapping[str, int], kills: int, dice: random.Random) -> list[str]:
    """Which service is killed when: each as often as its weight says, and Keycloak within its bound."""
    names = dice.choices(list(weights), list(weights.values()), k=kills)
    others = [name for name in weights if name != IDENTITY]
    for place in [place for place, name in enumerate(names) if name == IDENTITY][OF_KEYCLOAK:]:
        names[place] = dice.choice(others)
    return names


@dataclass(frozen=True)
class Storm:
    """Kills ``services`` while callers write the ``diary``; ``pause`` says how long to wait before each."""

    diary: Path
    services: Callable[[], Mapping[str, Service]]
    kill: Callable[[int], None]
    pause: Callable[[], float]

    def strike(self, name: str) -> None:
        """Kill ``name`` once answers arrive again, and wait until it is another process, and ready.

        To look up which process it is takes as long as an answer: with no pause, the kill falls into another one
        that just began. Raises ``AssertionError`` where answers or the service do not come back.
        """
        self._wait_for_an_answer()
        pid = self.services()[name]["pid"]
        self._wait_for_an_answer()
        time.sleep(self.pause())
        self.kill(pid)
        until(lambda: self._is_back(name, pid), HEAL_SECONDS)

    def _is_back(self, name: str, pid: int) -> bool:
        time.sleep(LOOK_SECONDS)
        found = self.services()[name]
        return bool(found["ready"]) and found["pid"] not in {None, pid}

    def _wait_for_an_answer(self) -> None:
        before = self._begun()
        until(lambda: self._begun() > before, HEAL_SECONDS)

    def _begun(self) -> int:
        return self.diary.read_bytes().count(b'["begun"') if self.diary.exists() else 0


@contextmanager
def callers(argv: Sequence[str], secret: str) -> Iterator[None]:
    """Programs that ask (``tests.audit.site_callers``) while the context lasts; at its end they end what they began."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, cwd=Path(__file__).parents[2]) as asking:
        assert asking.stdin is not None
        try:
            asking.stdin.write(f"{secret}\n".encode())
            asking.stdin.flush()
            yield
            asking.stdin.close()
            assert asking.wait(END_SECONDS) == 0
        finally:
            asking.kill()


def main() -> int:
    """Make a site, run the storm and say what came of it."""
    kills, seed = (int(one) for one in [*sys.argv[1:], *("60", "1")[len(sys.argv) - 1 :]])
    with tempfile.TemporaryDirectory(prefix="chaos-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        workspace = Workspace(Path(name) / "site-storm", PORT)
        try:
            counts, found = _storm(workspace, kills, random.Random(seed))
        finally:
            if workspace.site.exists():
                sovereign("--site", workspace.site, "uninstall", "--yes", "--discard-log")
    killed = ", ".join(f"{service} {count}" for service, count in counts.most_common())
    figures = ", ".join(f"{count} {what}" for what, count in found.items())
    sys.stdout.write(f"{sum(counts.values())} kills ({killed}): {figures}; all where they should be\n")
    return 0


def _storm(workspace: Workspace, kills: int, dice: random.Random) -> tuple[Counter[str], dict[str, int]]:
    for make in (release.make_keys, release.build, release.sign, site.write_site, site.install, site.import_people):
        make(workspace)
    names, diary = order(WEIGHTS, kills, dice), workspace.root / "diary"
    argv = [sys.executable, "-m", "tests.audit.site_callers", workspace.url, workspace.issuer, site.SERVICE_CLIENT]

    def services() -> dict[str, Service]:
        asked = [SOVEREIGN, "--site", workspace.site, "status", "--output", "json"]
        told = subprocess.run(asked, stdout=subprocess.PIPE, check=False).stdout  # exits with 1 while one is not ready
        return {each["name"]: each for each in json.loads(told)["services"]}

    with callers([*argv, str(diary)], (workspace.root / "service-client.secret").read_text().strip()):
        storm = Storm(diary, services, lambda pid: os.kill(pid, signal.SIGKILL), lambda: dice.uniform(0, 1))
        for number, name in enumerate(names, 1):
            storm.strike(name)
            print(f"kill {number} of {kills}: {name}", file=sys.stderr)
    paths = SitePaths(workspace.site)
    vkeys = read_vkeys(paths.policies / "audit-vkeys")
    seen = read_diary(diary, site.SERVICE_CLIENT)
    until(lambda: not outstanding(read_log(paths.audit_log, vkeys), seen), END_SECONDS)
    sovereign("--site", workspace.site, "audit", "verify")
    receipts = proven(seen, vkeys)
    logged = read_log(paths.audit_log, vkeys, heads=[one.head for one in receipts.values()])
    return Counter(names), reconcile(logged, seen, receipts)


if __name__ == "__main__":
    sys.exit(main())
