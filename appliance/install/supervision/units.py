"""The text of systemd units: one per service, sandboxed; the oneshot that unseals; what runs by timers; their target.

Pure. Nothing secret is in a unit.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from appliance.site.paths import AUDIT, DATABASE, GATEWAY, NOTHING_TO_SERVE, SitePaths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.install.services import Service
    from appliance.install.supervision.timed import Timed

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


class Units:
    """Names and texts of the units of the site at ``paths``, which is called ``site``."""

    def __init__(self, paths: SitePaths) -> None:
        self._paths = paths
        self._prefix = paths.run.name

    @property
    def prefix(self) -> str:
        """With it every unit's name begins."""
        return self._prefix

    @property
    def target(self) -> str:
        """The target of them all."""
        return f"{self._prefix}.target"

    def unit(self, name: str) -> str:
        """The unit of a service, or of what a timer runs."""
        return f"{self._prefix}-{name}.service"

    def timer(self, name: str) -> str:
        """The timer of what is called ``name``."""
        return f"{self._prefix}-{name}.timer"

    def texts(self, services: Sequence[Service], site: str, timed: Sequence[Timed]) -> Mapping[str, str]:
        """Every unit by its name: ``services``, what unseals, what is ``timed``, and the target."""
        wants = [*(self.unit(s.name) for s in services if s.at_boot), *(self.timer(one.name) for one in timed)]
        texts = {self.unit(s.name): self._service(s, site) for s in services}
        texts[self.unit("unseal")] = self._unseal(site)
        for one in timed:
            texts[self.unit(one.name)] = self._command(one, site)
            texts[self.timer(one.name)] = self._timer(one, site)
        texts[self.target] = (
            f"[Unit]\nDescription=sovereign site {site}\nWants={' '.join(wants)}\n\n"
            "[Install]\nWantedBy=multi-user.target\n"
        )
        return texts

    def _service(self, service: Service, site: str) -> str:
        after = " ".join(self.unit(n) for n in ("unseal", *service.after))
        families = "AF_UNIX AF_INET AF_INET6" if service.networked else "AF_UNIX"
        sovereign = self._sovereign()
        lines = [
            "[Unit]",
            f"Description=sovereign site {site}: {service.title}",
            f"PartOf={self.target}",
            f"Requires={self.unit('unseal')}",
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
            f"RestartPreventExitStatus={NOTHING_TO_SERVE}",
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

    def _command(self, timed: Timed, site: str) -> str:
        """As the operator runs it, after everybody else."""
        accepted = f"SuccessExitStatus={timed.fine}\n" if timed.fine is not None else ""
        return (
            f"[Unit]\nDescription=sovereign site {site}: {timed.title}\nPartOf={self.target}\n"
            f"After={self.unit('gateway')}\n\n"
            f"[Service]\nType=oneshot\nExecStart={_command([*self._sovereign(), *timed.words])}\n"
            f"{accepted}Nice=19\nIOSchedulingClass=idle\n"
            "NoNewPrivileges=yes\nPrivateTmp=yes\nProtectSystem=full\n"
            f"RestrictAddressFamilies={timed.families}\nUMask=0077\n"
        )

    def _timer(self, timed: Timed, site: str) -> str:
        when = "".join(f"{line}\n" for line in timed.when)
        return (
            f"[Unit]\nDescription=sovereign site {site}: {timed.title}\nPartOf={self.target}\n\n"
            f"[Timer]\n{when}Unit={self.unit(timed.name)}\n"
        )

    def _unseal(self, site: str) -> str:
        command = _command([*self._sovereign(), "unseal"])
        return (
            f"[Unit]\nDescription=sovereign site {site}: unseal the services' secrets\nPartOf={self.target}\n\n"
            f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={command}\nUMask=0077\n"
        )

    def _sovereign(self) -> list[str]:
        return [str(self._paths.env / "bin" / "sovereign"), "--site", str(self._paths.root)]


def _devices(service: Service) -> str:
    """No device but the pseudo devices; or those beside them that are named (systemd.resource-control(5))."""
    if not service.devices:
        return "PrivateDevices=yes\n"
    return "DevicePolicy=closed\n" + "".join(f"DeviceAllow={_quote(str(path))} rw\n" for path in service.devices)


def _command(argv: Sequence[str]) -> str:
    return " ".join(_quote(a).replace("$", "$$") for a in argv)


def _quote(text: str) -> str:
    """systemd.service(5), "Command lines": specifiers doubled, C-style quoting where a character asks for it."""
    text = text.replace("%", "%%")
    if text and all(c.isalnum() or c in "-_./:=@%+," for c in text):
        return text
    return '"' + os.fspath(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
