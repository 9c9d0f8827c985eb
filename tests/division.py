"""How tests are divided: which stay together, which begin first.

One process runs them in the order of `KINDS`: what is quick and pure first, journeys with real services and browsers
last. Workers (`pytest -n 2`) take one unit after the other: at once the first of `TOGETHER`, which is by far the
longest; beside it what is quick, kind by kind; then the rest of `TOGETHER`; and the page's many short files last, so
that all workers end at about the same time.
"""

from __future__ import annotations

KINDS = ("unit", "property", "attacks", "contract", "integration", "e2e")
"""Folders of tests/. Playwright's synchronous interface keeps an event loop running in the main thread for as long as
its session lasts, and no asynchronous test can run beside it: the page's tests end every order."""

TOGETHER = {
    "the bare host": ("tests/e2e/one_host/",),
    "users of this machine": ("tests/e2e/one_namespace/", "tests/integration/install/"),
    "the demonstration's release": ("tests/integration/build/",),
    "the site with Keycloak": ("tests/integration/identity/", "tests/integration/gateway/test_with_keycloak.py"),
    "the registry": ("tests/integration/images/",),
    "the gateway's database": ("tests/integration/gateway/",),
    "the running gateway": ("tests/contract/",),
}
"""What is started or made once, or is not to be had twice, and where the tests lie that share it."""

_LAST = ("tests/e2e/page/",)


def unit_of(test: str) -> str:
    """Name of the unit that the test (a node id) belongs to: one of `TOGETHER`, or its file."""
    file = test.partition("::")[0]
    return next((name for name, places in TOGETHER.items() if file.startswith(places)), file)


def place(test: str) -> int:
    """Where the test (a node id) stands when one process runs all."""
    return KINDS.index(test.split("/")[1])


def queue_place(test: str) -> tuple[int, int]:
    """Where the test stands in the queue of workers; a unit lies together."""
    unit, units = unit_of(test), [*TOGETHER]
    if unit == units[0]:
        return 0, 0
    if test.startswith(_LAST):
        return 3, 0
    return (2, units.index(unit)) if unit in TOGETHER else (1, place(test))
