"""The administrator's desk of the upgrade's journey: two bundles, a delta, two site files, the commands as typed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import yaml

from airgap_bundle.media.delta import write_delta
from airgap_bundle.media.inventory import take_inventory
from airgap_bundle.trust_state import fingerprint
from appliance.site.paths import SitePaths
from demo.release import MODEL, OFFICER, WAIVER_REASON
from demo.site import WAIVED
from tests.bundles import root_bytes
from tests.e2e.cluster_upgrade.releases import OTHER_MODEL, newer, older
from tests.e2e.two_hosts.administrator import ADDRESS, NAME, SOVEREIGN, Desk
from tests.e2e.two_hosts.clusters import LAB_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airgap_bundle.media.delta import Difference


@dataclass(frozen=True)
class UpgradeDesk(Desk):
    """``folder`` holds `before` and `after` with the bundles, `delta`, and `site.yaml` and `other.yaml`."""

    def prepare(self) -> None:
        """Build and sign both releases, unless they lie there; have both models waived; describe the site twice."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{ADDRESS} {NAME}\n")
        (self.folder / "phrase").write_text("a phrase of the officer's\n")
        if not (self.folder / f"{OFFICER}.key").exists():
            self.officer("trust", "keygen", OFFICER, "--out", str(self.folder))
        shutil.copy(LAB_SETTINGS, self.folder / "lab.yaml")
        self._release("before", older, MODEL, "site.yaml")

    def prepare_newer(self) -> None:
        """The release that is upgraded to."""
        self._release("after", newer, OTHER_MODEL, "other.yaml")

    def _release(self, name: str, build: Callable[[Path, bytes], Path], model: str, site: str) -> None:
        bundle = self.folder / name / "bundle"
        if not (self.folder / name / "signed").exists():  # whoever works on the journey keeps the folder
            shutil.rmtree(self.folder / name, ignore_errors=True)
            build(self.folder / name, self.root())
            (self.folder / name / "signed").touch()
        self._waive(bundle, model, self.folder / f"{model}.waiver.json")
        described = self.described()
        described["assistant"] |= {
            "waivers": [f"{model}.waiver.json"],
            "models": [{"name": model, "context_tokens": 2048, "memory_mib": 900, "threads": 1}],
            "groups": [{"name": "analysts", "models": [model]}],
        }
        (self.folder / site).write_text(yaml.safe_dump(described))

    def root(self) -> bytes:
        """The root of both releases: each process signs anew, and the folder may be another's."""
        kept = self.folder / "root.json"
        if not kept.exists():
            kept.write_bytes(root_bytes())
        return kept.read_bytes()

    def _waive(self, bundle: Path, model: str, out: Path) -> None:
        found = json.loads(self.sovereign("bundle", "inspect", str(bundle), "--output", "json"))
        files = next(a["files"] for a in found["artifacts"] if a["name"] == model)
        about = ("--model", model, "--digest", files["model.gguf"]["digest"], "--days", "30", "--reason", WAIVER_REASON)
        waived = [word for check in WAIVED for word in ("--waives", check)]
        out.unlink(missing_ok=True)
        self.officer("trust", "waive", "--key", str(self.folder / f"{OFFICER}.key"), "--out", str(out), *about, *waived)

    def install(self) -> dict[str, Any]:
        """`sovereign install` of the older release."""
        asked = ("install", str(self.folder / "before/bundle"), "--profile", "cluster", "--output", "json")
        named = ("--config", str(self.folder / "site.yaml"), "--root", str(fingerprint(self.root())))
        return dict(json.loads(self.sovereign(*asked, *named)))

    def make_delta(self) -> Difference:
        """The newer release against what the site holds.

        Not by `inventory export`: what leaves a site is an entry of its log first, and an administrator's machine has
        no way into a cluster's.
        """
        paths = SitePaths(self.site)
        now = datetime.now(UTC).replace(microsecond=0)
        taken = take_inventory(paths.trust, paths.store, site="lab", active="1.0.0", now=now)
        return write_delta(self.folder / "after/bundle", taken.inventory, self.folder / "delta")

    def ask_too_much(self) -> Path:
        """A site file of the newer release whose engine fits on no host, and whose charts have little time."""
        settings = yaml.safe_load((self.folder / "lab.yaml").read_text()) | {"assistant_seconds": 120}
        (self.folder / "hasty.yaml").write_text(yaml.safe_dump(settings))
        described = yaml.safe_load((self.folder / "other.yaml").read_text())
        described["assistant"]["models"][0]["memory_mib"] = 900_000
        described["cluster"]["settings"] = "hasty.yaml"
        (self.folder / "too-much.yaml").write_text(yaml.safe_dump(described))
        return self.folder / "too-much.yaml"

    def upgrading(self, config: Path | None = None) -> list[str]:
        """The command line of the upgrade by the delta."""
        site = ("--config", str(config or self.folder / "other.yaml"))
        return self.typed("upgrade", str(self.folder / "delta"), *site, "--yes", "--output", "json")

    def upgrade(self) -> dict[str, Any]:
        """`sovereign upgrade`, to its end."""
        return dict(json.loads(self.run(self.upgrading())))

    def kill_upgrade_when(self, met: Callable[[], bool], seconds: float = 1800) -> None:
        """As ``kill_when``, of the upgrade."""
        self.kill_when(self.upgrading(), met, seconds)

    def kill_when(self, typed: list[str], met: Callable[[], bool], seconds: float = 1800) -> None:
        """Begin a command, and kill it, and all that it started here, once ``met``. Raises where it ended before."""
        begun = subprocess.Popen(self.entering(typed), start_new_session=True)
        deadline = time.monotonic() + seconds
        try:
            while not met():
                assert begun.poll() is None, "the command ended before it could be killed"
                assert time.monotonic() < deadline, "the moment to kill the command never came"
                time.sleep(0.2)
        finally:
            os.killpg(begun.pid, signal.SIGKILL)
            begun.wait()

    def rolling_back(self) -> list[str]:
        """The command line of the rollback, with the site file of the older release."""
        return self.typed("rollback", "--config", str(self.folder / "site.yaml"), "--output", "json")

    def roll_back(self) -> dict[str, Any]:
        """`sovereign rollback`, to its end."""
        return dict(json.loads(self.run(self.rolling_back())))

    def status(self) -> dict[str, Any]:
        """`sovereign status`, which ends with 5 while something waits."""
        argv = self.entering(self.typed("status", "--output", "json"))
        return dict(json.loads(subprocess.run(argv, capture_output=True, check=False).stdout))

    def typed(self, *arguments: str) -> list[str]:
        """The command as it is typed."""
        return [*SOVEREIGN, "--site", str(self.site), *arguments]
