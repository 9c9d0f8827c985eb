"""What the installer asks of a service manager."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from appliance.install.services import Service
    from appliance.install.supervision.timed import Timed

State = Literal["running", "starting", "stopped", "failed"]


@dataclass(frozen=True)
class Running:
    """What the service manager says about one service."""

    state: State
    pid: int | None = None


class Supervision(Protocol):
    """A service manager, holding the services of one site."""

    @property
    def kind(self) -> str:
        """``systemd`` or ``supervisord``."""

    def files(self, services: Sequence[Service], site: str, timed: Sequence[Timed] = ()) -> Mapping[Path, str]:
        """The configuration files that describe ``services``: ``{path: text}``. Pure.

        ``timed`` is what runs by itself where the manager has timers.
        """

    def drop(self, files: Mapping[Path, str]) -> None:
        """Stop what is not among ``files`` any more, and remove its configuration files."""

    def load(self) -> None:
        """Take up the written files; services that run go on running."""

    def start(self, service: Service) -> None:
        """Start one service; returns before it is ready."""

    def stop(self, service: Service) -> None:
        """Stop one service and wait until it is gone."""

    def states(self, services: Sequence[Service]) -> Mapping[str, Running]:
        """The state of every service by name. A manager that does not run says ``stopped`` of all."""

    def complaint(self, service: Service) -> tuple[str, str]:
        """The last lines that the service logged, and how to read more."""

    def rest(self) -> None:
        """Stop what the services share; a reboot, or ``load``, brings it back."""

    def close(self) -> None:
        """Let go of the site: nothing of it runs and nothing starts at boot."""
