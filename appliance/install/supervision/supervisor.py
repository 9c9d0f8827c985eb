"""supervisord: where systemd is not the service manager, or the installing user is not root.

One supervisord per site, reached over a Unix socket that only its owner may open. Each program runs as its service's
user, cannot gain privileges, and is told to stop when supervisord dies, so that a killed supervisord leaves nothing
that a new one would trip over. The keeper, a program of its own, brings a killed supervisord back (``keeper``).
"""

from __future__ import annotations

import os
import signal
import time
import xmlrpc.client
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supervisor.xmlrpc import SupervisorTransport

from appliance.errors import DeploymentError
from appliance.install.logs import log_tail
from appliance.install.process import PATH, start_detached
from appliance.install.supervision.interface import Running, State
from appliance.install.supervision.programs import configuration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.install.services import Service
    from appliance.install.supervision.timed import Timed
    from appliance.site.paths import SitePaths

WAIT_S = 20.0
_STATES: Mapping[str, State] = {
    "RUNNING": "running",
    "STARTING": "starting",
    "BACKOFF": "starting",
    "STOPPING": "starting",
    "FATAL": "failed",
}
_ALREADY_STARTED = 60
_NOT_RUNNING = 70


class Supervisord:
    """Implements ``Supervision`` with a supervisord of the site's own."""

    kind = "supervisord"

    def __init__(self, paths: SitePaths) -> None:
        self._paths = paths

    @property
    def _config(self) -> Path:
        return self._paths.journal.parent / "supervisord.conf"

    @property
    def _socket(self) -> Path:
        return self._paths.run / "supervisor.sock"

    def files(self, services: Sequence[Service], site: str, timed: Sequence[Timed] = ()) -> Mapping[Path, str]:
        """The one configuration file. It has no timers: what they would run is the operator's to run."""
        del timed
        return {self._config: configuration(self._paths, services, site, self._socket)}

    def drop(self, files: Mapping[Path, str]) -> None:
        """Nothing: there are no timers."""

    def load(self) -> None:
        """Start supervisord if it is not there, else have it read its file again."""
        if self._pid() is None:
            self._socket.unlink(missing_ok=True)
            program = str(self._paths.env / "bin" / "supervisord")
            env = {"PATH": PATH, "LANG": "C.UTF-8"}
            argv = [program, "--nodaemon", "--configuration", str(self._config)]
            start_detached(argv, env=env, cwd=self._paths.root, log=self._paths.log("supervisord-start"))
            self._await_daemon()
            return
        added, changed, removed = self._rpc("reloadConfig")[0]
        for name in (*removed, *changed):
            self._stop_name(name)
            self._rpc("removeProcessGroup", name)
        for name in (*added, *changed):
            self._rpc("addProcessGroup", name)

    def start(self, service: Service) -> None:
        """Start one program; one that runs goes on running."""
        try:
            self._rpc("startProcess", service.name, False)  # noqa: FBT003 - do not wait; XML-RPC has no keywords
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _ALREADY_STARTED:
                raise DeploymentError(f"{service.name} cannot be started: {fault.faultString}") from fault

    def stop(self, service: Service) -> None:
        """Stop one program and wait until it is gone."""
        if self._pid() is not None:
            self._stop_name(service.name)

    def states(self, services: Sequence[Service]) -> Mapping[str, Running]:
        """What supervisord says; everything is stopped where there is none."""
        said: dict[str, Any] = {}
        if self._pid() is not None:
            said = {p["name"]: p for p in self._rpc("getAllProcessInfo")}
        return {s.name: _running(said.get(s.name)) for s in services}

    def complaint(self, service: Service) -> tuple[str, str]:
        """What the service's log file says."""
        return log_tail(service.log), f"less {service.log}"

    def rest(self) -> None:
        """Stop every program and supervisord itself."""
        self.close()

    def close(self) -> None:
        """Stop every program and supervisord itself; nothing starts at boot."""
        pid = self._pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 120
        while _alive(pid):
            if time.monotonic() > deadline:
                raise DeploymentError(f"supervisord (pid {pid}) does not stop", "stop it by hand, then try again")
            time.sleep(0.05)

    def _pid(self) -> int | None:
        """The living supervisord of this site: its pid file's process, if that answers on the socket."""
        try:
            pid = int((self._paths.run / "supervisord.pid").read_text())
            return pid if _alive(pid) and self._rpc("getPID") == pid else None
        except (OSError, ValueError):
            return None

    def _await_daemon(self) -> None:
        deadline = time.monotonic() + WAIT_S
        while self._pid() is None:
            if time.monotonic() > deadline:
                log = self._paths.log("supervisord-start")
                raise DeploymentError(f"supervisord does not answer{log_tail(log)}", f"read {log}")
            time.sleep(0.05)

    def _stop_name(self, name: str) -> None:
        try:
            self._rpc("stopProcess", name)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _NOT_RUNNING:
                raise DeploymentError(f"{name} cannot be stopped: {fault.faultString}") from fault

    def _rpc(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        try:
            with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()


def _running(said: Mapping[str, Any] | None) -> Running:
    if said is None:
        return Running("stopped")
    return Running(_STATES.get(said["statename"], "stopped"), said["pid"] or None)


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
