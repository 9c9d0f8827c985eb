"""A model can write anything; the page shows it as text, fetches nothing, and runs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.page import flows
from tests.e2e.page.scripts import HOSTILE, Script

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.page.fake_gateway import FakeGateway

pytestmark = [pytest.mark.e2e, pytest.mark.network]


def test_markup_images_and_links_of_an_answer_become_text(analyst: Page, gateway: FakeGateway) -> None:
    gateway.play(Script(text=HOSTILE))
    text = flows.ask(analyst, "hostile")
    prose = flows.last_answer(analyst).locator(".prose")
    assert prose.locator("img, script, style, a, iframe, object, svg a").count() == 0
    assert '<img src="https://outside.example/a.png" onerror="alert(1)">' in text
    assert "chart (https://outside.example/chart.png)" in text
    assert prose.locator("table").count() == 1
    expect(analyst.locator("body")).to_be_visible()


def test_markup_in_a_question_or_a_title_becomes_text(analyst: Page, gateway: FakeGateway) -> None:
    flows.ask(analyst, "<b onclick=alert(1)>bold</b>")
    expect(analyst.locator("#conversation-name")).to_have_text("<b onclick=alert(1)>bold</b>")
    expect(analyst.locator(".said")).to_have_text("<b onclick=alert(1)>bold</b>")
    flows.expect_titles(analyst, "<b onclick=alert(1)>bold</b>")
    assert len(gateway.conversations) == 1


def test_the_page_has_no_inline_style_and_no_inline_handler_in_any_state(analyst: Page, gateway: FakeGateway) -> None:
    gateway.play(Script(text=HOSTILE))
    flows.ask(analyst, "hostile")
    flows.open_receipt(analyst)
    found = analyst.evaluate(
        """() => [...document.querySelectorAll("*")].flatMap((element) =>
             element.getAttributeNames().filter((name) => name === "style" || name.startsWith("on")))"""
    )
    assert found == []


def test_nothing_the_user_wrote_is_kept_in_the_browser_after_signing_out(analyst: Page) -> None:
    flows.ask(analyst, "a confidential question")
    analyst.locator("#question").fill("a confidential draft")
    flows.sign_out(analyst)
    kept = analyst.evaluate("() => JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)])")
    assert "confidential" not in kept
