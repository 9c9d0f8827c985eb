"""The order of all tests: what is quick and pure first, journeys with real services and browsers last.

It is also a rule: Playwright's synchronous interface keeps an event loop running in the main thread for as long as
its session lasts, and no asynchronous test can run beside it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from airgap_bundle import pkcs8

ORDER = ("unit", "property", "attacks", "contract", "integration", "e2e")
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by kind; within a kind the order stays as collected."""
    items.sort(key=lambda item: ORDER.index(item.path.relative_to(_HERE).parts[0]))


@pytest.fixture
def cheap_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key files at a cost for tests: scrypt's full cost is tested once, with the keys."""
    real = pkcs8.encrypt
    monkeypatch.setattr(pkcs8, "encrypt", lambda key, phrase, *, cost: real(key, phrase, cost=min(cost, 16)))
