"""systemd units: one per service, sandboxed, started at boot in order, each ready before the next begins.

A unit's ``ExecStartPost`` waits for readiness, so ``After=`` means ready. Secrets are unsealed by a oneshot before
the first service. Nothing secret is in a unit.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import DeploymentError
from appliance.install.logs import LOG_LINES, indented
from appliance.install.process import run, succeeds
from appliance.install.supervision.interface import Running, State
from appliance.install.supervision.timed import NAMES
from appliance.install.supervision.units import Units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.install.services import Service
    from appliance.install.supervision.timed import Timed
    from appliance.site.paths import SitePaths

UNITS = Path("/etc/systemd/system")
_STATES: Mapping[str, State] = {"active": "running", "activating": "starting", "failed": "failed"}


class Systemd:
    """Implements ``Supervision`` with units in ``UNITS``."""

    kind = "systemd"

    def __init__(self, paths: SitePaths, units: Path = UNITS) -> None:
        self._folder = units
        self._units = Units(paths)

    def files(self, services: Sequence[Service], site: str, timed: Sequence[Timed] = ()) -> Mapping[Path, str]:
        """Units for ``services``, the oneshot that unseals, what runs by timers, and the target of them all."""
        return {self._folder / name: text for name, text in self._units.texts(services, site, timed).items()}

    def drop(self, files: Mapping[Path, str]) -> None:
        """Stop units that ``files`` name no more: timers, what they run, engines of models that are served no more."""
        of_site = [sorted(self._folder.glob(f"{self._units.prefix}-*{kind}")) for kind in (".timer", ".service")]
        for path in (one for some in of_site for one in some if one not in files):
            succeeds(["systemctl", "stop", path.name])
            succeeds(["systemctl", "reset-failed", path.name])  # one that failed would be listed for good
            path.unlink()

    def load(self) -> None:
        """Have systemd read the units and start the target at boot."""
        run(["systemctl", "daemon-reload"])
        run(["systemctl", "enable", "--quiet", self._units.target])
        for timer in map(self._units.timer, NAMES):
            if (self._folder / timer).exists():
                run(["systemctl", "start", "--no-block", timer])

    def start(self, service: Service) -> None:
        """Start one unit (``--no-block``: readiness is watched by the caller)."""
        run(["systemctl", "start", "--no-block", self._units.unit(service.name)])

    def stop(self, service: Service) -> None:
        """Stop one unit and wait until it is gone."""
        run(["systemctl", "stop", self._units.unit(service.name)])

    def states(self, services: Sequence[Service]) -> Mapping[str, Running]:
        """What ``systemctl show`` says."""
        return {s.name: self._state(s) for s in services}

    def complaint(self, service: Service) -> tuple[str, str]:
        """What the journal says."""
        words = ["--no-pager", "-o", "cat", "-u", self._units.unit(service.name)]
        try:
            said = run(["journalctl", "-n", str(LOG_LINES), *words]).decode(errors="replace")
        except DeploymentError:
            said = ""
        return indented(said), f"journalctl -u {self._units.unit(service.name)}"

    def rest(self) -> None:
        """Stop the target and forget that the secrets were unsealed."""
        run(["systemctl", "stop", self._units.target, self._units.unit("unseal")])

    def close(self) -> None:
        """Stop and remove every unit of the site."""
        present = sorted(self._folder.glob(f"{self._units.prefix}*"))
        units = [p.name for p in present if p.suffix in {".service", ".target", ".timer"}]
        if units:
            succeeds(["systemctl", "disable", "--quiet", self._units.target])
            succeeds(["systemctl", "stop", *units], timeout_s=180)
        for path in present:
            path.unlink()
        if units:
            run(["systemctl", "daemon-reload"])
            succeeds(["systemctl", "reset-failed", *units])

    def _state(self, service: Service) -> Running:
        try:
            said = run(["systemctl", "show", "--property=ActiveState,MainPID", self._units.unit(service.name)]).decode()
        except DeploymentError:
            return Running("stopped")
        values = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        pid = int(values.get("MainPID", "0")) or None
        return Running(_STATES.get(values.get("ActiveState", ""), "stopped"), pid)
