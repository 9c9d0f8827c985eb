"""Run as a program: the installer's own cheap steps on a small release, killed at a chosen moment.

Arguments: site folder, bundle folder, root fingerprint, step, moment (``before`` or ``journaled``; ``never``).
The steps that need a real wheelhouse or Keycloak are left out.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.install import accounts
from appliance.install.admission import admit
from appliance.install.journal import Journal
from appliance.install.runner import execute
from appliance.install.site_files import read_site_files
from appliance.install.steps import install_steps
from appliance.install.steps.context import Context
from appliance.install.vault import Vault
from appliance.site.paths import SitePaths

if TYPE_CHECKING:
    from appliance.install.runner import Step

CHEAP = ("users", "folders", "secrets", "certificates", "audit-keys", "supervision")
EXAMPLE = Path(accounts.__file__).with_name("site.example.yaml")


class Killer:
    def __init__(self, step: str, moment: str) -> None:
        self.wanted = (step, moment)

    def at(self, step: Step, moment: str) -> None:
        if (step.name, moment) == self.wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    def started(self, step: Step) -> None:
        self.at(step, "before")

    def advanced(self, step: Step, done: int, total: int) -> None: ...

    def finished(self, step: Step, seconds: float) -> None:  # noqa: ARG002 - the observer's shape
        self.at(step, "journaled")

    def skipped(self, step: Step) -> None: ...

    def failed(self, step: Step) -> None: ...


def no_passphrase() -> bytes:
    raise AssertionError("no passphrase was to be asked for")


def main(root: Path, bundle: Path, fingerprint: str, step: str, moment: str) -> None:
    paths = SitePaths(root)
    release = admit(bundle, paths, fingerprint, lambda _done, _total: None)
    vault = Vault(paths, no_passphrase)
    context = Context(paths, read_site_files(EXAMPLE, paths), release, vault, Path(sys.executable))
    cheap = [s for s in install_steps(context) if s.name in CHEAP]
    steps = [replace(s, behind=()) for s in cheap]  # the steps they go behind are left out here
    journal = Journal.open(paths.journal)
    ran = execute(steps, journal, Killer(step, moment))
    sys.stdout.write("\n".join(ran))
    journal.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:6])
