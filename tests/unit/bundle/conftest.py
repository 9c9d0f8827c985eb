"""Persons on machines of their own, with a root that they have signed, or none yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.machines import Machines

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    return Machines(tmp_path)


@pytest.fixture
def rooted(machines: Machines) -> Machines:
    machines.draft_first()
    machines.sign_root(1, "architect", "custodian")
    return machines
