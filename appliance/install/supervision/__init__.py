"""Two ways of keeping services running: systemd units where systemd is the service manager, supervisord elsewhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from appliance.install.supervision.supervisor import Supervisord
from appliance.install.supervision.systemd import Systemd
from appliance.install.systemd_creds import SYSTEMD_RUNS

if TYPE_CHECKING:
    from appliance.install.supervision.interface import Supervision
    from appliance.site.paths import SitePaths

__all__ = ["choose_supervision"]


def choose_supervision(paths: SitePaths) -> Supervision:
    """Units need root to hold units; everyone else gets a supervisord of their own."""
    if SYSTEMD_RUNS.is_dir() and os.geteuid() == 0:
        return Systemd(paths)
    return Supervisord(paths)
