"""The page of briefs: each sentence with its source, what is new and what is gone, struck, accepted, taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.page import flows
from tests.e2e.page.test_accessibility import _violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.page.fake_gateway import FakeGateway
    from tests.e2e.page.watching import Watch

pytestmark = [pytest.mark.e2e, pytest.mark.network]
IN_FORCE = "#brief-groups ul >> nth=0 >> li"
WAITING = "#brief-groups ul >> nth=1 >> li"


@pytest.fixture
def expert(page: Page, gateway: FakeGateway, watched: Watch) -> Page:  # noqa: ARG001 - watched checks at the end
    """The page of an expert who just came from the menu."""
    flows.open_page(page, gateway.url)
    flows.sign_in(page, "expert", "expert")
    page.locator("#account").click()
    page.locator("#brief-link").click()
    expect(page.locator(IN_FORCE)).to_have_count(2)
    return page


def test_sentences_stand_with_their_sources_and_what_is_new_or_gone_is_said(expert: Page) -> None:
    expect(expert.locator(IN_FORCE).first).to_contain_text("Visitors may park in bay seven of the yard.")
    expect(expert.locator(IN_FORCE).first).to_contain_text("Parking / Yard")
    expect(expert.locator(IN_FORCE).last).to_contain_text("Ruling of experts")
    expect(expert.locator(WAITING)).to_have_count(4)
    expect(expert.locator(WAITING).nth(2)).to_contain_text("new · House rules")
    expect(expert.locator(WAITING).last).to_contain_text("not told any more")
    expect(expert.locator("#brief-groups")).to_contain_text("Last night: chosen, not judged")


def test_a_sentence_is_shown_as_text(expert: Page) -> None:
    expect(expert.locator(WAITING).nth(2)).to_contain_text("<b>ten</b>")
    expect(expert.locator("#brief-groups b")).to_have_count(0)


def test_a_line_is_struck_by_keyboard_and_gone(expert: Page, gateway: FakeGateway) -> None:
    button = expert.locator(IN_FORCE).first.get_by_role("button")
    expect(button).to_have_accessible_name("Strike: Visitors may park in bay seven of the yard.")
    button.focus()
    expert.keyboard.press("Enter")
    expect(expert.locator(IN_FORCE)).to_have_count(1)
    expect(expert.locator("#live")).to_contain_text("The line was struck.")
    assert gateway.acts == ["strike l1"]


def test_what_waits_is_put_in_force_by_an_experts_word(expert: Page, gateway: FakeGateway) -> None:
    expert.get_by_role("button", name="Put in force").click()
    expect(expert.locator(IN_FORCE)).to_have_count(4)
    expect(expert.get_by_role("button", name="Put in force")).to_have_count(0)
    assert gateway.acts == ["accept b2"]


def test_what_is_in_force_is_taken_back(expert: Page, gateway: FakeGateway) -> None:
    expert.get_by_role("button", name="Take this back").click()
    expect(expert.locator("#brief-groups")).to_contain_text("Nothing is told at the moment.")
    assert gateway.acts == ["back"]


def test_what_changed_meanwhile_is_said_and_shown_as_it_is(expert: Page, gateway: FakeGateway) -> None:
    gateway.acts.append("strike l1")
    expert.locator(IN_FORCE).first.get_by_role("button").click()
    expect(expert.locator("#brief-problem")).to_contain_text("That changed meanwhile")
    expect(expert.locator(IN_FORCE)).to_have_count(1)


def test_the_page_speaks_every_language(expert: Page) -> None:
    for code, title in (
        ("fr", "Ce qui est dit à vos groupes"),
        ("de", "Was Ihren Gruppen mitgegeben wird"),
        ("en", "What your groups are told"),
    ):
        expert.locator("#brief-language").select_option(code)
        expect(expert.locator("h1")).to_have_text(title)
        expect(expert.locator(IN_FORCE)).to_have_count(2)


def test_who_is_no_expert_sees_no_way_there_and_nothing_there(page: Page, gateway: FakeGateway) -> None:
    flows.open_page(page, gateway.url)
    flows.sign_in(page, "analyst", "analyst")
    page.locator("#account").click()
    expect(page.locator("#brief-link")).to_be_hidden()
    page.goto(f"{gateway.url}/brief")
    expect(page.locator("#brief-problem")).to_contain_text("you are not one at this site")
    expect(page.locator("#brief-groups li")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_has_no_violation_and_fits(expert: Page, scheme: str, width: int) -> None:
    expert.set_viewport_size({"width": width, "height": 800})
    expert.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    assert _violations(expert) == []
    assert expert.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
