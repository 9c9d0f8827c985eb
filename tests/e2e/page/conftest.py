"""One browser and one fake gateway for the folder; a fresh context, and a gateway without memory, for every test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.e2e.page import flows
from tests.e2e.page.fake_gateway import FakeGateway, running_gateway
from tests.e2e.page.watching import watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.e2e.page.watching import Watch

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 60_000  # for a loaded machine; no test passes or fails by how long something takes
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; the tests are skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def running() -> Iterator[FakeGateway]:
    with running_gateway() as gateway:
        yield gateway


@pytest.fixture
def gateway(running: FakeGateway) -> FakeGateway:
    """The fake gateway, as if it had just started."""
    running.forget()
    return running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 800},
        locale="en-GB",
        reduced_motion="reduce",
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


@pytest.fixture
def watched(page: Page, gateway: FakeGateway) -> Iterator[Watch]:
    """Every test of the page also promises: no stranger is asked, nothing is logged, no policy is violated."""
    found = watch(page)
    yield found
    assert found.strangers(gateway.url, gateway.identity_url) == set()
    assert found.complaints() == []


@pytest.fixture
def analyst(page: Page, gateway: FakeGateway, watched: Watch) -> Page:  # noqa: ARG001 - watched checks at the end
    """The page with an analyst signed in, who may use two models."""
    flows.open_page(page, gateway.url)
    flows.sign_in(page, "analyst", "analyst")
    return page
