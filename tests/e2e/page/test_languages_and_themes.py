"""Three languages and two themes: chosen by the browser first, by the person after that, and remembered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.page import flows
from tests.e2e.page.page_api import STATIC

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.e2e.page.fake_gateway import FakeGateway

pytestmark = [pytest.mark.e2e, pytest.mark.network]

KEYS = tuple(json.loads((STATIC / "catalogs/en.json").read_text("utf-8")))
SIGN_IN = {"en-GB": "Sign in", "fr-CH": "Se connecter", "de-AT": "Anmelden", "it-IT": "Sign in"}


@pytest.mark.parametrize("locale", SIGN_IN)
def test_the_page_speaks_the_browsers_language_first(browser: Browser, gateway: FakeGateway, locale: str) -> None:
    context = browser.new_context(locale=locale)
    page = context.new_page()
    page.goto(gateway.url)
    expect(page.locator("#sign-in")).to_have_text(SIGN_IN[locale])
    context.close()


def test_a_change_of_language_reaches_every_word_and_outlives_a_reload(analyst: Page, gateway: FakeGateway) -> None:
    flows.ask(analyst, "hello")
    flows.speak(analyst, "de")
    expect(analyst.locator("#account-language")).to_be_focused()
    analyst.keyboard.press("Escape")
    expect(analyst.locator("#new-conversation")).to_have_text("Neue Unterhaltung")
    expect(analyst.locator("#question")).to_have_attribute("placeholder", "Schreiben Sie Ihre Frage")
    expect(flows.last_answer(analyst).get_by_role("button", name="Antwort kopieren")).to_be_visible()
    analyst.reload()
    expect(analyst.locator("#send")).to_have_text("Senden")
    flows.sign_out(analyst)
    expect(analyst.locator("#sign-in")).to_have_text("Anmelden")
    assert gateway.asked == ["hello"]


def test_no_message_key_is_ever_shown(analyst: Page) -> None:
    flows.ask(analyst, "hello")
    for language in ("fr", "de", "en"):
        flows.speak(analyst, language)
        analyst.keyboard.press("Escape")
        flows.open_receipt(analyst)
        text = analyst.locator("body").inner_text()
        flows.close_dialog(analyst)
        assert [key for key in KEYS if key in text] == []


def test_a_chosen_theme_holds_from_the_first_paint_of_the_next_visit(analyst: Page) -> None:
    light = _background(analyst)
    flows.use_theme(analyst, "dark")
    dark = _background(analyst)
    assert dark != light
    analyst.reload(wait_until="commit")
    expect(analyst.locator("html")).to_have_attribute("data-theme", "dark")
    assert _background(analyst) == dark
    analyst.locator(flows.READY).wait_for()
    flows.use_theme(analyst, "auto")
    assert _background(analyst) == light


def test_without_a_choice_the_theme_is_the_systems(page: Page, gateway: FakeGateway) -> None:
    flows.open_page(page, gateway.url)
    page.emulate_media(color_scheme="light")
    light = _background(page)
    page.emulate_media(color_scheme="dark")
    assert _background(page) != light


def _background(page: Page) -> str:
    found: str = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    return found
