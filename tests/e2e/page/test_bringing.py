"""Bringing documents on the page: each file with its outcome; one that is refused stops no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.page.fake_gateway import FakeGateway

pytestmark = [pytest.mark.e2e, pytest.mark.network]


def test_each_file_is_brought_for_the_group_and_told_its_outcome(analyst: Page, gateway: FakeGateway) -> None:
    analyst.locator("#account").click()
    analyst.get_by_role("button", name="Bring documents").click()
    drawer = analyst.get_by_role("dialog", name="Bring documents")
    drawer.get_by_label("For the group").select_option("pilot")
    files = [
        {"name": "locked <b>.pdf", "mimeType": "application/pdf", "buffer": b"locked"},
        {"name": "r\u00e8gles 1/2.txt".replace("/", "-"), "mimeType": "text/plain", "buffer": b"rules"},
    ]
    drawer.locator("#bring-files").set_input_files(files)  # type: ignore[arg-type]  # plain dicts are FilePayloads
    outcomes = drawer.locator(".brought-outcome")
    expect(outcomes).to_have_text(["Not taken: it has a password. Save it without one.", "Taken in. 3 passages."])
    expect(drawer.locator(".brought-name").first).to_have_text("locked <b>.pdf")
    assert drawer.locator("#bring-progress").evaluate("bar => bar.value === bar.max")
    assert gateway.brought == [("pilot", "locked <b>.pdf", b"locked"), ("pilot", "r\u00e8gles 1-2.txt", b"rules")]
