"""systemd units: one per service, sandboxed, started at boot in order, each ready before the next begins.

A unit's ``ExecStartPost`` waits for readiness, so ``After=`` means ready. Secrets are unsealed by a oneshot before
the first service. Nothing secret is in a unit.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import DeploymentError
from appliance.install.logs import LOG_LINES, indented
from appliance.install.process import run, succeeds
from appliance.install.supervision.interface import Running, State
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, SitePaths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.install.services import Service

UNITS = Path("/etc/systemd/system")
_SYNC = "documents"
_SYNC_WORDS = ("document", "sync")
_BRIEFS = "briefs"
_BRIEFS_WORDS = ("memory", "compile")
_TIMED = (_SYNC, _BRIEFS)
_STATES: Mapping[str, State] = {"active": "running", "activating": "starting", "failed": "failed"}
_SANDBOX = """\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
CapabilityBoundingSet=
AmbientCapabilities=
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self
SystemCallErrorNumber=EPERM
UMask=0027
"""


class Systemd:
    """Implements ``Supervision`` with units in ``UNITS``."""

    kind = "systemd"

    def __init__(self, paths: SitePaths, units: Path = UNITS) -> None:
        self._paths = paths
        self._units = units
        self._prefix = paths.run.name

    def files(
        self, services: Sequence[Service], site: str, sync_minutes: int | None = None, compile_at: str | None = None
    ) -> Mapping[Path, str]:
        """Units for ``services``, the oneshot that unseals, what runs by timers, and the target of them all."""
        names = {s.name: self._unit(s.name) for s in services if s.at_boot}
        texts = {self._unit(s.name): self._service_text(s, site) for s in services}
        texts[self._unit("unseal")] = self._unseal_text(site)
        if sync_minutes is not None:
            texts[self._unit(_SYNC)] = self._sync_text(site)
            texts[self._timer(_SYNC)] = self._timer_text(site, sync_minutes)
        if compile_at is not None:
            texts[self._unit(_BRIEFS)] = self._compile_text(site)
            texts[self._timer(_BRIEFS)] = self._nightly_text(site, compile_at)
        wants = " ".join([*names.values(), *(self._timer(one) for one in _TIMED if self._timer(one) in texts)])
        texts[self._target] = (
            f"[Unit]\nDescription=sovereign site {site}\nWants={wants}\n\n[Install]\nWantedBy=multi-user.target\n"
        )
        return {self._units / name: text for name, text in texts.items()}

    def drop(self, files: Mapping[Path, str]) -> None:
        """Stop timers, and what they run, where ``files`` name them no more."""
        for name in (unit for one in _TIMED for unit in (self._timer(one), self._unit(one))):
            path = self._units / name
            if path not in files and path.exists():
                succeeds(["systemctl", "stop", name])
                path.unlink()

    def load(self) -> None:
        """Have systemd read the units and start the target at boot."""
        run(["systemctl", "daemon-reload"])
        run(["systemctl", "enable", "--quiet", self._target])
        for timer in map(self._timer, _TIMED):
            if (self._units / timer).exists():
                run(["systemctl", "start", "--no-block", timer])

    def start(self, service: Service) -> None:
        """Start one unit (``--no-block``: readiness is watched by the caller)."""
        run(["systemctl", "start", "--no-block", self._unit(service.name)])

    def stop(self, service: Service) -> None:
        """Stop one unit and wait until it is gone."""
        run(["systemctl", "stop", self._unit(service.name)])

    def states(self, services: Sequence[Service]) -> Mapping[str, Running]:
        """What ``systemctl show`` says."""
        return {s.name: self._state(s) for s in services}

    def complaint(self, service: Service) -> tuple[str, str]:
        """What the journal says."""
        words = ["--no-pager", "-o", "cat", "-u", self._unit(service.name)]
        try:
            said = run(["journalctl", "-n", str(LOG_LINES), *words]).decode(errors="replace")
        except DeploymentError:
            said = ""
        return indented(said), f"journalctl -u {self._unit(service.name)}"

    def rest(self) -> None:
        """Stop the target and forget that the secrets were unsealed."""
        run(["systemctl", "stop", self._target, self._unit("unseal")])

    def close(self) -> None:
        """Stop and remove every unit of the site."""
        present = sorted(self._units.glob(f"{self._prefix}*"))
        units = [p.name for p in present if p.suffix in {".service", ".target", ".timer"}]
        if units:
            succeeds(["systemctl", "disable", "--quiet", self._target])
            succeeds(["systemctl", "stop", *units], timeout_s=180)
        for path in present:
            path.unlink()
        if units:
            run(["systemctl", "daemon-reload"])
            succeeds(["systemctl", "reset-failed", *units])

    @property
    def _target(self) -> str:
        return f"{self._prefix}.target"

    def _timer(self, name: str) -> str:
        return f"{self._prefix}-{name}.timer"

    def _unit(self, name: str) -> str:
        return f"{self._prefix}-{name}.service"

    def _state(self, service: Service) -> Running:
        try:
            said = run(["systemctl", "show", "--property=ActiveState,MainPID", self._unit(service.name)]).decode()
        except DeploymentError:
            return Running("stopped")
        values = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        pid = int(values.get("MainPID", "0")) or None
        return Running(_STATES.get(values.get("ActiveState", ""), "stopped"), pid)

    def _service_text(self, service: Service, site: str) -> str:
        after = " ".join(self._unit(n) for n in ("unseal", *service.after))
        families = "AF_UNIX AF_INET AF_INET6" if service.networked else "AF_UNIX"
        sovereign = [str(self._paths.env / "bin" / "sovereign"), "--site", str(self._paths.root)]
        lines = [
            "[Unit]",
            f"Description=sovereign site {site}: {service.title}",
            f"PartOf={self._target}",
            f"Requires={self._unit('unseal')}",
            f"Wants={after}",
            f"After={after}",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            "Type=exec",
            f"User={service.user}",
            f"ExecStart={_command(service.argv)}",
            f"ExecStartPost={_command([*sovereign, 'await', service.name])}",
            *(f"Environment={_quote(f'{k}={v}')}" for k, v in service.env.items()),
            "Restart=always",
            "RestartSec=1",
            f"KillSignal={service.stop_signal.name}",
            f"SuccessExitStatus={128 + service.stop_signal}",  # a JVM ends so when it is told to stop
            f"TimeoutStartSec={service.start_timeout_s + 10}",
            f"TimeoutStopSec={service.stop_timeout_s}",
            f"MemoryMax={service.memory_mib}M",
            f"RestrictAddressFamilies={families}",
            # what the one counts in, and the other reads documents in, may be killed, not itself
            *(["OOMPolicy=continue"] if service.name in {AUDIT, GATEWAY} else []),
            *([] if service.networked else ["PrivateNetwork=yes"]),
            *(["MemoryDenyWriteExecute=yes"] if service.name == DATABASE else []),
            f"ReadWritePaths={' '.join(_quote(str(p)) for p in service.writable)}",
            f"InaccessiblePaths=-{_quote(str(self._paths.secrets))} -{_quote(str(self._paths.journal.parent))}",
        ]
        return "\n".join(lines) + "\n" + _SANDBOX + _devices(service)

    def _sync_text(self, site: str) -> str:
        """As the operator runs it: folders may be open to root alone, and each file is read in a process of its own.

        Status 3 says that some files were refused: the others are in, and `status` tells.
        """
        return self._oneshot_text(f"sovereign site {site}: read document folders", _SYNC_WORDS, "AF_UNIX", 3)

    def _compile_text(self, site: str) -> str:
        """As the operator runs it: it asks the gateway, as the program that evaluates does."""
        families = "AF_UNIX AF_INET AF_INET6"
        return self._oneshot_text(f"sovereign site {site}: compile groups' briefs", _BRIEFS_WORDS, families)

    def _oneshot_text(self, title: str, words: Sequence[str], families: str, fine: int | None = None) -> str:
        command = _command([str(self._paths.env / "bin" / "sovereign"), "--site", str(self._paths.root), *words])
        accepted = f"SuccessExitStatus={fine}\n" if fine is not None else ""
        return (
            f"[Unit]\nDescription={title}\nPartOf={self._target}\n"
            f"After={self._unit('gateway')}\n\n"
            f"[Service]\nType=oneshot\nExecStart={command}\n"
            f"{accepted}Nice=19\nIOSchedulingClass=idle\n"
            f"NoNewPrivileges=yes\nPrivateTmp=yes\nProtectSystem=full\nRestrictAddressFamilies={families}\nUMask=0077\n"
        )

    def _timer_text(self, site: str, minutes: int) -> str:
        return (
            f"[Unit]\nDescription=sovereign site {site}: read document folders\nPartOf={self._target}\n\n"
            f"[Timer]\nOnActiveSec=5min\nOnUnitInactiveSec={minutes}min\nAccuracySec=1min\n"
            f"Unit={self._unit(_SYNC)}\n"
        )

    def _nightly_text(self, site: str, at: str) -> str:
        """Once a day, also where the host slept then; by the minute, so that an operator can tell when."""
        return (
            f"[Unit]\nDescription=sovereign site {site}: compile groups' briefs\nPartOf={self._target}\n\n"
            f"[Timer]\nOnCalendar=*-*-* {at}:00\nPersistent=true\nAccuracySec=1min\n"
            f"Unit={self._unit(_BRIEFS)}\n"
        )

    def _unseal_text(self, site: str) -> str:
        command = _command([str(self._paths.env / "bin" / "sovereign"), "--site", str(self._paths.root), "unseal"])
        return (
            f"[Unit]\nDescription=sovereign site {site}: unseal the services' secrets\nPartOf={self._target}\n\n"
            f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={command}\nUMask=0077\n"
        )


def _devices(service: Service) -> str:
    """No device but the pseudo devices; or those beside them that are named (systemd.resource-control(5))."""
    if not service.devices:
        return "PrivateDevices=yes\n"
    return "DevicePolicy=closed\n" + "".join(f"DeviceAllow={_quote(str(path))} rw\n" for path in service.devices)


def unit_files_match(files: Mapping[Path, str]) -> bool:
    """Whether every file is there with exactly this text."""
    return all(p.is_file() and p.read_text() == text for p, text in files.items())


def _command(argv: Sequence[str]) -> str:
    return " ".join(_quote(a).replace("$", "$$") for a in argv)


def _quote(text: str) -> str:
    """systemd.service(5), "Command lines": specifiers doubled, C-style quoting where a character asks for it."""
    text = text.replace("%", "%%")
    if text and all(c.isalnum() or c in "-_./:=@%+," for c in text):
        return text
    return '"' + os.fspath(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
