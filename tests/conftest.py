"""The order of all tests, and how workers share them (`tests/division.py`)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import hypothesis
import pytest
import typer.testing

from airgap_bundle import pkcs8
from tests import division

if TYPE_CHECKING:
    from xdist.remote import Producer

    from tests.workers import ByUnit

hypothesis.settings.register_profile("tests", deadline=None)  # no test passes or fails by how long something takes
hypothesis.settings.load_profile("tests")
# Building the tree of commands takes a tenth of a second; a run of tests does it once, not at every command it gives.
typer.testing._get_command = cache(typer.main.get_command)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort by kind, or as workers take them; where neither says anything the order stays as collected."""
    order = division.queue_place if hasattr(config, "workerinput") else division.place
    items.sort(key=lambda item: order(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByUnit:
    """Only `pytest -n` asks for it."""
    from tests.workers import ByUnit  # noqa: PLC0415 - needs pytest-xdist, which one process does without

    return ByUnit(config, log)


@pytest.fixture
def cheap_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key files at a cost for tests: scrypt's full cost is tested once, with the keys."""
    real = pkcs8.encrypt
    monkeypatch.setattr(pkcs8, "encrypt", lambda key, passphrase, *, cost: real(key, passphrase, cost=min(cost, 16)))
