"""A desk, and a way back from it, for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.audit.client import SyncAuditClient
from appliance.audit.events_operation import admin_change
from appliance.audit.log import TileLog
from appliance.audit.roles import OPERATOR
from appliance.audit.server import create_app
from appliance.cluster.backup import restoring
from appliance.install.backup import recovery_key
from appliance.site.paths import SitePaths
from tests.audit.bench import EVERY_ROLE
from tests.audit.running import Running
from tests.bundles import NOW
from tests.integration.cluster.desk import ORIGIN, Desk, Return, Runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    class Clock:
        @staticmethod
        def now(_zone: object) -> object:
            return NOW

    monkeypatch.setattr(recovery_key, "_COSTS", {"n": 2**10, "r": 8, "p": 1})
    monkeypatch.setattr("appliance.install.admission.datetime", Clock)
    made = Desk(tmp_path)
    writer = Running(create_app(TileLog(made.log.directory, ORIGIN, made.log.keys), EVERY_ROLE), tmp_path / "sock")
    with SyncAuditClient(writer.socket) as audit:
        for number in range(3):
            event = admin_change(actor="uid 0", action="create", kind="user", target=f"u{number}")
            audit.append(event, id=OPERATOR.id("user", str(number)))
        event = admin_change(actor="uid 0", action="delete", kind="person", target="erased-before")
        audit.append(event, id=OPERATOR.id("person", "1"))
    yield made
    writer.stop()


@pytest.fixture
def way_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Return:
    runs = Runs()
    monkeypatch.setattr(restoring, "put_in_force", runs)
    return Return(desk, desk.new_hosts(), SitePaths(desk.folder / "again-site"), runs)
