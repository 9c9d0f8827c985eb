"""The experts' page: judged by keyboard alone, with what contradicts in view, in every language, and for experts."""

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
WAITING = "#expert-queue .expert-open"


@pytest.fixture
def expert(page: Page, gateway: FakeGateway, watched: Watch) -> Page:  # noqa: ARG001 - watched checks at the end
    """The page of an expert who just came from the menu."""
    flows.open_page(page, gateway.url)
    flows.sign_in(page, "expert", "expert")
    page.locator("#account").click()
    page.locator("#expert-link").click()
    expect(page.locator(WAITING)).to_have_count(3)
    return page


def test_failures_come_in_named_clusters_and_say_what_is_wanted(expert: Page) -> None:
    heads = expert.locator("#expert-queue h3")
    expect(heads).to_have_count(2)
    expect(heads.first).to_contain_text("parking, permit, renew")
    expect(heads.first).to_contain_text("2 answers")
    expect(expert.locator(WAITING).first).to_contain_text("corrected differently by several people")
    expect(expert.locator(WAITING).last).to_contain_text("a second opinion is wanted")


def test_a_queue_is_judged_without_a_mouse(expert: Page, gateway: FakeGateway) -> None:
    expert.locator(WAITING).first.focus()
    expert.keyboard.press("ArrowDown")
    expert.keyboard.press("Enter")
    expect(expert.locator("#expert-failure")).to_contain_text("How long is a parking permit valid?")
    expert.keyboard.press("2")
    expect(expert.get_by_role("radio", name="2 wrong")).to_be_checked()
    expert.keyboard.press("Control+Enter")
    expect(expert.locator(WAITING)).to_have_count(2)
    expect(expert.locator("#expert-failure")).to_contain_text("How are travel expenses refunded?")
    expert.keyboard.press("1")
    expert.keyboard.press("Control+Enter")
    expect(expert.locator(WAITING)).to_have_count(1)
    expect(expert.locator("#expert-failure")).to_contain_text("Who renews my parking permit?")
    expert.keyboard.press("Escape")
    expect(expert.locator(WAITING).first).to_be_focused()
    assert gateway.rulings == {"01": {"ruling": "wrong"}, "10": {"ruling": "right"}}


def test_digits_that_are_written_choose_nothing(expert: Page) -> None:
    expert.locator(WAITING).first.click()
    expert.get_by_label("Why, for other experts").fill("")
    expert.get_by_label("Why, for other experts").press_sequentially("123")
    expect(expert.get_by_label("Why, for other experts")).to_have_value("123")
    for name in ("1 right", "2 wrong", "3 not to be decided"):
        expect(expert.get_by_role("radio", name=name)).not_to_be_checked()


def test_without_a_ruling_nothing_is_kept(expert: Page, gateway: FakeGateway) -> None:
    expert.locator(WAITING).first.click()
    expert.get_by_role("button", name="Keep, and open the next").click()
    assert gateway.rulings == {}
    expect(expert.locator(WAITING)).to_have_count(3)


def test_a_case_that_is_contradicted_is_kept_only_once_the_expert_says_that_it_stands(
    expert: Page, gateway: FakeGateway
) -> None:
    expert.locator(WAITING).nth(1).click()
    expert.get_by_role("radio", name="2 wrong").check()
    expect(expert.locator("#expert-case-question")).to_be_hidden()
    expert.get_by_label("Make a case of it").check()
    expect(expert.get_by_label("Expected, one a line")).to_have_value("Two years, from the day of issue.")
    expert.get_by_label("Question of the case").fill("How long are parking permits valid?")
    expert.get_by_label("Expected, one a line").fill("two years\n\n day of issue ")
    expert.get_by_label("It must never fail").check()
    expert.get_by_role("button", name="Keep, and open the next").click()
    expect(expert.locator("#expert-problem")).to_contain_text("Something contradicts it")
    assert gateway.rulings == {}
    expert.get_by_label("I have seen what contradicts it").check()
    expert.get_by_role("button", name="Keep, and open the next").click()
    expect(expert.locator(WAITING)).to_have_count(2)
    assert gateway.rulings["01"]["case"] == {
        "question": "How long are parking permits valid?",
        "kind": "contains",
        "expected": ["two years", "day of issue"],
        "vital": True,
        "documents": False,
        "language": "en",
        "decided": True,
    }


