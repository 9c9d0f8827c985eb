"""The whole way without a mouse, and the layout on a phone and on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.page import flows

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.page.fake_gateway import FakeGateway
    from tests.e2e.page.watching import Watch

pytestmark = [pytest.mark.e2e, pytest.mark.network]

MANY = 40


def _tab_to(page: Page, selector: str, *, backwards: bool = False) -> None:
    """Press Tab until the focus is on ``selector``; every stop on the way must show where it is."""
    for _ in range(MANY):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        assert page.evaluate("() => document.activeElement === document.body || _visibleFocus()"), (
            "focus is not visible"
        )
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            return
    raise AssertionError(f"{selector} is not reached by the keyboard")


_VISIBLE_FOCUS = """
window._visibleFocus = () => {
  const box = document.activeElement.closest(".composer") ?? document.activeElement;
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(box);
  const own = getComputedStyle(document.activeElement);
  return (outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none"
    || (own.outlineStyle !== "none" && own.outlineWidth !== "0px");
};
"""


def test_everything_from_signing_in_to_deleting_works_by_keyboard(
    page: Page, gateway: FakeGateway, watched: Watch
) -> None:
    page.add_init_script(_VISIBLE_FOCUS)
    flows.open_page(page, gateway.url)
    _tab_to(page, "#sign-in")
    page.keyboard.press("Enter")
    page.locator("#username").wait_for()
    page.keyboard.type("analyst")
    page.keyboard.press("Tab")
    page.keyboard.type("analyst")
    page.keyboard.press("Enter")
    page.locator(flows.READY).wait_for()
    _tab_to(page, "#question")
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    expect(flows.last_answer(page).locator(".receipt-button")).to_be_visible()
    assert gateway.asked == ["first line\nsecond line"]
    _tab_to(page, ".receipt-button", backwards=True)
    page.keyboard.press("Enter")
    expect(page.locator("dialog.drawer h2")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".receipt-button")).to_be_focused()
    _tab_to(page, "#rename", backwards=True)
    page.keyboard.press("Enter")
    page.keyboard.type("By keyboard")
    page.keyboard.press("Enter")
    expect(page.locator("#conversation-name")).to_have_text("By keyboard")
    expect(page.locator("#rename")).to_be_focused()
    _tab_to(page, "#delete")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#question")).to_be_focused()
    assert gateway.conversations == {}
    assert watched.errors == []


def test_the_skip_link_is_first_and_leads_to_the_conversation(analyst: Page, gateway: FakeGateway) -> None:
    gateway.seed("analyst", "One")
    analyst.reload()
    analyst.locator(".conversation-link").wait_for()
    analyst.keyboard.press("Tab")
    expect(analyst.locator("#skip")).to_be_focused()
    expect(analyst.locator("#skip")).to_be_in_viewport()
    analyst.keyboard.press("Enter")
    expect(analyst.locator("#conversation-name")).to_be_focused()


def test_on_a_phone_the_list_is_a_drawer_that_holds_and_returns_the_focus(page: Page, gateway: FakeGateway) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    gateway.seed("analyst", "One")
    flows.open_page(page, gateway.url)
    flows.sign_in(page, "analyst", "analyst")
    expect(page.locator("#sidebar")).not_to_be_in_viewport()
    page.locator("#nav-open").click()
    expect(page.locator("#nav-close")).to_be_focused()
    expect(page.locator("#nav-open")).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(page.locator("#nav-open")).to_be_focused()
    page.locator("#nav-open").click()
    flows.open_conversation(page, "One")
    expect(page.locator("#sidebar")).not_to_be_in_viewport()


def test_on_paper_there_is_the_conversation_and_nothing_else(analyst: Page) -> None:
    flows.ask(analyst, "What does the rule ask for?")
    analyst.emulate_media(media="print")
    for gone in ("#sidebar", "#composer", "#rename", ".answer-foot .icon-button"):
        expect(analyst.locator(gone).first).to_be_hidden()
    for kept in (".said", ".prose", ".receipt-button", "#conversation-name"):
        expect(analyst.locator(kept).first).to_be_visible()


def test_a_reader_who_scrolled_up_is_left_in_peace_and_led_back_by_a_button(
    analyst: Page, gateway: FakeGateway
) -> None:
    gateway.seed("analyst", "Long", turns=6)
    analyst.reload()
    flows.open_conversation(analyst, "Long")
    scroller = analyst.locator("#scroll")
    expect(flows.last_answer(analyst)).to_be_in_viewport()
    scroller.hover()
    analyst.mouse.wheel(0, -900)
    expect(analyst.locator("#jump")).to_be_visible()
    analyst.locator("#jump").click()
    expect(flows.last_answer(analyst).locator(".receipt-button")).to_be_in_viewport()
    expect(analyst.locator("#jump")).to_be_hidden()
