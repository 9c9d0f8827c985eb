"""Documents that people bring on a cluster are read beside the gateway, within what its container may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.gateway.bringing import BOUNDS, MAX_UPLOAD, UPLOADS
from appliance.install.services import READING_MIB
from tests.unit.cluster.test_workloads import made, values

if TYPE_CHECKING:
    from pathlib import Path


def test_a_gateway_gets_memory_for_reading_where_people_bring_documents_and_not_else(tmp_path: Path) -> None:
    bringing = [{"name": "staff", "models": ["small"], "brings_documents": True}]
    assert values(made(tmp_path))["assistant"]["readingMib"] == 0
    assert values(made(tmp_path, groups=bringing))["assistant"]["readingMib"] == READING_MIB
    child = MAX_UPLOAD * (UPLOADS + 1) + BOUNDS.memory_bytes
    assert child < READING_MIB << 20  # the process meets its own bound before the pod's