def test_an_answer_that_repeats_a_document_of_others_is_not_kept_and_stays_to_be_changed(
    expert: Page, gateway: FakeGateway
) -> None:
    expert.locator(WAITING).first.click()
    expert.get_by_role("radio", name="2 wrong").check()
    expert.locator("#expert-answer").fill("The safe opens with the code 4711.")
    expert.get_by_role("button", name="Keep, and open the next").click()
    expect(expert.locator("#expert-problem")).to_contain_text("Nothing was kept.")
    expect(expert.locator("#expert-problem")).to_contain_text("'Safe', which analysts may not read")
    assert gateway.rulings == {}
    expect(expert.locator("#expert-answer")).to_have_value("The safe opens with the code 4711.")
    expert.locator("#expert-answer").fill("Ask the guards.")
    expert.get_by_role("button", name="Keep, and open the next").click()
    expect(expert.locator(WAITING)).to_have_count(2)
    assert gateway.rulings["00"]["answer"] == "Ask the guards."


def test_an_answer_is_shown_as_text(expert: Page) -> None:
    expert.locator(WAITING).first.click()
    expect(expert.locator("#expert-failure")).to_contain_text("<b>not markup</b>")
    expect(expert.locator("#expert-failure b")).to_have_count(0)


def test_cases_that_contradict_each_other_wait_for_a_decision(expert: Page, gateway: FakeGateway) -> None:
    expect(expert.locator("#expert-blocked li")).to_have_count(2)
    expert.get_by_role("button", name="This one stands").first.click()
    expect(expert.locator("#expert-blocked-part")).to_be_hidden()
    assert gateway.kept == ["b1"]


def test_a_case_of_another_site_is_shown_as_text_and_taken_on(expert: Page, gateway: FakeGateway) -> None:
    part = expert.locator("#expert-offered-part")
    expect(part).to_contain_text("<i>Who pays?</i> → contains: the till")
    expect(part.locator("i")).to_have_count(0)
    part.get_by_role("button", name="Ask it here").click()
    expect(part).to_be_hidden()
    expect(expert.locator("#expert-blocked li")).to_have_count(2)
    assert gateway.kept == ["o1"]


def test_agreement_is_shown_with_its_count_and_one_sided_experts_are_named(expert: Page) -> None:
    part = expert.locator("#expert-agreement")
    expect(part).to_contain_text("14 answers were judged by two")
    expect(part.locator("tbody tr").first).to_contain_text("You")
    expect(part.locator("tbody tr").last).to_contain_text("nearly always the same ruling")


def test_the_page_speaks_every_language(expert: Page) -> None:
    expert.locator(WAITING).first.click()
    for code, title in (
        ("fr", "Les réponses qui n\N{RIGHT SINGLE QUOTATION MARK}ont pas aidé"),
        ("de", "Antworten, die nicht geholfen haben"),
        ("en", "Answers that did not help"),
    ):
        expert.locator("#expert-language").select_option(code)
        expect(expert.locator("h1")).to_have_text(title)
        expect(expert.locator(WAITING)).to_have_count(3)


def test_who_is_no_expert_sees_no_way_there_and_nothing_there(page: Page, gateway: FakeGateway) -> None:
    flows.open_page(page, gateway.url)
    flows.sign_in(page, "analyst", "analyst")
    page.locator("#account").click()
    expect(page.locator("#expert-link")).to_be_hidden()
    page.goto(f"{gateway.url}/expert")
    expect(page.locator("#expert-problem")).to_contain_text("you are not one at this site")
    expect(page.locator("#expert-parts")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_has_no_violation_and_fits(expert: Page, scheme: str, width: int) -> None:
    expert.set_viewport_size({"width": width, "height": 800})
    expert.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    expert.locator(WAITING).nth(1).click()
    expert.get_by_label("Make a case of it").check()
    assert _violations(expert) == []
    assert expert.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
